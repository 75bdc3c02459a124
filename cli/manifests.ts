import { readFile, stat } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Problem } from '../broker/trigger/manifest.ts';
import { manifestFilesIn, problemText } from '../broker/trigger/manifest-files.ts';
import { defaultOwner } from '../broker/trigger/registry-plan.ts';
import { messageOf, PosthornError, UsageError } from '../runtime/errors.ts';
import type { SentFile } from './client.ts';
import type { Invocation, Option } from './command.ts';
import { listOption } from './options.ts';

/** What the commands that take manifests or their names have in common. */

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

/**
 * The texts of everything that `-f` names.
 * @throws UsageError where it names nothing, PosthornError where something can't be read
 */
export async function givenFiles({ options, stdin }: Pick<Invocation, 'options' | 'stdin'>): Promise<SentFile[]> {
  const names = listOption(options, 'filename');
  if (names.length === 0) throw new UsageError('say what with -f FILE, -f DIR or -f -');
  const files: SentFile[] = [];
  for (const name of names) {
    if (name === '-') files.push({ file: 'standard input', text: await text(stdin) });
    else for (const file of await manifestFilesAt(name)) files.push({ file, text: await readText(file) });
  }
  return files;
}

/**
 * The file, whatever it is called, or the manifest files of the directory.
 * @throws PosthornError where there is nothing to read
 */
export async function manifestFilesAt(path: string): Promise<string[]> {
  const files = await manifestFilesOrNone(path).catch((error: unknown) => unreadable(path, error));
  if (files.length === 0) throw new PosthornError('NO_FILES', `no *.yaml, *.yml or *.json in ${path} or below it`);
  return files;
}

/** Each as a line: `error: orders.yaml:12:5: spec.broker: must be …`. */
export function writeProblems(stderr: NodeJS.WritableStream, problems: readonly Problem[]): void {
  for (const problem of problems) stderr.write(`${problem.severity}: ${problemText(problem)}\n`);
}

async function manifestFilesOrNone(path: string): Promise<string[]> {
  return (await stat(path)).isDirectory() ? manifestFilesIn(path) : [path];
}

function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => unreadable(file, error));
}

function unreadable(path: string, error: unknown): never {
  throw new PosthornError('UNREADABLE', `${path} can't be read: ${messageOf(error)}`, { cause: error });
}
