import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPosthorn } from '../test/support/posthorn.ts';
import { kafkajsQuiet } from './lib/contestant.ts';
import { cpuSecondsOf, per100k, quantile } from './lib/figures.ts';
import type { BenchOptions } from './lib/line.ts';
import { kafkaLog, type LogKind, logKinds, recordsOf, withLog } from './lib/logs.ts';
import { pause } from './lib/pause.ts';
import { Samples } from './lib/samples.ts';
import { postRequest, startPosting } from './traffic/post.ts';

const data = Buffer.alloc(800, 'x');
const batchSize = 100;
const connections = 64;

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

type Figure = 'perSecond' | 'cpuPer100k' | 'loadCpuPer100k' | 'p50' | 'p99' | 'refused';
type Load = 'single' | 'batch' | 'half';

/** What single events on Kafka are measured beside (bare-ingress.ts). */
const references = ['node:http and kafkajs', 'node:http alone'] as const;
type Reference = (typeof references)[number];

/** Requests a second that the ingress takes, what they cost, and how long they take at half of that rate. */
export async function ingest(options: BenchOptions): Promise<void> {
  const { brokers, rounds, isQuick, report, signal } = options;
  const seconds = options.seconds ?? (isQuick ? 1 : 8);
  // A quick run shows with Kafka that this line works; the embedded log has others.
  const logs: readonly LogKind[] = isQuick ? ['Kafka'] : logKinds;
  const warmSeconds = isQuick ? 0.2 : 4;
  const results = new Samples<`${LogKind} ${Load}` | Reference, Figure>();
  for (let round = 1; round <= rounds; round++) {
    for (const kind of logs) {
      // What the batches before it left in memory would be written while the latency of this one is measured.
      await promisify(execFile)('sync');
      await withLog(kind, brokers, async (log) => {
        const posthorn = await startPosthorn([...log.args, '--roles', 'ingress']);
        let accepted = 0;
        try {
          const measure = async (load: Load, request: Buffer, events: number, perSecond: number | null) => {
            const one = await measureIngest({ ...posthorn, request, events, perSecond, seconds, warmSeconds, signal });
            results.add(`${kind} ${load}`, one.figures);
            accepted += one.accepted;
            return one.figures.perSecond;
          };
          const most = await measure('single', single, 1, null);
          // Before the batches, which leave so much to be written to disk that what comes next waits for it.
          await measure('half', single, 1, Math.max(1, Math.floor(most / 2)));
          await measure('batch', batch, batchSize, null);
        } finally {
          await posthorn.kill();
        }
        const kept = await recordsOf(log);
        if (kept < accepted) report.fault(`${accepted} events were accepted on ${kind}, and its log holds ${kept}`);
      });
      const last = (load: Load, figure: Figure) => results.of(`${kind} ${load}`, figure).at(-1) ?? Number.NaN;
      report.say(
        `round ${round}, ${kind}: ${Math.round(last('single', 'perSecond'))} requests/s, ` +
          `${Math.round(last('batch', 'perSecond'))} events/s in batches, ` +
          `p99 ${last('half', 'p99').toFixed(1)} ms at half the rate`,
      );
    }
    for (const name of references) {
      const bare = await startBare(name, brokers);
      try {
        const load = { request: single, events: 1, perSecond: null };
        results.add(name, (await measureIngest({ ...bare, ...load, seconds, warmSeconds, signal })).figures);
      } finally {
        await bare.kill();
      }
      report.say(`round ${round}, ${name}: ${Math.round(results.of(name, 'perSecond').at(-1) ?? 0)} requests/s`);
    }
  }
  report.say(`\nMedians of ${rounds} rounds of ${seconds} s, events of 1 KB, ${connections} connections.\n`);
  const of = (kind: LogKind, load: Load, figure: Figure) => results.median(`${kind} ${load}`, figure);
  const [cpu, cpuOfBatches, p99] = ['CPU s per 100k', 'CPU s per 100k events in batches', 'p99 at half rate, ms'];
  report.table(
    [
      { name: '' },
      { name: 'requests/s', isCharted: true },
      { name: cpu, digits: 2, isCharted: true },
      { name: 'CPU s per 100k of the load', digits: 2 },
      { name: `events/s in batches of ${batchSize}`, isCharted: true },
      { name: cpuOfBatches, digits: 2, isCharted: true },
      { name: 'CPU s per 100k of their load', digits: 2 },
      { name: 'p50 at half rate, ms', digits: 1 },
      { name: p99, digits: 1, isCharted: true },
    ],
    logs.map((kind) => [
      kind,
      ...(['single', 'batch'] as const).flatMap((load) =>
        (['perSecond', 'cpuPer100k', 'loadCpuPer100k'] as const).map((figure) => of(kind, load, figure)),
      ),
      of(kind, 'half', 'p50'),
      of(kind, 'half', 'p99'),
    ]),
  );
  report.say('\nSingle events beside what the same libraries take by themselves (bench/bare-ingress.ts).\n');
  report.table(
    [{ name: '' }, { name: 'requests/s' }, { name: cpu, digits: 2 }, { name: 'CPU, times the bare one', digits: 2 }],
    (['Kafka single', ...references] as const).map((name) => [
      name === 'Kafka single' ? 'Posthorn' : name,
      results.median(name, 'perSecond'),
      results.median(name, 'cpuPer100k'),
      results.ratio(name, references[0], 'cpuPer100k'),
    ]),
  );
  report.say();
  const mark = (column: string, at: number) => [{ column, row: 'Kafka', at }];
  report.target(
    'single events on Kafka, CPU s per 100k',
    of('Kafka', 'single', 'cpuPer100k'),
    { atMost: 4.5 },
    { digits: 2, marks: mark(cpu, 4.5) },
  );
  report.target(
    'batches on Kafka, CPU s per 100k events',
    of('Kafka', 'batch', 'cpuPer100k'),
    { atMost: 2.5 },
    { digits: 2, marks: mark(cpuOfBatches, 2.5) },
  );
  report.target(
    'p99 on Kafka at half of the maximum rate, ms',
    of('Kafka', 'half', 'p99'),
    { below: 15 },
    { digits: 1, marks: mark(p99, 15) },
  );
  const refused = logs.flatMap((kind) =>
    (['single', 'batch', 'half'] as const).flatMap((load) => results.of(`${kind} ${load}`, 'refused')),
  );
  report.target(
    'requests refused',
    refused.reduce((sum, count) => sum + count, 0),
    { atMost: 0 },
  );
}

/** Starts the reference on a topic of its own. */
async function startBare(name: Reference, brokers: string) {
  const log = kafkaLog(brokers);
  let topic = '';
  if (name !== 'node:http alone') {
    const kafka = await log.open();
    await kafka.ensureTopics([log.topic], { partitions: 8, retentionMs: null, maxMessageBytes: 1_114_112 });
    await kafka.close();
    topic = log.topic;
  }
  const file = fileURLToPath(new URL('./bare-ingress.ts', import.meta.url));
  const env = { ...process.env, TOPIC: topic, BROKERS: brokers };
  const child = spawn(process.execPath, [kafkajsQuiet, file], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const failed = ended.then(() => {
    throw new Error(`${name} has ended`);
  });
  const [port] = await Promise.race([once(child.stdout, 'data'), failed]);
  failed.catch(() => {});
  return {
    pid: child.pid ?? 0,
    url: `http://127.0.0.1:${Number(String(port))}`,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

interface MeasureOptions {
  readonly pid: number;
  readonly url: string;
  readonly request: Buffer;
  /** In one request. */
  readonly events: number;
  readonly perSecond: number | null;
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly signal: AbortSignal;
}

/** @returns how many events were accepted too, the warming included */
async function measureIngest(options: MeasureOptions): Promise<{ figures: Record<Figure, number>; accepted: number }> {
  const { pid, url, request, events, perSecond, seconds, warmSeconds, signal } = options;
  const order = { port: Number(new URL(url).port), connections, request, perSecond };
  await pause(warmSeconds / 4, signal);
  const warming = await startPosting(order);
  await pause(warmSeconds, signal);
  const { accepted: warmed } = await warming.stop();
  const posting = await startPosting(order);
  const cpu = cpuSecondsOf(pid);
  await pause(seconds, signal);
  const { accepted, refused, latencies, cpuSeconds, tookMs } = await posting.stop();
  const figures = {
    perSecond: (1_000 * accepted * events) / tookMs,
    cpuPer100k: per100k(cpuSecondsOf(pid) - cpu, accepted * events),
    loadCpuPer100k: per100k(cpuSeconds, accepted * events),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    refused,
  };
  return { figures, accepted: (warmed + accepted) * events };
}
