import { median, quantile } from './lib/figures.ts';
import type { BenchOptions } from './lib/line.ts';
import { type LogKind, logKinds, withLog } from './lib/logs.ts';
import { type Steady, steady } from './lib/steady.ts';

const rate = 2_000;
const growthMax = 1.1;
const memoryMaxMiB = 300;

/** Resident memory over a long time under a steady load, on each log for as long, once. */
export async function soak(options: BenchOptions): Promise<void> {
  const { brokers, isQuick, report, signal } = options;
  const seconds = options.seconds ?? (isQuick ? 1 : 600);
  const warmSeconds = isQuick ? 0.3 : 5;
  // Ten seconds apart, and at least three of a third.
  const sampleSeconds = Math.min(10, seconds / 9);
  // A quick run shows with the embedded log that this line works; Kafka has others.
  const logs: readonly LogKind[] = isQuick ? ['embedded'] : logKinds;
  const results: [LogKind, Steady][] = [];
  for (const kind of logs) {
    const one = await withLog(kind, brokers, ({ args }) =>
      steady({ args, rate, warmSeconds, seconds, sampleSeconds, signal }),
    );
    if (one.missing > 0) report.fault(`${kind}: ${one.missing} of ${one.accepted} events are missing`);
    results.push([kind, one]);
    report.say(`${kind}: ${one.accepted} events accepted, ${one.refused} refused, all but ${one.missing} have arrived`);
  }
  report.say(
    `\n${seconds} s each at ${rate} events/s of 1 KB, one trigger, an instant subscriber; memory is resident memory, ` +
      `looked at each ${sampleSeconds.toFixed(1)} s, medians of each third of the time.\n`,
  );
  const rows = results.map(([kind, one]) => ({ kind, ...one, thirds: thirdsOf(one.residentMiB) }));
  const last = 'memory in the last third, MiB';
  report.table(
    [
      { name: '' },
      { name: 'memory in the first third, MiB' },
      { name: 'in the second third, MiB' },
      { name: last, isCharted: true },
      { name: 'most, MiB', isCharted: true },
      { name: 'from sending to arrival: p50, ms', digits: 1, isCharted: true },
      { name: 'p99, ms', digits: 1, isCharted: true },
      { name: 'events missing' },
      { name: 'CPU of the load, % of a core', digits: 1 },
    ],
    rows.map(({ kind, thirds, residentMiB, latencies, missing, loadCpuPercent }) => [
      ...[kind, ...thirds, Math.max(...residentMiB)],
      ...[quantile(latencies, 0.5), quantile(latencies, 0.99), missing, loadCpuPercent],
    ]),
  );
  report.keep(
    [{ name: 'seconds' }, ...rows.map(({ kind }) => ({ name: `${kind}: memory, MiB`, digits: 1 }))],
    (rows[0]?.residentMiB ?? []).map((_, n) => [
      ((n + 1) * sampleSeconds).toFixed(1),
      ...rows.map(({ residentMiB }) => residentMiB[n] ?? Number.NaN),
    ]),
  );
  report.say();
  for (const { kind, thirds, residentMiB } of rows) {
    const [, second = Number.NaN, third = Number.NaN] = thirds;
    report.target(
      `memory on ${kind}: the last third, times the second`,
      third / second,
      { atMost: growthMax },
      { digits: 2, marks: [{ column: last, row: kind, at: growthMax * second }] },
    );
    const marks = [{ column: 'most, MiB', row: kind, at: memoryMaxMiB }];
    report.target(`memory on ${kind}, MiB`, Math.max(...residentMiB), { below: memoryMaxMiB }, { marks });
  }
}

/** The medians of the first, second and last third. */
function thirdsOf(values: readonly number[]): number[] {
  const end = (third: number): number => Math.round((third * values.length) / 3);
  return [1, 2, 3].map((third) => median(values.slice(end(third - 1), end(third))));
}
