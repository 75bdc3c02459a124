import { startPosthorn } from '../test/support/posthorn.ts';
import { cpuSecondsOf, judge, median, printTable, quantile } from './lib/figures.ts';
import { type LogKind, logKinds, withLog } from './lib/logs.ts';
import { pause } from './lib/pause.ts';
import { postRequest, startPosting } from './lib/post.ts';
import type { BenchOptions } from './run.ts';

const data = Buffer.alloc(800, 'x');
const batchSize = 100;
const connections = 64;
const warmSeconds = 2;

const single = postRequest(
  {
    'ce-specversion': '1.0',
    'ce-id': 'bench',
    'ce-source': '/bench/ingest',
    'ce-type': 'com.example.bench',
    'ce-subject': 'subject',
    'content-type': 'application/octet-stream',
  },
  data,
);
const member = { specversion: '1.0', id: 'bench', source: '/bench/ingest', type: 'com.example.bench' };
const batch = postRequest(
  { 'content-type': 'application/cloudevents-batch+json' },
  Buffer.from(
    JSON.stringify(Array.from({ length: batchSize }, () => ({ ...member, data: { text: data.toString() } }))),
  ),
);

interface Figures {
  readonly perSecond: number;
  readonly cpuPer100k: number;
  readonly p99: number;
  readonly refused: number;
}

/** Requests a second that the ingress takes, what they cost, and how long they take at half of that rate. */
export async function ingest({ brokers, rounds, seconds = 8, signal }: BenchOptions): Promise<boolean> {
  const results: { log: LogKind; single: Figures; batch: Figures; half: Figures }[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const log of logKinds) {
      const one = await withLog(log, brokers, async (args) => {
        const posthorn = await startPosthorn([...args, '--roles', 'ingress']);
        try {
          const measure = (request: Buffer, events: number, perSecond: number | null) =>
            measureIngest({ ...posthorn, request, events, perSecond, seconds, signal });
          const asFast = await measure(single, 1, null);
          return {
            ...{ log, single: asFast, batch: await measure(batch, batchSize, null) },
            half: await measure(single, 1, Math.floor(asFast.perSecond / 2)),
          };
        } finally {
          await posthorn.kill();
        }
      });
      results.push(one);
      console.log(
        `round ${round}, ${log}: ${Math.round(one.single.perSecond)} requests/s, ` +
          `${Math.round(one.batch.perSecond)} events/s in batches, p99 ${one.half.p99.toFixed(1)} ms at half the rate`,
      );
    }
  }
  const of = (log: LogKind, figure: (one: (typeof results)[number]) => number): number =>
    median(results.filter((one) => one.log === log).map(figure));
  console.log(`\nMedians of ${rounds} rounds of ${seconds} s, events of 1 KB, ${connections} connections.\n`);
  printTable(
    [
      '',
      'requests/s',
      'CPU s per 100k',
      `events/s in batches of ${batchSize}`,
      'CPU s per 100k',
      'p99 at half rate, ms',
    ],
    logKinds.map((log) => [
      log,
      Math.round(of(log, (one) => one.single.perSecond)),
      of(log, (one) => one.single.cpuPer100k).toFixed(2),
      Math.round(of(log, (one) => one.batch.perSecond)),
      of(log, (one) => one.batch.cpuPer100k).toFixed(2),
      of(log, (one) => one.half.p99).toFixed(1),
    ]),
  );
  console.log('');
  const singleCpu = of('Kafka', (one) => one.single.cpuPer100k);
  const batchCpu = of('Kafka', (one) => one.batch.cpuPer100k);
  const p99 = of('Kafka', (one) => one.half.p99);
  const refused = results.reduce((sum, one) => sum + one.single.refused + one.batch.refused + one.half.refused, 0);
  return [
    judge(`single events on Kafka at most 4.5 CPU s per 100k: ${singleCpu.toFixed(2)}`, singleCpu <= 4.5),
    judge(`batches on Kafka at most 2.5 CPU s per 100k events: ${batchCpu.toFixed(2)}`, batchCpu <= 2.5),
    judge(`p99 on Kafka at half of the maximum rate below 15 ms: ${p99.toFixed(1)}`, p99 < 15),
    judge(`none refused: ${refused}`, refused === 0),
  ].every(Boolean);
}

interface MeasureOptions {
  readonly pid: number;
  readonly url: string;
  readonly request: Buffer;
  /** In one request. */
  readonly events: number;
  readonly perSecond: number | null;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

async function measureIngest({
  pid,
  url,
  request,
  events,
  perSecond,
  seconds,
  signal,
}: MeasureOptions): Promise<Figures> {
  const order = { port: Number(new URL(url).port), connections, request, perSecond };
  await pause(0.5, signal);
  const warming = startPosting(order);
  await pause(warmSeconds, signal);
  await warming.stop();
  const posting = startPosting(order);
  const [beganMs, cpu] = [performance.now(), cpuSecondsOf(pid)];
  await pause(seconds, signal);
  const { accepted, refused, latencies } = await posting.stop();
  const tookMs = performance.now() - beganMs;
  return {
    perSecond: (1_000 * accepted * events) / tookMs,
    cpuPer100k: (100_000 * (cpuSecondsOf(pid) - cpu)) / (accepted * events),
    p99: quantile(latencies, 0.99),
    refused,
  };
}
