import { until } from '../../test/support/until.ts';
import { SinkProcess } from '../traffic/sink.ts';
import type { Contestant, Prepared, Running } from './contestant.ts';
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
  /** Whether the subscriber answers nothing until all processes take part; true if absent. */
  readonly isHeld?: boolean;
  /** Arguments of Node itself, for a contestant that runs on it. */
  readonly nodeArgs?: readonly string[];
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
      report.say(`round ${round}, ${contestant.name}: ${shownFigures(figures)}`);
    }
  }
  return results;
}

export function shownFigures({ perSecond, cpuPer100k, peakMiB }: BacklogFigures): string {
  return (
    `${Math.round(perSecond)} deliveries/s, ${cpuPer100k.toFixed(2)} CPU s per 100k, ` +
    `${Math.round(peakMiB)} MiB at its peak`
  );
}

/** After this a backlog is not delivered any more, in milliseconds. */
const timeoutMs = 300_000;

/**
 * How fast, and at what cost, a topic full of events gets to an instant subscriber.
 * @throws Error if the contestant ends, or does not deliver all events
 */
export async function measureBacklog(
  brokers: string,
  contestant: Contestant,
  backlog: Backlog,
): Promise<BacklogFigures> {
  const sink = await SinkProcess.start(1);
  try {
    const prepared = await contestant.prepare(brokers, sink.urls[0] ?? '');
    return await measurePrepared(brokers, { sink, prepared, name: contestant.name }, backlog);
  } finally {
    await sink.stop();
  }
}

export interface PreparedSubject {
  /** The subscriber that it was prepared for. */
  readonly sink: SinkProcess;
  readonly prepared: Prepared;
  readonly name: string;
}

/** As `measureBacklog`, of one that is prepared; again and again, if each run is stopped and not killed. */
export async function measurePrepared(
  brokers: string,
  { sink, prepared, name }: PreparedSubject,
  { events, keys = 0, failKey = null, isStopped = false, isHeld = true, nodeArgs = [] }: Backlog,
): Promise<BacklogFigures> {
  await sink.behave({ failKey });
  if (isHeld) await sink.hold();
  const before = await sink.total();
  await fillTopic(() => openKafka(brokers), prepared.topic, events, keys);
  const running = await prepared.start(nodeArgs);
  const wanted = failKey === null ? events : events - Math.ceil(events / keys);
  try {
    const delivered = deliver(sink, running, { before, wanted, isHeld });
    return await within(timeoutMs, `${wanted} deliveries by ${name}`, Promise.race([delivered, ending(running, name)]));
  } finally {
    await (isStopped ? running.stop() : running.kill());
  }
}

interface Deliveries {
  /** What the sink has answered before. */
  readonly before: number;
  readonly wanted: number;
  readonly isHeld: boolean;
}

async function deliver(
  sink: SinkProcess,
  running: Running,
  { before, wanted, isHeld }: Deliveries,
): Promise<BacklogFigures> {
  const pids = await running.ready();
  if (isHeld) await until(async () => (await sink.count()).held > 0, 'the first delivery', timeoutMs);
  // The first tenth warms the code, the last has fewer keys left.
  const marks = await sink.marks({ at: [0.1, 0.9, 1].map((share) => before + Math.floor(wanted * share)), pids });
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
