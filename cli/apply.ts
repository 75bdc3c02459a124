import { readFile, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { manifestFilesIn, problemText } from '../broker/trigger/manifest-files.ts';
import { defaultOwner } from '../broker/trigger/registry-plan.ts';
import { messageOf, PosthornError, UsageError } from '../runtime/errors.ts';
import { connect, RefusedError, type SentFile, serverOption } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation, type Option } from './command.ts';
import { listOption, textOption } from './options.ts';

export const filenameOption: Option = {
  name: 'filename',
  short: 'f',
  value: 'FILE|DIR|-',
  multiple: true,
  help: 'File of manifests, directory of .yaml, .yml and .json files (those below it too), or - for standard input',
};

export const namespaceOption: Option = {
  name: 'namespace',
  short: 'n',
  value: 'NAME',
  help: 'Namespace where a manifest or a name has none (default default)',
};

export const ownerOption: Option = {
  name: 'owner',
  value: 'NAME',
  help: `On whose behalf: an owner changes and deletes only what it applied (default ${defaultOwner})`,
};

export const apply: Command = {
  name: 'apply',
  summary: 'Make the brokers and triggers of a file or a directory hold, without a restart',
  usage: '-f FILE|DIR|- [-n NAME] [--prune] [--owner NAME] [--dry-run]',
  options: [
    filenameOption,
    namespaceOption,
    { name: 'prune', help: "Delete the owner's triggers that are not in the files" },
    { name: 'allow-empty', help: 'Let --prune delete all of them where the files hold no trigger' },
    ownerOption,
    { name: 'dry-run', help: 'Say what would change and change nothing' },
    serverOption,
  ],
  examples: [
    { command: 'posthorn apply -f triggers/orders.yaml', does: 'applies one file' },
    { command: 'posthorn apply -f triggers/ --dry-run', does: 'says what the directory would change' },
    {
      command: 'posthorn apply -f triggers/ --prune --owner shop',
      does: 'applies the directory and deletes what shop applied before and is not in it any more',
    },
    { command: 'kubectl get triggers -o yaml | posthorn apply -f -', does: 'takes triggers over from Knative' },
  ],
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, positionals, stdout, stderr } = invocation;
  if (positionals.length > 0) throw new UsageError(`apply takes files with -f, but got ${positionals.join(' ')}`);
  const client = connect(invocation);
  const files = await givenFiles(invocation);
  const dryRun = options['dry-run'] === true;
  const query = {
    owner: textOption(options, 'owner'),
    namespace: textOption(options, 'namespace'),
    prune: options.prune === true,
    allowEmpty: options['allow-empty'] === true,
    dryRun,
  };
  try {
    const { changes, problems } = await client.apply(files, query);
    for (const problem of problems) stderr.write(`warning: ${problemText(problem)}\n`);
    for (const { kind, name, action } of changes) {
      const done = action === 'deleted' ? 'pruned' : action;
      stdout.write(`${kind.toLowerCase()}.eventing.knative.dev/${name} ${done}${dryRun ? ' (dry run)' : ''}\n`);
    }
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof RefusedError) {
      for (const problem of error.problems) stderr.write(`${problem.severity}: ${problemText(problem)}\n`);
    }
    throw error;
  }
}

/**
 * The texts of everything that `-f` names.
 * @throws UsageError where it names nothing, PosthornError where something can't be read
 */
export async function givenFiles({ options, stdin }: Pick<Invocation, 'options' | 'stdin'>): Promise<SentFile[]> {
  const names = listOption(options, 'filename');
  if (names.length === 0) throw new UsageError('say what with -f FILE, -f DIR or -f -');
  const files: SentFile[] = [];
  for (const name of names) {
    try {
      if (name === '-') files.push({ file: 'standard input', text: await text(stdin) });
      else if ((await stat(name)).isDirectory()) files.push(...(await filesOf(name)));
      else files.push({ file: name, text: await readFile(name, 'utf8') });
    } catch (error) {
      if (error instanceof PosthornError) throw error;
      throw new PosthornError('UNREADABLE', `${name} can't be read: ${messageOf(error)}`, { cause: error });
    }
  }
  return files;
}

async function filesOf(directory: string): Promise<SentFile[]> {
  const files = await manifestFilesIn(directory);
  if (files.length === 0) {
    throw new PosthornError('NO_FILES', `no .yaml, .yml or .json file in ${directory} or below it`);
  }
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(file, 'utf8') })));
}
