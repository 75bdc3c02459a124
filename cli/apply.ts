import { UsageError } from '../runtime/errors.ts';
import { connect, RefusedError, serverOption } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { filenameOption, givenFiles, namespaceOption, ownerOption, writeProblems } from './manifests.ts';
import { textOption } from './options.ts';

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
    writeProblems(stderr, problems);
    for (const { kind, name, action } of changes) {
      const done = action === 'deleted' ? 'pruned' : action;
      stdout.write(`${kind.toLowerCase()}.eventing.knative.dev/${name} ${done}${dryRun ? ' (dry run)' : ''}\n`);
    }
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof RefusedError) writeProblems(stderr, error.problems);
    throw error;
  }
}
