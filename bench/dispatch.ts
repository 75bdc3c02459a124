import { type BacklogFigures, measureInTurn } from './lib/backlog.ts';
import { bareLoop, type Contestant, peer, posthorn } from './lib/contestant.ts';
import { type BenchOptions, quickEvents } from './lib/line.ts';

/** What the bare loop and Posthorn were to do side by side: 28,000 of its 33,000 deliveries a second. */
const shareMin = 28 / 33;
const cpuRatioMax = 1.25;
const memoryMaxMiB = 300;

/** Deliveries a second, their CPU and memory, of one trigger from a full topic: beside the bare loop in the same run. */
export async function dispatch(options: BenchOptions): Promise<void> {
  const { rounds, isQuick, report } = options;
  // V8 compiles the hot functions of both in the first 100,000; what is to be compared is how they go on.
  const events = isQuick ? quickEvents : 400_000;
  const ours = posthorn();
  const contestants = [bareLoop, ours, ...(options.peer === undefined ? [] : [peer(options.peer)])];
  const results = await measureInTurn(
    options,
    contestants.map((contestant) => ({ contestant, events })),
  );
  const of = ({ name }: Contestant, figure: keyof BacklogFigures): number => results.median(name, figure);
  report.say(
    `\nMedians of ${rounds} rounds, ${events} events of 1 KB, 8 partitions, one trigger, an instant subscriber.\n`,
  );
  const [rate, cpu, memory] = ['deliveries/s', 'CPU s per 100k', 'peak memory, MiB'];
  report.table(
    [
      { name: '' },
      { name: rate, isCharted: true },
      { name: cpu, digits: 2, isCharted: true },
      { name: 'CPU s per 100k of the sink', digits: 2 },
      { name: memory, isCharted: true },
    ],
    contestants.map((one) => [
      one.name,
      of(one, 'perSecond'),
      of(one, 'cpuPer100k'),
      of(one, 'sinkCpuPer100k'),
      of(one, 'peakMiB'),
    ]),
  );
  report.say();
  const row = ours.name;
  report.target(
    "CPU, times the bare loop's",
    results.ratio(ours.name, bareLoop.name, 'cpuPer100k'),
    { atMost: cpuRatioMax },
    { digits: 2, marks: [{ column: cpu, row, at: cpuRatioMax * of(bareLoop, 'cpuPer100k') }] },
  );
  report.target(
    "deliveries/s, times the bare loop's",
    results.ratio(ours.name, bareLoop.name, 'perSecond'),
    { atLeast: shareMin },
    { digits: 2, marks: [{ column: rate, row, at: shareMin * of(bareLoop, 'perSecond') }] },
  );
  const memoryMax = Math.min(memoryMaxMiB, of(bareLoop, 'peakMiB'));
  report.target(
    `peak memory, MiB (the bare loop's, and ${memoryMaxMiB})`,
    of(ours, 'peakMiB'),
    { atMost: memoryMax },
    { marks: [{ column: memory, row, at: memoryMax }] },
  );
}
