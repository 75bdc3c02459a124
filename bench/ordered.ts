import { type BacklogFigures, measureBacklog } from './lib/backlog.ts';
import { posthorn } from './lib/contestant.ts';
import { judge, median, printTable } from './lib/figures.ts';
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

/** Deliveries a second of an ordered trigger with 10,000 keys to an instant handler, beside an unordered one. */
export async function ordered({ brokers, rounds, signal }: BenchOptions): Promise<boolean> {
  const results = new Map<Variant, BacklogFigures[]>(variants.map((variant) => [variant, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const variant of variants) {
      signal.throwIfAborted();
      const { name, order, failKey } = variant;
      const annotations = { 'kafka.eventing.knative.dev/delivery.order': order };
      const figures = await measureBacklog(brokers, posthorn({ name, annotations }), { events, keys, failKey });
      results.get(variant)?.push(figures);
      console.log(`round ${round}, ${variant.name}: ${Math.round(figures.perSecond)} deliveries/s`);
    }
  }
  const rows = variants.map((variant) => {
    const all = results.get(variant) ?? [];
    const of = (figure: keyof BacklogFigures) => median(all.map((one) => one[figure]));
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
