import { type BacklogFigures, measureBacklog } from './lib/backlog.ts';
import { bareLoop, type Contestant, peer, posthorn } from './lib/contestant.ts';
import { judge, median, printTable } from './lib/figures.ts';
import type { BenchOptions } from './run.ts';

const events = 100_000;
/** What the bare loop and Posthorn were to do side by side: 28,000 of its 33,000 deliveries a second. */
const shareMin = 28 / 33;
const cpuRatioMax = 1.25;

/** Deliveries a second, their CPU and memory, of one trigger from a full topic: beside the bare loop in the same run. */
export async function dispatch({ brokers, rounds, peer: peerCommand, signal }: BenchOptions): Promise<boolean> {
  const ours = posthorn();
  const contestants = [bareLoop, ours, ...(peerCommand === undefined ? [] : [peer(peerCommand)])];
  const results = new Map<Contestant, BacklogFigures[]>(contestants.map((one) => [one, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const contestant of contestants) {
      signal.throwIfAborted();
      const figures = await measureBacklog(brokers, contestant, { events, keys: 0 });
      results.get(contestant)?.push(figures);
      console.log(
        `round ${round}, ${contestant.name}: ${Math.round(figures.perSecond)} deliveries/s, ` +
          `${figures.cpuPer100k.toFixed(2)} CPU s per 100k, ${Math.round(figures.peakMiB)} MiB at its peak`,
      );
    }
  }
  const of = (contestant: Contestant, figure: keyof BacklogFigures): number =>
    median((results.get(contestant) ?? []).map((one) => one[figure]));
  console.log(
    `\nMedians of ${rounds} rounds, ${events} events of 1 KB, 8 partitions, one trigger, an instant subscriber.\n`,
  );
  printTable(
    ['', 'deliveries/s', 'CPU s per 100k', 'CPU s per 100k of the sink', 'peak memory, MiB'],
    contestants.map((one) => [
      one.name,
      Math.round(of(one, 'perSecond')),
      of(one, 'cpuPer100k').toFixed(2),
      of(one, 'sinkCpuPer100k').toFixed(2),
      Math.round(of(one, 'peakMiB')),
    ]),
  );
  console.log('');
  const cpuRatio = of(ours, 'cpuPer100k') / of(bareLoop, 'cpuPer100k');
  const share = of(ours, 'perSecond') / of(bareLoop, 'perSecond');
  return [
    judge(`CPU at most ${cpuRatioMax} times the bare loop's: ${cpuRatio.toFixed(2)} times`, cpuRatio <= cpuRatioMax),
    judge(`at least ${shareMin.toFixed(2)} of the bare loop's rate: ${share.toFixed(2)}`, share >= shareMin),
    judge(
      `peak memory at most the bare loop's and below 300 MiB: ${Math.round(of(ours, 'peakMiB'))}`,
      of(ours, 'peakMiB') <= Math.min(300, of(bareLoop, 'peakMiB')),
    ),
  ].every(Boolean);
}
