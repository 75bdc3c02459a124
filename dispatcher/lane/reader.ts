import type { Logger } from 'pino';
import { isOutage, StaleEpochError } from '../../broker/log/errors.ts';
import type {
  Assignment,
  ConsumerHandler,
  Log,
  LogConsumer,
  LogRecord,
  LostRange,
  RecordBatch,
  StartAt,
  TopicCommit,
  TopicPartition,
} from '../../broker/log/log.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { Hold } from '../fate.ts';
import { Offsets } from '../settle.ts';

/**
 * The engine of every lane: reads a group's partitions into a bounded window, hands each record out once, and commits
 * what has settled.
 *
 *   consumer -> take (window, settled set) -> onRecord ... settle() -> commit (position + settled set)
 */
export class LaneReader {
  readonly #options: LaneReaderOptions;
  readonly #partitions = new Map<string, OwnedPartition>();
  readonly #window: Window;
  #consumer: LogConsumer | undefined;
  #epoch = 0;
  #isCommitting = false;
  #committing: Promise<void> = Promise.resolve();
  #commitTimer: Timer | undefined;
  #settledSinceCommit = 0;
  /** Between two consumers: what the first gives up, the second is expected to get back. */
  #isMoving = false;
  #draining = false;
  #onDrained: (() => void) | undefined;

  constructor(options: LaneReaderOptions) {
    this.#options = options;
    this.#window = new Window(options.window);
  }

  /** Joins the group and begins to hand out records. @throws LogUnavailableError */
  start(topics: readonly string[]): Promise<void> {
    return this.#consume(topics);
  }

  /**
   * Reads other topics from now on. Records in flight of topics that stay are not disturbed.
   * @throws LogUnavailableError: then nothing is read until it is called again and succeeds
   */
  async changeTopics(topics: readonly string[]): Promise<void> {
    await this.#leave(true);
    await this.#consume(topics);
  }

  async #consume(topics: readonly string[]): Promise<void> {
    const { log, group, startAt, onLost, onDisturbed } = this.#options;
    const handler: ConsumerHandler = {
      assigned: (assignments, epoch) => this.#assigned(assignments, epoch),
      records: (batch) => this.#take(batch),
      lost: onLost,
      disturbed: onDisturbed,
    };
    this.#isMoving = false;
    this.#consumer = await log.consume({ group, topics, startAt, handler });
    this.#consumer.pause([...this.#partitions.values()].filter((owned) => owned.held));
    this.#scheduleCommit();
  }

  /** @param comesBack whether another consumer follows, which gets back what this one gives up */
  async #leave(comesBack: boolean): Promise<void> {
    this.#cancelCommitTimer();
    await this.#committing;
    await this.#commit();
    this.#cancelCommitTimer();
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#isMoving = comesBack;
    await consumer?.close();
  }

  /** Whether the window takes no more records for now: what else waits in the log is out of sight. */
  get isFull(): boolean {
    return !this.#window.hasRoom;
  }

  /** Whether any partition is held back, by the window or by its own bounds. */
  get isHeld(): boolean {
    return [...this.#partitions.values()].some((owned) => owned.held);
  }

  /** Records that were handed out and have not settled. */
  get unsettled(): number {
    return this.#window.records;
  }

  /** The position of each partition that this process owns. */
  positions(): (TopicPartition & { readonly position: number })[] {
    return [...this.#partitions.values()].map(({ topic, partition, offsets }) => ({
      topic,
      partition,
      position: offsets.position,
    }));
  }

  /**
   * Stops taking records, waits until what was handed out has settled or `signal` aborts, commits and leaves the
   * group. Idempotent.
   */
  async close(signal: AbortSignal): Promise<void> {
    if (!this.#draining) {
      this.#draining = true;
      this.#consumer?.pause([...this.#partitions.values()]);
    }
    await new Promise<void>((resolve) => {
      if (this.#window.records === 0 || signal.aborted) resolve();
      this.#onDrained = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await this.#leave(false);
  }

  #assigned(assignments: readonly Assignment[], epoch: number): void {
    if (this.#isMoving) return;
    this.#epoch = epoch;
    const kept = new Set<string>();
    let revoked = false;
    for (const assignment of assignments) {
      const key = keyOf(assignment);
      kept.add(key);
      const owned = this.#partitions.get(key);
      if (owned) owned.offsets.rejoin(assignment, assignment.end);
      else this.#partitions.set(key, new OwnedPartition(assignment));
    }
    for (const [key, owned] of this.#partitions) {
      // A commit of the previous owner may land after the join: the owner commits again, whatever has changed.
      if (kept.has(key)) owned.dirty = true;
      else {
        owned.revoked = true;
        this.#partitions.delete(key);
        revoked = true;
      }
    }
    if (revoked) this.#options.onRevoked();
    this.#consumer?.pause([...this.#partitions.values()].filter((owned) => owned.held || this.#draining));
    if (assignments.length > 0) this.#scheduleCommit();
  }

  #take(batch: RecordBatch): number {
    const owned = this.#partitions.get(keyOf(batch));
    if (!owned) return 0;
    let taken = 0;
    for (const record of batch.records) {
      const isRoom =
        this.#window.hasRoom && owned.offsets.hasRoomFor(record.offset) && owned.inFlight < this.#partitionRecordsMax;
      if (!isRoom || this.#draining) {
        this.#hold(owned);
        return taken;
      }
      taken++;
      if (!owned.offsets.take(record.offset)) continue;
      this.#window.add(bytesOf(record));
      owned.inFlight++;
      this.#options.onRecord(this.#taken(owned, record));
    }
    owned.offsets.passed(batch.nextOffset);
    // Gaps and skipped records move the position too, with no record to settle.
    this.#markDirty(owned);
    return taken;
  }

  get #partitionRecordsMax(): number {
    return this.#options.window.partitionRecordsMax ?? Number.POSITIVE_INFINITY;
  }

  #taken(owned: OwnedPartition, record: LogRecord): TakenRecord {
    let isDone = false;
    const { topic, partition } = owned;
    const once = (isSettled: boolean): void => {
      if (isDone) return;
      isDone = true;
      this.#finish(owned, record, isSettled);
    };
    return {
      ...{ topic, partition, record },
      get isRevoked() {
        return owned.revoked;
      },
      settle: () => once(true),
      drop: () => once(false),
    };
  }

  #finish(owned: OwnedPartition, record: LogRecord, isSettled: boolean): void {
    this.#window.remove(bytesOf(record));
    owned.inFlight--;
    // After a revocation the new owner decides: this answer comes too late to be committed.
    if (isSettled && !owned.revoked) {
      owned.offsets.settle(record.offset);
      this.#settledSinceCommit++;
      this.#markDirty(owned);
    }
    this.#resume(owned);
    if (this.#draining && this.#window.records === 0) this.#onDrained?.();
  }

  #hold(owned: OwnedPartition): void {
    owned.held = true;
    this.#consumer?.pause([owned]);
    this.#options.onHeld?.();
  }

  #resume(owned: OwnedPartition): void {
    if (this.#draining) return;
    if (this.#window.isRelieved && this.#window.wasFull) this.#resumeAll();
    else if (owned.held && !owned.revoked && this.#mayResume(owned)) this.#release([owned]);
  }

  #resumeAll(): void {
    this.#window.wasFull = false;
    this.#release([...this.#partitions.values()].filter((owned) => owned.held && this.#mayResume(owned)));
  }

  /** Only when half of the room is free again: each pause costs a fetch of what was not taken. */
  #mayResume(owned: OwnedPartition): boolean {
    return (
      this.#window.isRelieved && owned.offsets.isOpen && owned.inFlight <= Math.floor(this.#partitionRecordsMax / 2)
    );
  }

  #release(partitions: readonly OwnedPartition[]): void {
    if (partitions.length === 0) return;
    for (const owned of partitions) owned.held = false;
    this.#consumer?.resume(partitions);
  }

  #markDirty(owned: OwnedPartition): void {
    owned.dirty = true;
    this.#scheduleCommit();
  }

  /** A commit begins when enough has settled since the last, or some time after the first that has. */
  #scheduleCommit(): void {
    if (this.#isCommitting || !this.#consumer) return;
    if (this.#settledSinceCommit >= commitRecords) {
      this.#cancelCommitTimer();
      this.#beginCommit();
    } else if (!this.#commitTimer) {
      this.#commitTimer = this.#options.clock.setTimer(() => {
        this.#commitTimer = undefined;
        this.#beginCommit();
      }, commitMs);
    }
  }

  #cancelCommitTimer(): void {
    this.#commitTimer?.cancel();
    this.#commitTimer = undefined;
  }

  #beginCommit(): void {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    this.#committing = this.#commit().finally(() => {
      this.#isCommitting = false;
      if ([...this.#partitions.values()].some((owned) => owned.dirty)) this.#scheduleCommit();
    });
  }

  async #commit(): Promise<void> {
    const dirty = [...this.#partitions.values()].filter((owned) => owned.dirty);
    if (dirty.length === 0 || !this.#consumer) return;
    this.#settledSinceCommit = 0;
    const commits: TopicCommit[] = dirty.map((owned) => {
      owned.dirty = false;
      return { topic: owned.topic, ...owned.offsets.commit(owned.partition) };
    });
    try {
      await this.#consumer.commit(this.#epoch, commits);
      this.#options.onCommitted?.(commits);
    } catch (error) {
      for (const owned of dirty) owned.dirty = true;
      if (error instanceof StaleEpochError) return;
      const { logger, group } = this.#options;
      logger[isOutage(error) ? 'debug' : 'warn']({ group, error: messageOf(error) }, 'commit failed, is repeated');
    }
  }
}

/**
 * 128 settled records or 100 ms, whichever comes first: what a crash repeats is what was in flight and at most
 * this. | 30,000/s: a commit every 4 ms | 1,000/s: every 100 ms | 1/s: 100 ms after each |
 */
const commitRecords = 128;
const commitMs = 100;

export interface LaneReaderOptions {
  readonly log: Log;
  readonly group: string;
  readonly startAt: StartAt;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly window: WindowLimits;
  /** Called for each record once; it holds its place in the window until it is settled. Must not throw. */
  readonly onRecord: (taken: TakenRecord) => void;
  /** Some of what was handed out is another's by now (`isRevoked`): what has not begun is to be dropped. */
  readonly onRevoked: () => void;
  readonly onLost: (range: LostRange) => void;
  readonly onDisturbed: (error: Error) => void;
  /** A partition is held back until what was handed out makes room. */
  readonly onHeld?: () => void;
  readonly onCommitted?: (commits: readonly TopicCommit[]) => void;
}

export interface WindowLimits {
  /** Unsettled records over all partitions. */
  readonly recordsMax: number;
  /** Bytes of the unsettled records, over all partitions. */
  readonly bytesMax: number;
  /** Unsettled records of one partition; unlimited if absent. */
  readonly partitionRecordsMax?: number;
}

/** A record that was handed out; it holds its place in the window until it is settled or dropped. */
export interface TakenRecord extends TopicPartition, Hold {
  readonly record: LogRecord;
}

class OwnedPartition implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: Offsets;
  inFlight = 0;
  dirty = true;
  held = false;
  revoked = false;

  constructor(assignment: Assignment) {
    this.topic = assignment.topic;
    this.partition = assignment.partition;
    this.offsets = new Offsets(assignment, assignment.end);
  }
}

/** Counts what is unsettled. One record is always let in, however large. */
class Window {
  readonly #limits: WindowLimits;
  records = 0;
  #bytes = 0;
  wasFull = false;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get hasRoom(): boolean {
    const isRoom =
      this.records === 0 || (this.records < this.#limits.recordsMax && this.#bytes < this.#limits.bytesMax);
    if (!isRoom) this.wasFull = true;
    return isRoom;
  }

  get isRelieved(): boolean {
    return this.records <= this.#limits.recordsMax / 2 && this.#bytes <= this.#limits.bytesMax / 2;
  }

  add(bytes: number): void {
    this.records++;
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.records--;
    this.#bytes -= bytes;
  }
}

function bytesOf(record: LogRecord): number {
  // 512 stands for the headers and the objects around them: to count those exactly costs more than it tells.
  return 512 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
