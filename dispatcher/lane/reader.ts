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
import type { RepeatBound } from '../repeat-bound.ts';
import { type Committed, OwnedPartition } from './owned-partition.ts';
import { Taken, type TakenRecord } from './taken-record.ts';
import { Window, type WindowLimits } from './window.ts';

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
  #commitTimer: (Timer & { readonly ms: number }) | undefined;
  #settledSinceCommit = 0;
  /** Whether a partition was held since what was handed out is enough for now. */
  #wasEnough = false;
  /** Whether attempts have to wait until what has settled is committed. */
  #isCommitWaitedFor = false;
  /** Between two consumers: what the first gives up, the second is expected to get back. */
  #isMoving = false;
  #draining = false;
  readonly #onFinished = (owned: OwnedPartition, record: LogRecord, settledFor: readonly RepeatBound[] | null): void =>
    this.#finish(owned, record, settledFor);
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
    const { log, group, startAt, onDisturbed } = this.#options;
    const handler: ConsumerHandler = {
      assigned: (assignments, epoch) => this.#assigned(assignments, epoch),
      records: (batch) => this.#take(batch),
      lost: (range) => this.#lost(range),
      disturbed: onDisturbed,
    };
    this.#isMoving = false;
    this.#consumer = await log.consume({ group, topics, startAt, handler });
    this.#consumer.pause([...this.#partitions.values()].filter((owned) => owned.heldAt !== null));
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
    return [...this.#partitions.values()].some((owned) => owned.heldAt !== null);
  }

  /** Topics of which a partition is held back. */
  get heldTopics(): ReadonlySet<string> {
    const held = [...this.#partitions.values()].filter((owned) => owned.heldAt !== null);
    return new Set(held.map(({ topic }) => topic));
  }

  /** Records that were handed out and have not settled. */
  get unsettled(): number {
    return this.#window.records;
  }

  /** The position of each partition that this process owns. */
  positions(): LanePosition[] {
    return [...this.#partitions.values()].map(({ topic, partition, offsets, isDrained }) => ({
      topic,
      partition,
      position: offsets.position,
      isDrained,
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
      if (owned && !owned.offsets.reachesPast(assignment.end)) owned.rejoin(assignment);
      else {
        // What was handed out of a log that is shorter now is not what has those offsets later.
        owned?.revoke();
        revoked ||= owned !== undefined;
        this.#partitions.set(key, new OwnedPartition(assignment));
      }
    }
    for (const [key, owned] of this.#partitions) {
      if (kept.has(key)) continue;
      owned.revoke();
      this.#partitions.delete(key);
      revoked = true;
    }
    if (revoked) this.#options.onRevoked();
    this.#consumer?.pause([...this.#partitions.values()].filter((owned) => owned.heldAt !== null || this.#draining));
    if (assignments.length > 0) this.#scheduleCommit();
  }

  #take(batch: RecordBatch): number {
    const owned = this.#partitions.get(keyOf(batch));
    if (!owned) return 0;
    let taken = 0;
    for (const record of batch.records) {
      owned.offsets.passed(record.offset);
      if (!this.#mayTake(owned, record.offset)) {
        this.#hold(owned, record.offset);
        return taken;
      }
      taken++;
      if (!owned.offsets.take(record.offset)) continue;
      this.#window.add(record, owned);
      this.#options.onRecord(new Taken(owned, record, this.#onFinished));
    }
    owned.offsets.passed(batch.nextOffset);
    this.#passed(owned);
    return taken;
  }

  #mayTake(owned: OwnedPartition, offset: number): boolean {
    if (this.#draining || !owned.offsets.hasRoomFor(offset)) return false;
    if (!this.#window.hasRoomFor(owned, this.#recordsMaxOf(owned))) return false;
    const isEnough = this.#options.wantsMore?.() === false;
    if (isEnough) this.#wasEnough = true;
    return !isEnough;
  }

  #lost(range: LostRange): void {
    const owned = this.#partitions.get(keyOf(range));
    const lost = owned ? owned.lostOf(range) : range;
    if (lost !== null) this.#options.onLost(lost);
    owned?.offsets.passed(range.to);
    if (owned) this.#passed(owned);
  }

  /** What is gone, gaps and skipped records move the position too, with no record to settle. */
  #passed(owned: OwnedPartition): void {
    owned.isDirty = true;
    this.#scheduleCommit();
  }

  #recordsMaxOf({ topic }: OwnedPartition): number | undefined {
    const { window, recordsMaxOf } = this.#options;
    return recordsMaxOf ? recordsMaxOf(topic) : window.partitionRecordsMax;
  }

  /** @param settledFor the bounds that the record counts for until it is committed; null if it was dropped */
  #finish(owned: OwnedPartition, record: LogRecord, settledFor: readonly RepeatBound[] | null): void {
    this.#window.remove(record, owned);
    // After a revocation the new owner decides: this answer comes too late to be committed.
    if (settledFor !== null && !owned.isRevoked) {
      owned.settle(record.offset, settledFor);
      this.#settledSinceCommit++;
      this.#isCommitWaitedFor ||= settledFor.some((bound) => bound.isWaitedFor);
      this.#scheduleCommit();
    }
    this.#resume(owned);
    if (this.#draining && this.#window.records === 0) this.#onDrained?.();
  }

  #hold(owned: OwnedPartition, offset: number): void {
    owned.heldAt = offset;
    this.#consumer?.pause([owned]);
    this.#options.onHeld?.();
  }

  #resume(owned: OwnedPartition): void {
    if (this.#draining) return;
    if (this.#window.isRelieved && (this.#window.wasFull || this.#wasEnough)) this.#resumeAll();
    else if (!owned.isRevoked && this.#mayResume(owned)) this.#release([owned]);
  }

  /** Reads on where there is room by now, though nothing has settled there: others have, or the bounds have changed. */
  resumeHeld(): void {
    if (!this.#draining) this.#release([...this.#partitions.values()].filter((owned) => this.#mayResume(owned)));
  }

  /** Those, too, that have nothing in flight by whose end they would be resumed. */
  #resumeAll(): void {
    if (this.#options.wantsMore?.() === false) return;
    this.#window.wasFull = false;
    this.#wasEnough = false;
    this.#release([...this.#partitions.values()].filter((owned) => this.#mayResume(owned)));
  }

  #mayResume(owned: OwnedPartition): boolean {
    return (
      owned.heldAt !== null &&
      owned.offsets.hasRoomFor(owned.heldAt) &&
      this.#window.isRelievedFor(owned, this.#recordsMaxOf(owned)) &&
      this.#options.wantsMore?.() !== false
    );
  }

  #release(partitions: readonly OwnedPartition[]): void {
    if (partitions.length === 0) return;
    for (const owned of partitions) owned.heldAt = null;
    this.#consumer?.resume(partitions);
  }

  /** A commit begins when enough has settled since the last, or some time after the first that has. */
  #scheduleCommit(): void {
    if (this.#isCommitting || !this.#consumer) return;
    const { records, ms } = this.#isCommitWaitedFor ? commitWaitedFor : commitUsual;
    if (this.#settledSinceCommit >= records) {
      this.#beginCommit();
    } else if (!this.#commitTimer || ms < this.#commitTimer.ms) {
      this.#cancelCommitTimer();
      const timer = this.#options.clock.setTimer(() => this.#beginCommit(), ms);
      this.#commitTimer = { ms, cancel: () => timer.cancel() };
    }
  }

  #cancelCommitTimer(): void {
    this.#commitTimer?.cancel();
    this.#commitTimer = undefined;
  }

  #beginCommit(): void {
    this.#cancelCommitTimer();
    this.#isCommitting = true;
    this.#committing = this.#commit().finally(() => {
      this.#isCommitting = false;
      if ([...this.#partitions.values()].some((owned) => owned.isDirty)) this.#scheduleCommit();
    });
  }

  async #commit(): Promise<void> {
    const dirty = [...this.#partitions.values()].filter((owned) => owned.isDirty);
    if (dirty.length === 0 || !this.#consumer) return;
    this.#settledSinceCommit = 0;
    this.#isCommitWaitedFor = false;
    const commits: TopicCommit[] = dirty.map((owned) => owned.beginCommit());
    try {
      await this.#consumer.commit(this.#epoch, commits);
      const committed = dirty.map((owned) => owned.commitAcknowledged());
      this.#options.onCommitted?.(committed);
    } catch (error) {
      for (const owned of dirty) owned.commitFailed();
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
const commitUsual = { records: 128, ms: 100 };
/**
 * Sooner where attempts wait for it: a commit takes about 1 ms, and what settles until it is acknowledged is missing
 * among the 256 in flight. | 5,000/s: a commit every 10 ms, about 30 missing | 256/s: every 10 ms, 3 |
 */
const commitWaitedFor = { records: 64, ms: 10 };

export interface LaneReaderOptions {
  readonly log: Log;
  readonly group: string;
  readonly startAt: StartAt;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly window: WindowLimits;
  /** Unsettled records of each partition of a topic, where that changes; else as the window says. */
  readonly recordsMaxOf?: (topic: string) => number | undefined;
  /** False while what was handed out is enough for now; `resumeHeld` is to be called when it is true again. */
  readonly wantsMore?: () => boolean;
  /** Called for each record once; it holds its place in the window until it is settled. Must not throw. */
  readonly onRecord: (taken: TakenRecord) => void;
  /** Some of what was handed out is another's by now (`isRevoked`): what has not begun is to be dropped. */
  readonly onRevoked: () => void;
  readonly onLost: (range: LostRange) => void;
  readonly onDisturbed: (error: Error) => void;
  /** A partition is held back until what was handed out makes room. */
  readonly onHeld?: () => void;
  readonly onCommitted?: (committed: readonly Committed[]) => void;
}

export interface LanePosition extends TopicPartition {
  readonly position: number;
  /** Whether nothing waits there, as far as known without asking the log. */
  readonly isDrained: boolean;
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
