import { randomBytes } from 'node:crypto';
import { startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { until } from '../test/support/until.ts';
import { cpuSecondsOf, judge, median, printTable } from './lib/figures.ts';
import { SinkProcess } from './lib/sink.ts';
import { fillTopic } from './lib/topic.ts';
import type { BenchOptions } from './run.ts';

/** Knative's Kafka Broker delivers this many ordered events a second, a ceiling (measured apart, on such a machine). */
const knativePerSecond = 250;
const keys = 10_000;
const events = 60_000;

const variants = [
  { name: 'unordered', order: 'unordered', failKey: null },
  { name: 'ordered', order: 'ordered', failKey: null },
  { name: 'ordered, one key fails', order: 'ordered', failKey: 'k1' },
] as const;

type Variant = (typeof variants)[number];

interface Figures {
  readonly perSecond: number;
  readonly cpuPer100k: number;
  readonly sinkCpuPer100k: number;
}

/** Deliveries a second of an ordered trigger with 10,000 keys to an instant handler, beside an unordered one. */
export async function ordered({ brokers, rounds, signal }: BenchOptions): Promise<boolean> {
  const results = new Map<Variant, Figures[]>(variants.map((variant) => [variant, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const variant of variants) {
      signal.throwIfAborted();
      const figures = await measure(brokers, variant);
      results.get(variant)?.push(figures);
      console.log(`round ${round}, ${variant.name}: ${Math.round(figures.perSecond)} deliveries/s`);
    }
  }
  const rows = variants.map((variant) => {
    const all = results.get(variant) ?? [];
    const of = (figure: keyof Figures) => median(all.map((one) => one[figure]));
    return { variant, perSecond: of('perSecond'), cpu: of('cpuPer100k'), sinkCpu: of('sinkCpuPer100k') };
  });
  console.log(
    `\nMedians of ${rounds} rounds, ${events} events of 1 KB over ${keys} keys and 8 partitions, one trigger.\n`,
  );
  printTable(
    ['', 'deliveries/s', 'CPU s per 100k', 'CPU s per 100k of the sink'],
    rows.map(({ variant, perSecond, cpu, sinkCpu }) => [
      variant.name,
      Math.round(perSecond),
      cpu.toFixed(2),
      sinkCpu.toFixed(2),
    ]),
  );
  const [unordered = 0, inOrder = 0, failing = 0] = rows.map(({ perSecond }) => perSecond);
  console.log(`\nordered is ${(inOrder / unordered).toFixed(2)} of unordered`);
  return [
    judge(
      `ordered at least 40 times Knative's ${knativePerSecond}/s: ${(inOrder / knativePerSecond).toFixed(1)} times`,
      inOrder >= 40 * knativePerSecond,
    ),
    judge(
      `one failing key leaves the others their rate: ${(failing / inOrder).toFixed(2)} of it (at least 0.9)`,
      failing >= 0.9 * inOrder,
    ),
  ].every(Boolean);
}

async function measure(brokers: string, { order, failKey }: Variant): Promise<Figures> {
  const prefix = `bench${randomBytes(4).toString('hex')}`;
  const args = ['--kafka', brokers, '--prefix', prefix, '--replication-factor', '1'];
  const sink = await SinkProcess.start(1);
  try {
    await sink.failKey(failKey);
    // Applied first and filled while nobody reads, so that the whole topic waits when the clock starts.
    const before = await startPosthorn(args);
    const annotations = { 'kafka.eventing.knative.dev/delivery.order': order };
    await applyTo(before.adminUrl, triggerYaml('bench', sink.urls[0] ?? '', { annotations }));
    await before.stop();
    await fillTopic(brokers, `${prefix}.default.default`, events, keys);

    const posthorn = await startPosthorn(args, {}, { awaitsReady: false });
    const wanted = failKey === null ? events : events - Math.ceil(events / keys);
    // The first tenth warms the code, the last has fewer keys left.
    const [from, to] = [Math.floor(wanted * 0.1), Math.floor(wanted * 0.9)];
    const begin = await reach(sink, from, posthorn.pid);
    const end = await reach(sink, to, posthorn.pid);
    await reach(sink, wanted, posthorn.pid);
    await posthorn.kill();
    const deliveries = end.count - begin.count;
    return {
      perSecond: (1_000 * deliveries) / (end.atMs - begin.atMs),
      cpuPer100k: (100_000 * (end.cpu - begin.cpu)) / deliveries,
      sinkCpuPer100k: (100_000 * (end.sinkCpu - begin.sinkCpu)) / deliveries,
    };
  } finally {
    await sink.stop();
  }
}

async function reach(sink: SinkProcess, wanted: number, pid: number) {
  let state = await sink.count();
  const count = () => state.counts[0] ?? 0;
  await until(
    async () => {
      state = await sink.count();
      return count() >= wanted;
    },
    `${wanted} deliveries`,
    300_000,
  );
  return { count: count(), atMs: performance.now(), cpu: cpuSecondsOf(pid), sinkCpu: state.cpuSeconds };
}
