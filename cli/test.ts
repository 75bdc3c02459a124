import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Explanation, explain } from '../broker/filter/explain.ts';
import type { Problem } from '../broker/trigger/manifest.ts';
import { fixtureFilesIn, manifestFilesIn, problemText } from '../broker/trigger/manifest-files.ts';
import { PosthornError, UsageError } from '../runtime/errors.ts';
import { fileProblem } from '../runtime/file-problem.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { metText, printable, reasonLines } from './explained.ts';
import { type Fixture, type FixtureFile, readFixtureFile } from './fixtures/read.ts';
import { namespaceOption } from './manifests.ts';
import { textOption } from './options.ts';
import { type TriggerSet, triggersOfFiles } from './trigger-sets.ts';

/** `posthorn test`: whether events reach the triggers that they are to reach, offline. */
export const test: Command = {
  name: 'test',
  summary: 'Test triggers offline: which of them get the events of *.fixtures.yaml files',
  usage: 'DIR|FILE… [-n NAME] [-o json]',
  about:
    'A file like orders.fixtures.yaml stands beside triggers and says of events which triggers get them. It is judged with the manifests of its own directory and of those below it, as serve --triggers would read them, and with no others. So of several directories each is tested by itself. docs/triggers.md has the form of the file: "fixtures:", a list of "event:" (attributes and data) and "triggers:" (exactly those that get it; [] for none).',
  options: [
    namespaceOption,
    {
      name: 'output',
      short: 'o',
      value: 'json',
      help: 'Print each fixture with what was expected and what came as JSON',
    },
  ],
  examples: [
    { command: 'posthorn test triggers/', does: 'judges every *.fixtures.yaml in triggers/ and below it' },
    { command: 'posthorn test shop/ bills/orders.fixtures.yaml', does: 'those of a directory, and one file' },
  ],
  run,
};

/** A fixture that was judged. */
interface Judged extends Fixture {
  readonly actual: readonly string[];
  readonly wrong: readonly Wrong[];
}

/** A trigger that gets an event and should not, or the other way round. */
interface Wrong {
  readonly trigger: string;
  readonly explanation: Explanation;
}

interface JudgedFile {
  readonly file: string;
  readonly problems: readonly Problem[];
  readonly fixtures: readonly Judged[];
}

async function run({ positionals, options, stdout }: Invocation): Promise<ExitCode> {
  if (positionals.length === 0) throw new UsageError('which triggers? Name their directory: posthorn test DIR');
  const output = textOption(options, 'output');
  if (output !== undefined && output !== 'json') {
    throw new UsageError(`-o ${output} is not known here; there is -o json`);
  }
  const namespace = textOption(options, 'namespace') ?? 'default';
  const sets = new Map<string, TriggerSet>();
  const files: JudgedFile[] = [];
  for (const file of await fixtureFiles(positionals)) {
    const directory = dirname(file);
    const set = sets.get(directory) ?? (await triggersOfFiles(await manifestFilesIn(directory), namespace));
    // The problems of manifests are told once.
    const problems = sets.has(directory) ? [] : set.problems.filter(({ severity }) => severity === 'error');
    sets.set(directory, set);
    files.push(await judgeFile(file, set, problems));
  }
  stdout.write(output === 'json' ? `${JSON.stringify(jsonOf(files), null, 2)}\n` : textOf(files));
  return files.every(isGood) ? exitCodes.ok : exitCodes.failed;
}

function isGood({ problems, fixtures }: JudgedFile): boolean {
  return problems.length === 0 && fixtures.every(isOk);
}

function isOk({ wrong }: Judged): boolean {
  return wrong.length === 0;
}

/** The files that are meant, each once. */
async function fixtureFiles(paths: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  for (const path of paths) {
    const found = await fixtureFilesAt(path).catch((error: unknown) => {
      throw new PosthornError('UNREADABLE', `${path} can't be read: ${fileProblem(error, 'file')}`, { cause: error });
    });
    if (found.length === 0) throw new PosthornError('NO_FILES', `no *.fixtures.yaml in ${path} or below it`);
    for (const file of found) files.add(file);
  }
  return [...files];
}

async function fixtureFilesAt(path: string): Promise<string[]> {
  return (await stat(path)).isDirectory() ? fixtureFilesIn(path) : [path];
}

async function judgeFile(file: string, set: TriggerSet, ofManifests: readonly Problem[]): Promise<JudgedFile> {
  const hasErrors = set.problems.some(({ severity }) => severity === 'error');
  if (hasErrors) return { file, problems: ofManifests, fixtures: [] };
  if (set.triggers.length === 0) {
    const message =
      'there is no trigger in its directory or below it; fixtures stand beside the triggers that they test';
    return { file, problems: [{ severity: 'error', file, line: 1, column: 1, field: '', message }], fixtures: [] };
  }
  const read = await readFixtureFile(file, set.triggers);
  const problems = read.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { file, problems, fixtures: problems.length > 0 ? [] : read.fixtures.map((one) => judge(one, read)) };
}

function judge(fixture: Fixture, { triggers }: FixtureFile): Judged {
  const explained = triggers.map((trigger) => ({
    trigger: trigger.name,
    explanation: explain(trigger, fixture.event),
  }));
  const passing = explained.filter(({ explanation }) => explanation.passes).map(({ trigger }) => trigger);
  const wrong = explained.filter(({ trigger, explanation }) => {
    return explanation.passes !== fixture.expected.includes(trigger);
  });
  return { ...fixture, actual: passing.toSorted(), wrong };
}

function textOf(files: readonly JudgedFile[]): string {
  const fixtures = files.flatMap((file) => file.fixtures);
  const failed = fixtures.filter((one) => !isOk(one)).length;
  const errors = files.flatMap(({ problems }) => problems).length;
  const counts = [count(fixtures.length - failed, 'fixture'), ' ok', ...(failed > 0 ? [`, ${failed} failed`] : [])];
  const wrong = errors > 0 ? `, ${count(errors, 'error')} in files` : '';
  return `${files.map(fileText).join('')}${counts.join('')}${wrong}\n`;
}

function fileText({ file, problems, fixtures }: JudgedFile): string {
  if (problems.length > 0) return problems.map((problem) => `error: ${problemText(problem)}\n`).join('');
  const failed = fixtures.filter((one) => !isOk(one));
  if (failed.length === 0) return `ok      ${file}: ${count(fixtures.length, 'fixture')}\n`;
  return `FAILED  ${file}: ${failed.length} of ${count(fixtures.length, 'fixture')}\n${failed.map((one) => failureText(file, one)).join('')}\n`;
}

function failureText(file: string, { name, line, expected, actual, wrong }: Judged): string {
  const details = wrong.map(({ trigger, explanation }) => {
    const { passes, reasons } = explanation;
    const verdict = passes ? `+ ${trigger} gets it and should not` : `- ${trigger} should get it and does not`;
    return `      ${verdict}: ${metText(explanation)}\n${reasonLines(reasons, '          ')}`;
  });
  return `
  ${file}:${line}: ${printable(name)}
      expected: ${listed(expected)}
      actual:   ${listed(actual)}
${details.join('')}`;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? '(none)' : names.join(', ');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function jsonOf(files: readonly JudgedFile[]) {
  return {
    ok: files.every(isGood),
    files: files.map(({ file, problems, fixtures }) => ({
      file,
      problems,
      fixtures: fixtures.map((one) => {
        const wrong = one.wrong.map(({ trigger, explanation: { passes, conditions, met, reasons } }) => {
          return { trigger, passes, conditions, met, reasons };
        });
        const { name, line, expected, actual } = one;
        return { name, line, ok: isOk(one), expected, actual, wrong };
      }),
    })),
  };
}
