import { startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { judge, median, printTable, quantile } from './lib/figures.ts';
import { startLoad } from './lib/load.ts';
import { type LogKind, logKinds, withLog } from './lib/logs.ts';
import { pause } from './lib/pause.ts';
import { SinkProcess } from './lib/sink.ts';
import type { BenchOptions } from './run.ts';

const rates = [200, 2_000];
const warmSeconds = 5;

interface Figures {
  readonly log: LogKind;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** From sending an event, through the ingress and the log, to its arrival at the subscriber. */
export async function latency({ brokers, rounds, seconds = 10, signal }: BenchOptions): Promise<boolean> {
  const results: Figures[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const log of logKinds) {
      for (const rate of rates) {
        const one = await withLog(log, brokers, (args) => measure(args, log, rate, seconds, signal));
        results.push(one);
        console.log(`round ${round}, ${log}, ${rate}/s: p50 ${one.p50.toFixed(1)} ms, p99 ${one.p99.toFixed(1)} ms`);
      }
    }
  }
  const of = (log: LogKind, rate: number, figure: 'p50' | 'p99' | 'p999'): number =>
    median(results.filter((one) => one.log === log && one.rate === rate).map((one) => one[figure]));
  console.log(`\nMedians of ${rounds} rounds of ${seconds} s, events of 1 KB, one trigger, an instant subscriber.\n`);
  printTable(
    ['', 'events/s', 'p50, ms', 'p99, ms', 'p99.9, ms'],
    logKinds.flatMap((log) =>
      rates.map((rate) => [
        ...[log, rate],
        ...(['p50', 'p99', 'p999'] as const).map((figure) => of(log, rate, figure).toFixed(1)),
      ]),
    ),
  );
  console.log('');
  return logKinds
    .map((log) => [log, of(log, 2_000, 'p50')] as const)
    .map(([log, p50]) => judge(`p50 at 2,000/s on ${log} below 3 ms: ${p50.toFixed(1)}`, p50 < 3))
    .every(Boolean);
}

async function measure(
  args: readonly string[],
  log: LogKind,
  rate: number,
  seconds: number,
  signal: AbortSignal,
): Promise<Figures> {
  const sink = await SinkProcess.start(1);
  const posthorn = await startPosthorn(args);
  try {
    await applyTo(posthorn.adminUrl, triggerYaml('bench', sink.urls[0] ?? ''));
    const load = startLoad({ url: posthorn.url, perSecond: rate, types: 1 });
    await pause(warmSeconds, signal);
    await sink.reset();
    await pause(seconds, signal);
    const latencies = (await sink.latencies()).flat();
    await load.stop();
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => quantile(latencies, share));
    return { log, rate, p50: p50 ?? Number.NaN, p99: p99 ?? Number.NaN, p999: p999 ?? Number.NaN };
  } finally {
    await posthorn.kill();
    await sink.stop();
  }
}
