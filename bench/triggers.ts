import { type BacklogFigures, measurePrepared, type PreparedSubject, shownFigures } from './lib/backlog.ts';
import { posthorn } from './lib/contestant.ts';
import { type BenchOptions, quickEvents } from './lib/line.ts';
import { busyShare, isOfCommit, withProfile } from './lib/profile.ts';
import { Samples } from './lib/samples.ts';
import { SinkProcess } from './traffic/sink.ts';

/** CPU beside that with one trigger. */
const ratioMax = new Map([
  [1_000, 1.2],
  [10_000, 1.5],
]);
const memoryMaxMiB = 350;

/** What an event costs end to end beside T triggers, of which it matches one. */
export async function triggers(options: BenchOptions): Promise<void> {
  const { brokers, rounds, isQuick, report, signal } = options;
  // With fewer the beginning is what is measured, when ten consumers join and V8 compiles.
  const events = isQuick ? quickEvents : 200_000;
  const counts = isQuick ? [1, 10] : [1, 100, 1_000, 10_000];
  const results = new Samples<number, keyof BacklogFigures>();
  const commits = new Map<number, number>();
  const sink = await SinkProcess.start(1);
  try {
    // Once for all rounds: to make 10,000 topics takes Kafka minutes.
    const subjects = new Map<number, PreparedSubject>();
    for (const count of counts) {
      signal.throwIfAborted();
      const prepared = await posthorn({ otherTriggers: count - 1 }).prepare(brokers, sink.urls[0] ?? '');
      subjects.set(count, { sink, prepared, name: nameOf(count) });
    }
    // A subscriber that stands still would have what waits copied to its retry topic, where there are others. So few
    // events as those of a quick run would have gone by before anyone looks.
    const backlog = { events, isStopped: true, isHeld: isQuick };
    for (let round = 1; round <= rounds; round++) {
      for (const [count, subject] of round % 2 === 1 ? subjects : [...subjects].reverse()) {
        signal.throwIfAborted();
        const figures = await measurePrepared(brokers, subject, backlog);
        results.add(count, figures);
        report.say(`round ${round}, ${nameOf(count)}: ${shownFigures(figures)}`);
      }
    }
    // A round apart, as a profile costs time itself.
    for (const [count, subject] of isQuick ? [...subjects].slice(-1) : subjects) {
      signal.throwIfAborted();
      const profile = await withProfile((nodeArgs) => measurePrepared(brokers, subject, { ...backlog, nodeArgs }));
      commits.set(count, 100 * busyShare(profile, isOfCommit));
    }
  } finally {
    await sink.stop();
  }
  const of = (count: number, figure: keyof BacklogFigures): number => results.median(count, figure);
  report.say(
    `\nMedians of ${rounds} rounds, ${events} events of 1 KB, each for one of the triggers. The commits' share of the CPU ` +
      'is that of one more round with a profile: gathering and packing the settled offsets, and OffsetCommit.\n',
  );
  const [cpu, memory] = ['CPU s per 100k', 'peak memory, MiB'];
  report.table(
    [
      { name: 'triggers' },
      { name: 'deliveries/s', isCharted: true },
      { name: cpu, digits: 2, isCharted: true },
      { name: 'of it commits, %', digits: 1 },
      { name: 'CPU s per 100k of the sink', digits: 2 },
      { name: memory, isCharted: true },
    ],
    counts.map((count) => [
      String(count),
      of(count, 'perSecond'),
      of(count, 'cpuPer100k'),
      commits.get(count) ?? '',
      of(count, 'sinkCpuPer100k'),
      of(count, 'peakMiB'),
    ]),
  );
  report.say();
  for (const [count, most] of ratioMax) {
    if (!counts.includes(count)) continue;
    report.target(
      `CPU beside ${count} triggers, times that with one`,
      results.ratio(count, 1, 'cpuPer100k'),
      { atMost: most },
      { digits: 2, marks: [{ column: cpu, row: String(count), at: most * of(1, 'cpuPer100k') }] },
    );
  }
  if (!counts.includes(1_000)) return;
  const marks = [{ column: memory, row: '1000', at: memoryMaxMiB }];
  report.target('peak memory with 1,000 triggers, MiB', of(1_000, 'peakMiB'), { below: memoryMaxMiB }, { marks });
}

function nameOf(count: number): string {
  return `${count} triggers`;
}
