import type {
  Assignment,
  ConsumeOptions,
  ConsumerHandler,
  Log,
  LogConsumer,
  LogRecord,
  LostRange,
  RecordBatch,
  TopicCommit,
  TopicPartition,
} from '../../../broker/log/log.ts';
import { valuesOf } from './harness.ts';

/**
 * A handler that keeps what it is given and notes in `violations` whatever a driver must never do: records of a
 * partition that is not owned or is paused, a step back, a repeated epoch, a call after the end.
 */
export class Collector implements ConsumerHandler {
  readonly violations: string[] = [];
  readonly lostRanges: LostRange[] = [];
  readonly disturbances: Error[] = [];
  /** Every list of partitions that was assigned. */
  readonly assignedLists: (readonly Assignment[])[] = [];
  epoch = -1;
  /** How many records of a batch are taken. */
  take: (batch: RecordBatch) => number = (batch) => batch.records.length;
  /** Whether the partition is paused when fewer than all are taken, as it should be. */
  pausesWhatItLeaves = true;
  #consumer: LogConsumer | null = null;
  #closed = false;
  #busy = false;
  readonly #owned = new Map<string, Owned>();
  readonly #paused = new Set<string>();

  /** Joins the group, with this as the handler. */
  async join(log: Log, options: Omit<ConsumeOptions, 'handler'>): Promise<LogConsumer> {
    this.#consumer = await log.consume({ ...options, handler: this });
    return this.#consumer;
  }

  /** Commits under the present epoch. */
  async commit(commits: readonly TopicCommit[]): Promise<void> {
    await this.#consumer?.commit(this.epoch, commits);
  }

  /** Leaves the group. Whatever is handed out after that is a violation. */
  async close(): Promise<void> {
    await this.#consumer?.close();
    this.#closed = true;
  }

  /** What is owned now, sorted. */
  get assignments(): Assignment[] {
    return [...this.#owned.values()]
      .map((owned) => owned.assignment)
      .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
  }

  assignment(topic: string, partition: number): Assignment | undefined {
    return this.#owned.get(keyOf({ topic, partition }))?.assignment;
  }

  /** The records taken of a partition in this epoch. */
  recordsOf(topic: string, partition: number): LogRecord[] {
    return this.#owned.get(keyOf({ topic, partition }))?.records ?? [];
  }

  valuesOf(topic: string, partition: number): (string | null)[] {
    return valuesOf(this.recordsOf(topic, partition));
  }

  /** The offset after what was handed out and taken. */
  positionOf(topic: string, partition: number): number | undefined {
    return this.#owned.get(keyOf({ topic, partition }))?.position;
  }

  /** How many records were taken in this epoch. */
  get count(): number {
    let count = 0;
    for (const owned of this.#owned.values()) count += owned.records.length;
    return count;
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) this.#paused.add(keyOf(one));
    this.#consumer?.pause(partitions);
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) this.#paused.delete(keyOf(one));
    this.#consumer?.resume(partitions);
  }

  assigned(assignments: readonly Assignment[], epoch: number): void {
    this.#enter('assigned');
    if (assignments.length > 0 && epoch <= this.epoch) this.violations.push(`epoch ${epoch} after ${this.epoch}`);
    this.epoch = epoch;
    this.assignedLists.push(assignments);
    this.#owned.clear();
    for (const assignment of assignments) {
      this.#owned.set(keyOf(assignment), { assignment, position: assignment.offset, records: [] });
    }
    for (const key of this.#paused) if (!this.#owned.has(key)) this.#paused.delete(key);
    this.#busy = false;
  }

  records(batch: RecordBatch): number {
    this.#enter('records');
    const owned = this.#owned.get(keyOf(batch));
    const where = `${batch.topic}/${batch.partition}`;
    if (owned === undefined) {
      this.violations.push(`records of ${where}, which is not owned`);
      this.#busy = false;
      return batch.records.length;
    }
    if (this.#paused.has(keyOf(batch))) this.violations.push(`records of ${where}, which is paused`);
    this.#checkOffsets(batch, owned);
    // Before join has its consumer nothing can be paused, so everything is taken.
    const count = this.#consumer === null ? batch.records.length : this.take(batch);
    const taken = batch.records.slice(0, count);
    owned.records.push(...taken);
    if (count < batch.records.length) {
      const last = taken.at(-1);
      if (last !== undefined) owned.position = last.offset + 1;
      if (this.pausesWhatItLeaves) this.pause([batch]);
    } else owned.position = batch.nextOffset;
    this.#busy = false;
    return count;
  }

  lost(range: LostRange): void {
    this.#enter('lost');
    this.lostRanges.push(range);
    this.#busy = false;
  }

  disturbed(error: Error): void {
    this.#enter('disturbed');
    this.disturbances.push(error);
    this.#busy = false;
  }

  #enter(call: string): void {
    if (this.#closed) this.violations.push(`${call} after close`);
    if (this.#busy) this.violations.push(`${call} within another call`);
    this.#busy = true;
  }

  #checkOffsets(batch: RecordBatch, owned: Owned): void {
    let position = owned.position;
    for (const record of batch.records) {
      if (record.offset < position) this.violations.push(`offset ${record.offset} where ${position} was due`);
      position = record.offset + 1;
    }
    if (batch.nextOffset === owned.position) this.violations.push('a batch of nothing');
    if (batch.nextOffset < position) this.violations.push(`nextOffset ${batch.nextOffset} within the batch`);
  }
}

interface Owned {
  readonly assignment: Assignment;
  /** The lowest offset that may come next. */
  position: number;
  readonly records: LogRecord[];
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
