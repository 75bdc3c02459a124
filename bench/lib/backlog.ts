import { until } from '../../test/support/until.ts';
import { SinkProcess } from '../traffic/sink.ts';
import type { Contestant, Running } from './contestant.ts';
import { peakMiB, per100k } from './figures.ts';
import type { BenchOptions } from './line.ts';
import { openKafka } from './logs.ts';
import { within } from './pause.ts';
import { Samples } from './samples.ts';
import { fillTopic } from './topic.ts';

export interface Backlog {
  /** Of 1 KB, as their headers count. */
  readonly events: number;
  /** Different partition keys; 0 for none. */
  readonly keys?: number;
  /** Events of this key fail always; null for none. */
  readonly failKey?: string | null;
  /** Whether it is ended as its user does it, not killed. */
  readonly isStopped?: boolean;
}

export interface BacklogFigures {
  readonly perSecond: number;
  /** Of all its processes together, as is the memory. */
  readonly cpuPer100k: number;
  readonly sinkCpuPer100k: number;
  readonly peakMiB: number;
}

export interface Subject extends Backlog {
  readonly contestant: Contestant;
}

/**
 * Measures them in turn, in as many rounds as there are to be: back and forth, so that none is always the first after
 * the machine has slowed down. The figures are by the names of the contestants.
 * @throws Error as `measureBacklog`
 */
export async function measureInTurn(
  { brokers, rounds, report, signal }: BenchOptions,
  subjects: readonly Subject[],
): Promise<Samples<string, keyof BacklogFigures>> {
  const results = new Samples<string, keyof BacklogFigures>();
  for (let round = 1; round <= rounds; round++) {
    for (const { contestant, ...backlog } of round % 2 === 1 ? subjects : subjects.toReversed()) {
      signal.throwIfAborted();
      const figures = await measureBacklog(brokers, contestant, backlog);
      results.add(contestant.name, figures);
      report.say(
        `round ${round}, ${contestant.name}: ${Math.round(figures.perSecond)} deliveries/s, ` +
          `${figures.cpuPer100k.toFixed(2)} CPU s per 100k, ${Math.round(figures.peakMiB)} MiB at its peak`,
      );
    }
  }
  return results;
}

/** After this a backlog is not delivered any more, in milliseconds. */
const timeoutMs = 300_000;

/**
 * How fast, and at what cost, a topic full of events gets to an instant subscriber. That answers nothing until all
 * processes of the contestant take part. @throws Error if the contestant ends, or does not deliver all events
 */
export async function measureBacklog(
  brokers: string,
  contestant: Contestant,
  { events, keys = 0, failKey = null, isStopped = false }: Backlog,
): Promise<BacklogFigures> {
  const sink = await SinkProcess.start(1);
  try {
    await sink.behave({ failKey });
    await sink.hold();
    const prepared = await contestant.prepare(brokers, sink.urls[0] ?? '');
    await fillTopic(() => openKafka(brokers), prepared.topic, events, keys);
    const running = await prepared.start();
    const wanted = failKey === null ? events : events - Math.ceil(events / keys);
    try {
      const delivered = Promise.race([deliver(sink, running, wanted), ending(running, contestant.name)]);
      return await within(timeoutMs, `${wanted} deliveries by ${contestant.name}`, delivered);
    } finally {
      await (isStopped ? running.stop() : running.kill());
    }
  } finally {
    await sink.stop();
  }
}

async function deliver(sink: SinkProcess, running: Running, wanted: number): Promise<BacklogFigures> {
  const pids = await running.ready();
  await until(async () => (await sink.count()).held > 0, 'the first delivery', timeoutMs);
  // The first tenth warms the code, the last has fewer keys left.
  const marks = await sink.marks({ at: [0.1, 0.9, 1].map((share) => Math.floor(wanted * share)), pids });
  const [begin, end] = marks;
  if (!begin || !end) throw new Error('the sink has told of no marks');
  const deliveries = end.count - begin.count;
  return {
    perSecond: (1_000 * deliveries) / (end.atMs - begin.atMs),
    cpuPer100k: per100k(end.cpuSeconds - begin.cpuSeconds, deliveries),
    sinkCpuPer100k: per100k(end.sinkCpuSeconds - begin.sinkCpuSeconds, deliveries),
    peakMiB: pids.reduce((sum, pid) => sum + peakMiB(pid), 0),
  };
}

async function ending(running: Running, name: string): Promise<never> {
  await running.ended;
  throw new Error(`${name} has ended before it had delivered all`);
}
