import { parseSince } from '../console/since.ts';
import type { TryProgress, TrySample } from '../console/try.ts';
import { samplesDefault, samplesMax } from '../console/try-route.ts';
import { systemClock } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';
import { connect, RefusedError, serverOption, type TryOutcome } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { reasonLines } from './explained.ts';
import { filenameOption, givenFiles, namespaceOption, writeProblems } from './manifests.ts';
import { type GivenOptions, textOption } from './options.ts';
import { showBar } from './progress.ts';
import { formatCount } from './send/tally.ts';
import { table } from './table.ts';

const sinceDefault = '1h';

/** `posthorn try`: what a new or changed filter would have matched. */
export const tryCommand: Command = {
  name: 'try',
  summary: "Try a trigger's filter on the events in the log, before it is applied",
  usage: '-f FILE|DIR|- [--since 1h] [--trigger NAME] [--samples N] [-o json]',
  about:
    'Reads what the broker of the trigger got since then, and says how many of the events the filter matches and what would change against the running version of the trigger. Nothing is applied, delivered or committed. A busy Posthorn goes on with its work meanwhile.',
  options: [
    filenameOption,
    {
      name: 'since',
      value: 'TIME',
      help: `From when on, by the time of the append: a duration before now, as 30m, 7d or PT1H, or a time as 2026-01-31T12:00:00Z (default ${sinceDefault})`,
    },
    { name: 'trigger', value: 'NAME', help: 'Which trigger, where the files have several' },
    {
      name: 'samples',
      value: 'N',
      help: `How many events of each kind are shown, 0 to ${samplesMax} (default ${samplesDefault})`,
    },
    namespaceOption,
    { name: 'output', short: 'o', value: 'json', help: 'Print counts and samples as JSON' },
    serverOption,
  ],
  examples: [
    { command: 'posthorn try -f orders.yaml', does: 'says what the filter matches of the last hour' },
    {
      command: 'posthorn try -f triggers/ --trigger orders --since 7d --samples 20',
      does: 'the same for one trigger of a directory and the last week, with more samples',
    },
  ],
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, positionals, stdout, stderr } = invocation;
  if (positionals.length > 0) throw new UsageError(`try takes a file with -f, but got ${positionals.join(' ')}`);
  const output = textOption(options, 'output');
  if (output !== undefined && output !== 'json') {
    throw new UsageError(`-o ${output} is not known here; there is -o json`);
  }
  const query = {
    since: sinceOf(options),
    samples: samplesOf(options),
    trigger: textOption(options, 'trigger'),
    namespace: textOption(options, 'namespace'),
  };
  const client = connect(invocation);
  const files = await givenFiles(invocation);
  let progress: TryProgress = { read: 0, total: 0, matched: 0 };
  const bar = showBar(stderr, () => ({ share: shareOf(progress), text: progressText(progress) }));
  try {
    const outcome = await client.try(files, query, (now) => {
      progress = now;
    });
    bar.stop();
    stdout.write(output === 'json' ? `${JSON.stringify(outcome, null, 2)}\n` : textOf(outcome));
    return exitCodes.ok;
  } catch (error) {
    bar.stop();
    if (error instanceof RefusedError) writeProblems(stderr, error.problems);
    throw error;
  }
}

/** Checked here too, so that a mistake on the command line is one of usage. */
function sinceOf(options: GivenOptions): string {
  const since = textOption(options, 'since') ?? sinceDefault;
  const parsed = parseSince(since, systemClock.now());
  if ('problem' in parsed) throw new UsageError(`--since ${parsed.problem}`);
  return since;
}

function samplesOf(options: GivenOptions): string | undefined {
  const text = textOption(options, 'samples');
  if (text === undefined || (/^\d{1,3}$/.test(text) && Number(text) <= samplesMax)) return text;
  throw new UsageError(`--samples must be a whole number, 0 to ${samplesMax}, not ${text}`);
}

function shareOf({ read, total }: TryProgress): number {
  return total === 0 ? 0 : read / total;
}

function progressText({ read, total, matched }: TryProgress): string {
  return `${formatCount(read)} of ${formatCount(total)} events read  ${formatCount(matched)} match`;
}

function textOf({ tried, result }: TryOutcome): string {
  const { namespace, name, broker } = tried;
  const { events, unreadable, matched, undecided, compared, samples } = result;
  const whose = `broker ${namespace}/${broker} got since ${withoutFraction(tried.since)}`;
  if (events === 0)
    return `There is no event that ${whose}; --since looks further back.\n${unreadableText(unreadable)}`;
  return [
    `${name} matches ${formatCount(matched)} of ${count(events, 'event')} that ${whose}\n`,
    unreadableText(unreadable),
    compared === null ? 'There is no running version of it to compare with.\n' : comparedText(tried.running, compared),
    section('Newly matched', compared?.newlyMatched ?? 0, samples.newlyMatched),
    section('No longer matched', compared?.noLongerMatched ?? 0, samples.noLongerMatched),
    section('Matched', matched, samples.matched),
    section('No answer, so they would be dead-lettered', undecided, samples.undecided),
    section('Not matched', events - matched - undecided, samples.unmatched, 'the nearest, one of a type'),
  ].join('');
}

function unreadableText(unreadable: number): string {
  if (unreadable === 0) return '';
  return `${count(unreadable, 'record')} of the topic ${unreadable === 1 ? 'is no event' : 'are no events'} and not counted\n`;
}

function comparedText(
  generation: number | null,
  { matched, newlyMatched, noLongerMatched }: NonNullable<TryOutcome['result']['compared']>,
): string {
  const running = `the running version${generation === null ? '' : ` (generation ${generation})`}`;
  if (newlyMatched === 0 && noLongerMatched === 0) return `The same as ${running}\n`;
  const changes = `${formatCount(newlyMatched)} newly matched, ${formatCount(noLongerMatched)} no longer matched`;
  return `Against ${running}, which matches ${formatCount(matched)}: ${changes}\n`;
}

function section(title: string, total: number, samples: readonly TrySample[], which = 'the newest'): string {
  if (samples.length === 0) return '';
  const head = `${title} (${formatCount(total)})${samples.length < total ? `, ${which}` : ''}`;
  const [, ...rows] = table([titles, ...samples.map(cellsOf)]).split('\n');
  const lines = samples.map(({ reasons }, index) => `  ${rows[index]}\n${reasonLines(reasons, '      ')}`);
  return `\n${head}:\n${lines.join('')}`;
}

/** Of the columns; the headings say enough, so this row is not shown. */
const titles = ['-', '-', '-', '-', '-'];

function cellsOf({ appendedAt, id, source, type, subject }: TrySample): string[] {
  return [withoutFraction(appendedAt), id, source, type, subject ?? '-'];
}

function withoutFraction(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}

function count(number: number, noun: string): string {
  return `${formatCount(number)} ${noun}${number === 1 ? '' : 's'}`;
}
