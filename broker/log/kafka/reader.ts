import type { Clock, Timer } from '../../../runtime/clock.ts';
import { messageOf } from '../../../runtime/errors.ts';
import { LogUnavailableError } from '../errors.ts';
import type { Assignment, ConsumerHandler, LogRecord, TopicPartition } from '../log.ts';
import type { Cluster } from './cluster.ts';
import { fetchInSession } from './fetch.ts';
import type { FetchedPartition } from './fetch-answer.ts';
import { type FetchPosition, FetchSession } from './fetch-session.ts';
import { code, isTransient, KafkaCodeError } from './kafka-error.ts';
import { earliest, latest, listOffsets, offsetOf } from './offsets.ts';
import type { Outage } from './outage.ts';
import { decodeRecordSet } from './record-batch.ts';

/**
 * How long a broker keeps a fetch that has nothing to answer, in milliseconds. A partition that is resumed while such
 * a fetch waits has to wait for it too, as has the first fetch after a rebalance.
 */
const maxWaitMs = 250;

/** Where nothing has come for so long, each fetch may wait longer: else half of what an idle process takes is this. */
const idleAfterMs = 10_000;
const idleMaxWaitMs = 1_000;

/**
 * A single larger batch comes whole. A quarter of what Kafka's own consumer asks for: some 50 MiB less under full load.
 */
const partitionBytesMax = 262_144;
const bytesMax = 2 * 1_048_576;

/** What was fetched and not taken is kept for when it is; beyond this many bytes it is fetched again instead. */
const heldBytesMax = 8 * 1_048_576;

/** After a fetch that failed, in milliseconds: an election takes tens of them, a broker's restart seconds. */
const failurePauseMs = 100;

/** Between two looks for the leaders of partitions that have none, in milliseconds: twice as long each time, up to … */
const lookUpPauseMaxMs = 2_000;

/** A partition that can't be read for so long, in milliseconds, is worth a line: elections are over by then. */
const troubleAfterMs = 5_000;

/** Before what a handler left is offered again if it has not paused the partition, in milliseconds. */
const offerAgainMs = 100;

/** Before a partition that can't be decoded is tried again, in milliseconds; it won't change by itself. */
const unreadablePauseMs = 5_000;

export interface ReaderOptions {
  readonly cluster: Cluster;
  readonly assignments: readonly Assignment[];
  /** Keys (`partitionKey`) of what the consumer was told to pause. */
  readonly paused: ReadonlySet<string>;
  readonly handler: Pick<ConsumerHandler, 'records' | 'lost'>;
  readonly clock: Clock;
  readonly outage: Outage;
  /** False while another member may have the partitions: nothing is handed out until it is true again. */
  hasLease(): boolean;
  disturbed(error: Error): void;
}

interface Partition extends TopicPartition {
  readonly key: string;
  /** What is fetched next. */
  position: number;
  /** Fetched, offered, and not taken. */
  held: { readonly records: readonly LogRecord[]; readonly nextOffset: number; readonly bytes: number } | null;
  isFetching: boolean;
  rests: boolean;
  /** In milliseconds of the monotonic clock; null while it can be read. */
  failsSinceMs: number | null;
}

export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}[${partition}]`;
}

/**
 * Reads the partitions of one epoch and hands out their records: one fetch at a time to each broker that leads any of
 * them, none while all rest.
 */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #partitions: Map<string, Partition>;
  readonly #busyNodes = new Set<number>();
  /** By broker. */
  readonly #sessions = new Map<number, FetchSession>();
  readonly #timers = new Set<Timer>();
  #heldBytes = 0;
  /** On the monotonic clock. */
  #readMs: number;
  #offering: NodeJS.Immediate | null = null;
  #isLookingUp = false;
  #lookUpPauseMs = 0;
  #stopped = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#readMs = options.clock.monotonic();
    this.#partitions = new Map(
      options.assignments.map(({ topic, partition, offset }) => {
        const key = partitionKey({ topic, partition });
        const state = { position: offset, held: null, isFetching: false, rests: false, failsSinceMs: null };
        return [key, { key, topic, partition, ...state }];
      }),
    );
  }

  start(): void {
    this.#pump();
  }

  /** Nothing is handed out after this. */
  stop(): void {
    this.#stopped = true;
    if (this.#offering !== null) clearImmediate(this.#offering);
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const { key, failsSinceMs } of this.#partitions.values()) {
      if (failsSinceMs !== null) this.#options.outage.gaveUp(readingOf(key));
    }
    this.#partitions.clear();
  }

  /** To be called after the partitions are out of `paused`. */
  resumed(): void {
    // Not at once: resume may be called from within the handler.
    this.#offering ??= setImmediate(() => {
      this.#offering = null;
      this.#offerHeld();
      this.#pump();
    });
  }

  #offerHeld(): void {
    for (const partition of [...this.#partitions.values()]) {
      const { held, key, rests } = partition;
      if (this.#stopped || held === null || rests || this.#options.paused.has(key)) continue;
      partition.held = null;
      this.#heldBytes -= held.bytes;
      this.#offer(partition, held.records, held.nextOffset);
    }
  }

  /** Starts a fetch to each broker that leads partitions which want one and is not fetched from already. */
  #pump(): void {
    if (this.#stopped) return;
    const byLeader = new Map<number, Partition[]>();
    const unknown = new Set<string>();
    for (const partition of this.#partitions.values()) {
      if (partition.isFetching || partition.held !== null || this.#options.paused.has(partition.key)) continue;
      if (partition.rests) continue;
      const leader = this.#options.cluster.leaderIfKnown(partition.topic, partition.partition);
      if (leader === undefined) {
        unknown.add(partition.topic);
        continue;
      }
      const its = byLeader.get(leader);
      if (its === undefined) byLeader.set(leader, [partition]);
      else its.push(partition);
    }
    for (const [leader, partitions] of byLeader) if (!this.#busyNodes.has(leader)) void this.#fetch(leader, partitions);
    if (unknown.size > 0) void this.#lookUp([...unknown]);
  }

  async #lookUp(topics: readonly string[]): Promise<void> {
    if (this.#isLookingUp) return;
    this.#isLookingUp = true;
    let failure = 'it is not known who leads it';
    try {
      await this.#options.cluster.metadata(topics);
    } catch (error) {
      failure = messageOf(error);
    }
    if (this.#stopped) return;
    const leaderless = [...this.#partitions.values()].filter(
      ({ topic, partition }) => this.#options.cluster.leaderIfKnown(topic, partition) === undefined,
    );
    for (const partition of leaderless)
      this.#failed(partition, new Error(`${partition.key} can't be read: ${failure}`));
    this.#lookUpPauseMs = leaderless.length === 0 ? 0 : Math.min(2 * this.#lookUpPauseMs + 50, lookUpPauseMaxMs);
    this.#after(this.#lookUpPauseMs, () => {
      this.#isLookingUp = false;
      this.#pump();
    });
    this.#pump();
  }

  async #fetch(leader: number, partitions: readonly Partition[]): Promise<void> {
    this.#busyNodes.add(leader);
    for (const partition of partitions) partition.isFetching = true;
    let hasFailed = false;
    try {
      const positions = new Map<string, FetchPosition>();
      for (const { key, topic, partition, position } of partitions) {
        positions.set(key, { topic, partition, offset: position });
      }
      const limits = { maxWaitMs: this.#maxWaitMs(), partitionBytesMax, bytesMax };
      const answers = await fetchInSession(this.#options.cluster, leader, this.#session(leader), positions, limits);
      const failing = new Set(answers.filter(({ errorCode }) => errorCode !== code.none).map(partitionKey));
      // Of what has nothing to tell there is no answer; it could be read all the same.
      for (const partition of partitions) if (!failing.has(partition.key)) this.#worked(partition);
      for (const answer of answers) {
        const partition = this.#partitions.get(partitionKey(answer));
        if (partition === undefined) continue;
        if (!(await this.#take(partition, answer))) hasFailed = true;
      }
    } catch (error) {
      hasFailed = true;
      const told = new Error(`fetching from broker ${leader}: ${messageOf(error)}`, { cause: error });
      for (const partition of partitions) {
        this.#options.cluster.forgetTopic(partition.topic);
        this.#failed(partition, told);
      }
    }
    for (const partition of partitions) partition.isFetching = false;
    const free = (): void => {
      this.#busyNodes.delete(leader);
      this.#pump();
    };
    if (hasFailed) this.#after(failurePauseMs, free);
    else free();
  }

  /**
   * Brokers fill an answer in the order of the question, and give only the first partition a batch that is larger than
   * asked for: who got nothing comes before who did the next time.
   */
  #moveLast(partition: Partition): void {
    this.#partitions.delete(partition.key);
    this.#partitions.set(partition.key, partition);
  }

  #session(leader: number): FetchSession {
    const known = this.#sessions.get(leader);
    if (known !== undefined) return known;
    const session = new FetchSession();
    this.#sessions.set(leader, session);
    return session;
  }

  #maxWaitMs(): number {
    const isIdle = this.#options.clock.monotonic() - this.#readMs >= idleAfterMs;
    return isIdle && this.#options.paused.size === 0 ? idleMaxWaitMs : maxWaitMs;
  }

  /** @returns false where the partition needs a pause before it is fetched again */
  async #take(partition: Partition, answer: FetchedPartition): Promise<boolean> {
    const { cluster } = this.#options;
    if (answer.errorCode === code.offsetOutOfRange) return this.#relocate(partition);
    if (answer.errorCode !== code.none) {
      cluster.forgetTopic(partition.topic);
      this.#failed(partition, new KafkaCodeError(answer.errorCode, `reading ${partition.key}`));
      return false;
    }
    try {
      const { records, nextOffset } = await decodeRecordSet(answer.recordSet, partition.position, answer.aborted);
      if (this.#stopped) return true;
      if (nextOffset > partition.position) this.#moveLast(partition);
      if (records.length > 0) this.#readMs = this.#options.clock.monotonic();
      // Control records and what an aborted transaction left are handed on as a gap, which moves the commit.
      if (nextOffset > partition.position) this.#offer(partition, records, nextOffset);
      return true;
    } catch (error) {
      this.#rest(partition, unreadablePauseMs);
      this.#trouble(new Error(`${partition.key} can't be read from offset ${partition.position}`, { cause: error }));
      return true;
    }
  }

  #offer(partition: Partition, records: readonly LogRecord[], nextOffset: number): void {
    const { topic, partition: number, key } = partition;
    const { paused, handler, hasLease } = this.#options;
    const isOffered = !paused.has(key) && hasLease();
    if (!isOffered && records.length === 0) {
      this.#rest(partition, offerAgainMs);
      return;
    }
    const taken = !isOffered ? 0 : handler.records({ topic, partition: number, records, nextOffset });
    const first = records[taken];
    if (first === undefined) {
      partition.position = nextOffset;
      return;
    }
    partition.position = first.offset;
    if (!paused.has(key)) this.#rest(partition, offerAgainMs);
    const rest = records.slice(taken);
    const bytes = rest.reduce((sum, { key, value }) => sum + 100 + (key?.length ?? 0) + (value?.length ?? 0), 0);
    if (this.#stopped || this.#heldBytes + bytes > heldBytesMax) return;
    this.#heldBytes += bytes;
    partition.held = { records: rest, nextOffset, bytes };
  }

  /** The log does not hold the position: what is below it was deleted, or what was above it is gone. */
  async #relocate(partition: Partition): Promise<boolean> {
    const { cluster, handler, hasLease } = this.#options;
    const { topic, partition: number, position } = partition;
    const question = [{ topic, partitions: [number] }];
    const start = offsetOf(await listOffsets(cluster, question, earliest), topic, number);
    const end = offsetOf(await listOffsets(cluster, question, latest), topic, number);
    if (this.#stopped) return true;
    if (!hasLease()) {
      // Another may own it by now, and have settled what is deleted.
      this.#rest(partition, offerAgainMs);
      return true;
    }
    if (position < start) {
      partition.position = start;
      handler.lost({ topic, partition: number, from: position, to: start });
      return true;
    }
    if (position <= end) return false;
    partition.position = start;
    this.#options.disturbed(beyondEndError({ topic, partition: number, committed: position, start, end }));
    return true;
  }

  /** The partition is neither offered nor fetched for so long. */
  #rest(partition: Partition, delayMs: number): void {
    partition.rests = true;
    this.#after(delayMs, () => {
      partition.rests = false;
      this.#offerHeld();
      this.#pump();
    });
  }

  #after(delayMs: number, run: () => void): void {
    if (this.#stopped) return;
    const timer = this.#options.clock.setTimer(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
  }

  #worked(partition: Partition): void {
    if (partition.failsSinceMs === null || this.#stopped) return;
    this.#options.outage.worked(readingOf(partition.key));
    partition.failsSinceMs = null;
  }

  #failed(partition: Partition, error: Error): void {
    // A fetch that was under way then is cut off, which says nothing about Kafka.
    if (this.#stopped) return;
    const nowMs = this.#options.clock.monotonic();
    partition.failsSinceMs ??= nowMs;
    if (!isTransient(error.cause ?? error)) {
      this.#options.outage.gaveUp(readingOf(partition.key));
      this.#trouble(error);
      return;
    }
    this.#options.outage.failed(readingOf(partition.key), error);
    if (nowMs - partition.failsSinceMs < troubleAfterMs) return;
    this.#trouble(new LogUnavailableError(error.message, { cause: error, isOutage: true }));
  }

  #trouble(error: unknown): void {
    if (!this.#stopped) this.#options.disturbed(error instanceof Error ? error : new Error(String(error)));
  }
}

function readingOf(key: string): string {
  return `reading ${key}`;
}

/** A position that the log has not reached: it lost its end (an unclean election), or is another log of that name. */
export function beyondEndError({
  topic,
  partition,
  committed,
  start,
  end,
}: TopicPartition & { committed: number; start: number; end: number }): Error {
  return new Error(
    `position ${committed} of ${topic}[${partition}] is beyond the log's end ${end}: the log lost what was there; ` +
      `reading it again from its start ${start}`,
  );
}
