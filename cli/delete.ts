import { parseManifests } from '../broker/trigger/manifest.ts';
import { hasErrors } from '../broker/trigger/manifest-files.ts';
import { PosthornError, UsageError } from '../runtime/errors.ts';
import { connect, RefusedError, serverOption } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { kindOf } from './get.ts';
import { filenameOption, givenFiles, namespaceOption, ownerOption, writeProblems } from './manifests.ts';
import { textOption } from './options.ts';

export const deleteCommand: Command = {
  name: 'delete',
  summary: 'Delete triggers; what still waits for them becomes dead letters',
  usage: 'trigger NAME… | -f FILE|DIR|-  [-n NAME] [--discard-backlog] [--owner NAME]',
  options: [
    filenameOption,
    namespaceOption,
    { name: 'discard-backlog', help: 'Drop what still waits in their retry topics, in place of dead-lettering it' },
    { name: 'ignore-not-found', help: 'A trigger that is not there counts as deleted' },
    ownerOption,
    { name: 'dry-run', help: 'Say what would be deleted and delete nothing' },
    serverOption,
  ],
  examples: [
    { command: 'posthorn delete trigger orders', does: 'deletes the trigger orders of the namespace default' },
    { command: 'posthorn delete -f triggers/orders.yaml', does: 'deletes the triggers of that file' },
    { command: 'posthorn delete trigger orders -n shop --discard-backlog', does: 'drops its waiting retries as well' },
  ],
  run,
};

interface Named {
  readonly namespace: string;
  readonly name: string;
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, stdout, stderr } = invocation;
  const client = connect(invocation);
  const triggers = await namedTriggers(invocation);
  const dryRun = options['dry-run'] === true;
  const owner = textOption(options, 'owner');
  let failures = 0;
  for (const { namespace, name } of triggers) {
    try {
      const query = { owner, discardBacklog: options['discard-backlog'] === true, dryRun };
      await client.deleteTrigger(namespace, name, query);
      stdout.write(`trigger.eventing.knative.dev "${name}" deleted${dryRun ? ' (dry run)' : ''}\n`);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      if (error.status === 404 && options['ignore-not-found'] === true) continue;
      stderr.write(`posthorn: ${error.message}\n`);
      failures++;
    }
  }
  return failures === 0 ? exitCodes.ok : exitCodes.failed;
}

async function namedTriggers(invocation: Invocation): Promise<Named[]> {
  const { options, positionals, stderr } = invocation;
  const namespace = textOption(options, 'namespace') ?? 'default';
  const [kind, ...names] = positionals;
  if (kind === undefined) {
    const files = await givenFiles(invocation);
    const parsed = files.map(({ file, text }) => parseManifests(text, file, { namespace }));
    const problems = parsed.flatMap((one) => one.problems);
    if (hasErrors({ problems })) {
      writeProblems(stderr, problems);
      throw new PosthornError('MANIFEST', 'nothing was deleted: the files have errors');
    }
    const documents = parsed.flatMap((one) => one.documents);
    for (const { kind, name } of documents) {
      if (kind === 'Broker') stderr.write(`broker ${name} stays: brokers can't be deleted yet\n`);
    }
    return documents.filter((document) => document.kind === 'Trigger');
  }
  if (options.filename !== undefined) throw new UsageError('give either a kind and names or -f, not both');
  const known = kindOf(kind);
  if (known === 'brokers') throw new UsageError("brokers can't be deleted yet; delete their triggers");
  if (known === 'dead-letters') throw new UsageError("dead letters can't be deleted; their topic's retention does it");
  if (names.length === 0) throw new UsageError('say which: posthorn delete trigger NAME');
  return names.map((name) => ({ namespace, name }));
}
