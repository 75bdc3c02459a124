import { median, quantile } from './lib/figures.ts';
import type { BenchOptions } from './lib/line.ts';
import { type LogKind, logKinds, withLog } from './lib/logs.ts';
import { type Steady, steady } from './lib/steady.ts';

const rate = 2_000;
const growthMax = 1.1;
const memoryMaxMiB = 300;

/** Resident memory over a long time under a steady load, on both logs at once. */
export async function soak(options: BenchOptions): Promise<void> {
  const { brokers, isQuick, report, signal } = options;
  const seconds = options.seconds ?? (isQuick ? 1 : 600);
  const warmSeconds = isQuick ? 0.3 : 5;
  // Ten seconds apart, and at least three of a third.
  const sampleSeconds = Math.min(10, seconds / 9);
  // A quick run shows with the embedded log that this line works; Kafka has others.
  const logs: readonly LogKind[] = isQuick ? ['embedded'] : logKinds;
  const results: readonly [LogKind, Steady][] = await Promise.all(
    logs.map(async (kind) => {
      const options = { rate, warmSeconds, seconds, sampleSeconds, signal };
      return [kind, await withLog(kind, brokers, ({ args }) => steady({ args, ...options }))];
    }),
  );
  for (const [kind, { accepted, refused, missing }] of results) {
    if (missing > 0) report.fault(`${kind}: ${missing} of ${accepted} events are missing`);
    report.say(`${kind}: ${accepted} events accepted, ${refused} refused, all but ${missing} have arrived`);
  }
  report.say(
    `\n${seconds} s at ${rate} events/s of 1 KB to each at once, one trigger, an instant subscriber; memory is resident ` +
      `memory, looked at each ${sampleSeconds.toFixed(1)} s, medians of each third of the time.\n`,
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
