import { startPosthorn } from '../test/support/posthorn.ts';
import { cpuSecondsOf, judge, median, printTable, residentMiB } from './lib/figures.ts';
import { type LogKind, logKinds, withLog } from './lib/logs.ts';
import { pause } from './lib/pause.ts';
import type { BenchOptions } from './run.ts';

interface Figures {
  readonly log: LogKind;
  readonly readyMs: number;
  readonly idleShare: number;
  readonly residentMiB: number;
}

/** From the start of the process until it is ready, and what it takes while it has nothing to do. */
export async function start({ brokers, rounds, seconds = 10, signal }: BenchOptions): Promise<boolean> {
  const results: Figures[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const log of logKinds) {
      const one = await withLog(log, brokers, async (args) => {
        const beganMs = performance.now();
        const posthorn = await startPosthorn(args);
        try {
          const readyMs = performance.now() - beganMs;
          await pause(2, signal);
          const before = cpuSecondsOf(posthorn.pid);
          await pause(seconds, signal);
          const idleShare = (cpuSecondsOf(posthorn.pid) - before) / seconds;
          return { log, readyMs, idleShare, residentMiB: residentMiB(posthorn.pid) };
        } finally {
          await posthorn.kill();
        }
      });
      results.push(one);
      console.log(
        `round ${round}, ${log}: ready after ${Math.round(one.readyMs)} ms, ${(100 * one.idleShare).toFixed(1)} % idle`,
      );
    }
  }
  const of = (log: LogKind, figure: 'readyMs' | 'idleShare' | 'residentMiB'): number =>
    median(results.filter((one) => one.log === log).map((one) => one[figure]));
  console.log(`\nMedians of ${rounds} rounds.\n`);
  printTable(
    ['', 'ready after, ms', 'CPU while idle, % of a core', 'memory, MiB'],
    logKinds.map((log) => [
      log,
      Math.round(of(log, 'readyMs')),
      (100 * of(log, 'idleShare')).toFixed(1),
      Math.round(of(log, 'residentMiB')),
    ]),
  );
  console.log('');
  const readyMs = of('embedded', 'readyMs');
  return [
    judge(`ready on the embedded log within 1 s: ${Math.round(readyMs)} ms`, readyMs < 1_000),
    ...logKinds.map((log) => {
      const percent = 100 * of(log, 'idleShare');
      return judge(`idle on ${log} below 1 % of a core: ${percent.toFixed(1)}`, percent < 1);
    }),
  ].every(Boolean);
}
