import { measureInTurn } from './lib/backlog.ts';
import { posthorn } from './lib/contestant.ts';
import { type BenchOptions, quickEvents } from './lib/line.ts';

/** Knative's Kafka Broker delivers this many ordered events a second, a ceiling (measured apart, on such a machine). */
const knativePerSecond = 250;
const timesKnativeMin = 40;
const shareMin = 0.6;
const failingShareMin = 0.9;

const [unordered, ordering, failing] = ['unordered', 'ordered', 'ordered, one key fails'] as const;
const variants = [
  { name: unordered, order: 'unordered', failKey: null },
  { name: ordering, order: 'ordered', failKey: null },
  { name: failing, order: 'ordered', failKey: 'k1' },
] as const;

/** Deliveries a second of an ordered trigger with many keys to an instant handler, beside an unordered one. */
export async function ordered(options: BenchOptions): Promise<void> {
  const { rounds, isQuick, report } = options;
  const events = isQuick ? quickEvents : 60_000;
  const keys = isQuick ? 1_000 : 10_000;
  const results = await measureInTurn(
    options,
    variants.map(({ name, order, failKey }) => {
      const annotations = { 'kafka.eventing.knative.dev/delivery.order': order };
      return { contestant: posthorn({ name, annotations }), events, keys, failKey };
    }),
  );
  report.say(
    `\nMedians of ${rounds} rounds, ${events} events of 1 KB over ${keys} keys and 8 partitions, one trigger.\n`,
  );
  const rate = 'deliveries/s';
  report.table(
    [
      { name: '' },
      { name: rate, isCharted: true },
      { name: 'CPU s per 100k', digits: 2, isCharted: true },
      { name: 'CPU s per 100k of the sink', digits: 2 },
    ],
    variants.map(({ name }) => [
      name,
      ...(['perSecond', 'cpuPer100k', 'sinkCpuPer100k'] as const).map((figure) => results.median(name, figure)),
    ]),
  );
  report.say();
  const of = (name: string): number => results.median(name, 'perSecond');
  report.target(
    'ordered, times unordered',
    results.ratio(ordering, unordered, 'perSecond'),
    { atLeast: shareMin },
    { digits: 2, marks: [{ column: rate, row: ordering, at: shareMin * of(unordered) }] },
  );
  report.target(
    `ordered, times Knative's ${knativePerSecond}/s`,
    of(ordering) / knativePerSecond,
    { atLeast: timesKnativeMin },
    { digits: 1 },
  );
  report.target(
    'the others beside one failing key, times their rate without',
    results.ratio(failing, ordering, 'perSecond'),
    { atLeast: failingShareMin },
    { digits: 2, marks: [{ column: rate, row: failing, at: failingShareMin * of(ordering) }] },
  );
}
