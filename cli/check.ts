import { resolve } from 'node:path';
import { duplicatesIn, type ParseOptions, type Problem } from '../broker/trigger/manifest.ts';
import { type ManifestFile, readManifestFile } from '../broker/trigger/manifest-files.ts';
import { topicPrefix } from '../runtime/config-kinds.ts';
import { UsageError } from '../runtime/errors.ts';
import { type Command, exitCodes, type Invocation } from './command.ts';
import { manifestFilesAt, namespaceOption } from './manifests.ts';
import { textOption } from './options.ts';

/** `posthorn check`: what `apply` would say of manifests, without a running Posthorn. */
export const check: Command = {
  name: 'check',
  summary: 'Check manifests offline',
  usage: 'FILE|DIR… [-n NAME] [-o json]',
  options: [
    namespaceOption,
    { name: 'output', short: 'o', value: 'json', help: 'Print the problems and counts as JSON' },
    {
      name: 'prefix',
      value: 'NAME',
      help: 'What the names of topics begin with, as posthorn serve has it, to check their length (default posthorn)',
    },
  ],
  examples: [
    { command: 'posthorn check triggers/', does: 'Names every problem of *.yaml, *.yml and *.json in it and below' },
    { command: 'posthorn check -o json orders.yaml', does: 'The same for one file, to be read by a program' },
  ],
  async run({ positionals, options, stdout }) {
    if (positionals.length === 0)
      throw new UsageError('which manifests? Name a file or a directory: posthorn check DIR');
    const output = textOption(options, 'output');
    if (output !== undefined && output !== 'json')
      throw new UsageError(`-o ${output} is not known here; there is -o json`);
    const report = await checkPaths(positionals, parseOptions(options));
    stdout.write(output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
    return report.errors === 0 ? exitCodes.ok : exitCodes.failed;
  },
};

interface CheckReport {
  readonly problems: readonly Problem[];
  readonly files: number;
  /** Those without an error. */
  readonly triggers: number;
  readonly brokers: number;
  readonly errors: number;
  readonly warnings: number;
}

function parseOptions(options: Invocation['options']): ParseOptions {
  const namespace = textOption(options, 'namespace');
  const prefix = textOption(options, 'prefix');
  if (prefix !== undefined && topicPrefix.parse(prefix) === undefined) {
    throw new UsageError(`--prefix must be ${topicPrefix.expected}, not ${prefix}`);
  }
  return { ...(namespace !== undefined && { namespace }), ...(prefix !== undefined && { prefix }) };
}

async function checkPaths(paths: readonly string[], options: ParseOptions): Promise<CheckReport> {
  const files: ManifestFile[] = [];
  for (const path of await manifestFiles(paths)) files.push(await readManifestFile(path, options));
  const documents = files.flatMap((file) => file.documents);
  const duplicates = duplicatesIn(documents);
  const problems = files.flatMap(({ file, problems }) => {
    const across = duplicates.map(({ problem }) => problem).filter((problem) => problem.file === file);
    return [...problems, ...across].sort((a, b) => a.line - b.line || a.column - b.column);
  });
  const repeated = new Set(duplicates.map(({ document }) => document));
  const good = documents.filter((document) => !repeated.has(document));
  return {
    problems,
    files: files.length,
    triggers: good.filter(({ kind }) => kind === 'Trigger').length,
    brokers: good.filter(({ kind }) => kind === 'Broker').length,
    errors: problems.filter(({ severity }) => severity === 'error').length,
    warnings: problems.filter(({ severity }) => severity === 'warning').length,
  };
}

/** The files that are meant, each once. A file that is named is one whatever it is called. */
async function manifestFiles(paths: readonly string[]): Promise<string[]> {
  const files = new Map<string, string>();
  for (const path of paths) {
    for (const file of await manifestFilesAt(path)) if (!files.has(resolve(file))) files.set(resolve(file), file);
  }
  return [...files.values()];
}

function textOf({ problems, triggers, brokers, errors, warnings }: CheckReport): string {
  const lines = problems.map(({ file, line, column, severity, field, message }) => {
    return `${file}:${line}:${column}: ${severity}: ${field === '' ? '' : `${field}: `}${message}\n`;
  });
  const counts = [
    count(triggers, 'trigger'),
    count(brokers, 'broker'),
    count(errors, 'error'),
    count(warnings, 'warning'),
  ];
  return `${lines.join('')}${counts.join(', ')}\n`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
