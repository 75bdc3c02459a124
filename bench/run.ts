import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type KafkaCluster, startKafkaCluster } from '../test/support/kafka/cluster.ts';
import { kafkaVersion } from '../test/support/kafka/runtime.ts';
import type { BenchOptions } from './lib/line.ts';
import { alone, lines } from './lines.ts';
import { chartOf } from './report/chart.ts';
import { LineReport } from './report/report.ts';
import { runReport } from './report/run-report.ts';

/**
 * `npm run bench -- NAME… [--rounds N] [--seconds N] [--peer 'COMMAND'] [--json FILE] [--chart FILE]`: measures these
 * lines of the benchmark, or all, on a real Kafka where they need one, which it starts unless KAFKA_BROKERS names one,
 * and prints the figures beside their targets. Ends with 1 if a target was missed, with 2 if a line has not done its
 * work. `--quick` (`npm run bench:quick`) is for the latter alone. Load goes to 127.0.0.1 only.
 */

/** A quick run measures nothing, so as many lines at once as keep two cores busy while some of them wait. */
const quickLinesAtOnce = 3;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error('interrupted')));
}

const began = new Date();
/** Of one line's Kafka, which may have 10,000 topics. */
const heapMib = 2_048;

let shared: KafkaCluster | null = null;
try {
  const { names, json, chart, ...measured } = parse(process.argv.slice(2));
  const { isQuick, rounds } = measured;
  const given = process.env.KAFKA_BROKERS;
  // Each line has a Kafka of its own, as what one leaves behind slows the next down.
  const needsKafka = !given && names.some((name) => !alone.has(name));
  shared = isQuick && needsKafka ? await startKafkaCluster() : null;
  const reports = new Map<string, LineReport>();
  const waiting = [...names];
  const runSome = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined && !interrupted.signal.aborted; name = waiting.shift()) {
      const own = given || shared || alone.has(name) ? null : await startKafkaCluster({ heapMib });
      try {
        const brokers = given || (own ?? shared)?.brokers.join() || '';
        reports.set(name, await runLine(name, { ...measured, brokers, signal: interrupted.signal }));
      } finally {
        await own?.stop();
      }
    }
  };
  await Promise.all(Array.from({ length: isQuick ? quickLinesAtOnce : 1 }, runSome));

  const done = names.flatMap((name) => reports.get(name) ?? []);
  if (done.some(({ isMet }) => !isMet) && !isQuick) process.exitCode = 1;
  if (interrupted.signal.aborted || done.some(({ faults }) => faults.length > 0)) process.exitCode = 2;
  const command = ['npm', 'run', 'bench', '--', ...process.argv.slice(2)].join(' ');
  const run = runReport(done, { began, command, rounds, isQuick, kafka: given ? null : kafkaVersion });
  if (json !== undefined) await writeFile(json, `${JSON.stringify(run, null, 2)}\n`);
  if (chart !== undefined) await writeFile(chart, chartOf(done, run));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  await shared?.stop();
}

/** A line that fails leaves the others to be measured. */
async function runLine(name: string, options: Omit<BenchOptions, 'report'>): Promise<LineReport> {
  const { isQuick } = options;
  // Lines that run at once are printed each in one piece.
  const kept: string[] = [];
  const print = (text: string): void => void (isQuick ? kept.push(text) : console.log(text));
  const report = new LineReport(name, { print, isJudged: !isQuick });
  report.say(`\n## ${name}\n`);
  const beganMs = performance.now();
  try {
    await lines[name]?.({ ...options, report });
  } catch (error) {
    report.fault(error instanceof Error ? error.message : String(error));
  }
  report.say(`\n(${Math.round((performance.now() - beganMs) / 1_000)} s)`);
  for (const text of kept) console.log(text);
  return report;
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const { values, positionals: names } = parseArgs({
    args: [...args],
    options: { rounds: text, seconds: text, peer: text, json: text, chart: text, quick: { type: 'boolean' } },
    allowPositionals: true,
  });
  const unknown = names.find((name) => !Object.hasOwn(lines, name));
  if (unknown !== undefined) throw new Error(`no line ${unknown}; there are ${Object.keys(lines).join(', ')}`);
  const { json, chart, peer, quick: isQuick = false } = values;
  return {
    names: names.length > 0 ? names : Object.keys(lines),
    rounds: numberOf('--rounds', values.rounds) ?? (isQuick ? 1 : 3),
    seconds: numberOf('--seconds', values.seconds),
    ...{ json, chart, peer, isQuick },
  };
}

function numberOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new Error(`${name} ${value}: must be a whole number from 1 on`);
  return Number(value);
}
