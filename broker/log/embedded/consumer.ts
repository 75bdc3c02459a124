import type { Clock, Timer } from '../../../runtime/clock.ts';
import { PosthornError } from '../../../runtime/errors.ts';
import { StaleEpochError, UnknownTopicError } from '../errors.ts';
import type {
  Assignment,
  ConsumerHandler,
  LogConsumer,
  LogRecord,
  ReadResult,
  TopicCommit,
  TopicPartition,
} from '../log.ts';
import type { Partition } from './partitions.ts';

/** Bytes and records of one read: enough to keep the disk's cost a record low, little enough to hand over at once. */
export const readMaxBytes = 1_048_576;
export const readMaxRecords = 1_000;

/** Reads of one consumer at a time; each may hold `readMaxBytes` and one append more. */
const readsInFlightMax = 4;

/** What handlers have left of their batches is kept up to this many bytes, then read again when it is wanted. */
const leftMaxBytes = 8_388_608;

/** Before what a handler left is offered again if it has not paused the partition, in milliseconds. */
const offerAgainMs = 100;

/** Kafka's offset.metadata.max.bytes. */
const metadataMaxUnits = 4_096;

/** Records as they were read: `from` is above the offset that was asked for where that is no longer held. */
export interface Fetched extends ReadResult {
  readonly from: number;
  /** What the records hold of memory. */
  readonly bytes: number;
}

/** What a consumer needs of its group and its log. */
export interface ConsumerContext {
  readonly handler: ConsumerHandler;
  readonly topics: readonly string[];
  readonly clock: Clock;
  fetch(partition: Partition, from: number): Promise<Fetched>;
  commit(commits: readonly { partition: Partition; commit: TopicCommit }[]): Promise<void>;
  /** The group's epoch now. */
  epoch(): number;
  leave(consumer: EmbeddedConsumer): void;
}

/** Where a consumer stands in one partition, for one epoch. */
interface Reader {
  readonly partition: Partition;
  readonly wake: () => void;
  /** The next offset to hand out. */
  position: number;
  paused: boolean;
  reading: boolean;
  /** Read and not yet taken. */
  left: Fetched | null;
}

/** An assignment, with what has to be reported of it. */
export interface Grant {
  readonly partition: Partition;
  readonly assignment: Assignment;
  /** The committed offset where it is not within the log, else null. */
  readonly outside: number | null;
}

/** One member of a group: reads its partitions and hands the records to its handler. */
export class EmbeddedConsumer implements LogConsumer {
  readonly #context: ConsumerContext;
  /** By `topic/partition`. */
  #readers = new Map<string, Reader>();
  /** Readers that may have something to hand out or to read, the longest waiting first. */
  readonly #ready = new Set<Reader>();
  /** Readers whose handler left something without a pause, until `#offerAgain`. */
  readonly #declined = new Set<Reader>();
  #offerAgain: Timer | null = null;
  readonly #commits = new Set<Promise<void>>();
  #suspended = true;
  #scheduled = false;
  #reads = 0;
  #leftBytes = 0;
  #closed: Promise<void> | null = null;

  constructor(context: ConsumerContext) {
    this.#context = context;
  }

  get topics(): readonly string[] {
    return this.#context.topics;
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const reader of this.#find(partitions)) reader.paused = true;
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const reader of this.#find(partitions)) {
      reader.paused = false;
      this.#wake(reader);
    }
  }

  async commit(epoch: number, commits: readonly TopicCommit[]): Promise<void> {
    const current = this.#context.epoch();
    if (this.#closed !== null || this.#suspended || epoch !== current) throw new StaleEpochError(epoch, current);
    const found = commits.map((commit) => ({ partition: this.#owned(commit), commit }));
    const committing = this.#context.commit(found);
    this.#commits.add(committing);
    try {
      await committing;
    } finally {
      this.#commits.delete(committing);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Hands out nothing more until `assign`: the group is about to deal its partitions anew. */
  suspend(): void {
    this.#suspended = true;
    for (const reader of this.#readers.values()) reader.partition.readers.delete(reader.wake);
    this.#ready.clear();
    this.#declined.clear();
    this.#offerAgain?.cancel();
    this.#offerAgain = null;
    this.#leftBytes = 0;
  }

  /** The partitions that are this consumer's from now on. */
  assign(grants: readonly Grant[], epoch: number): void {
    const before = this.#readers;
    this.#readers = new Map();
    this.#suspended = false;
    for (const { partition, assignment } of grants) {
      const reader: Reader = {
        partition,
        wake: () => this.#wake(reader),
        position: assignment.offset,
        paused: before.get(keyOf(partition))?.paused ?? false,
        reading: false,
        left: null,
      };
      this.#readers.set(keyOf(partition), reader);
      partition.readers.add(reader.wake);
    }
    const { handler } = this.#context;
    handler.assigned(
      grants.map((grant) => grant.assignment),
      epoch,
    );
    for (const { assignment, outside } of grants) {
      if (outside === null) continue;
      const { topic, partition, offset } = assignment;
      if (outside < offset) handler.lost({ topic, partition, from: outside, to: offset });
      else handler.disturbed(new Error(`${topic}/${partition} ends at ${offset}, below the committed ${outside}`));
    }
    for (const reader of this.#readers.values()) this.#wake(reader);
  }

  /** The log has failed: nothing comes any more. */
  fail(error: Error): void {
    if (this.#closed !== null) return;
    this.#closed = Promise.resolve();
    this.suspend();
    this.#readers.clear();
    this.#context.handler.disturbed(error);
    this.#context.handler.assigned([], this.#context.epoch());
  }

  async #close(): Promise<void> {
    // The handler may be the one who closes: it is not called within its own call.
    await Promise.resolve();
    this.#context.leave(this);
    this.suspend();
    this.#readers.clear();
    this.#context.handler.assigned([], this.#context.epoch());
    await Promise.allSettled(this.#commits);
  }

  #find(partitions: readonly TopicPartition[]): Reader[] {
    return partitions.map((one) => this.#readers.get(keyOf(one))).filter((reader) => reader !== undefined);
  }

  #owned(commit: TopicCommit): Partition {
    if (commit.metadata.length > metadataMaxUnits) {
      throw new RangeError(`commit metadata of ${commit.metadata.length} units, at most ${metadataMaxUnits}`);
    }
    const reader = this.#readers.get(keyOf(commit));
    if (reader === undefined)
      throw new UnknownTopicError(`${commit.topic} with a partition ${commit.partition} of ours`);
    return reader.partition;
  }

  #wake(reader: Reader): void {
    if (reader.paused || reader.reading) return;
    this.#ready.add(reader);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Hands out what was left and begins the reads that are due, as many as may be. */
  #pump(): void {
    for (const reader of this.#ready) {
      if (this.#suspended || this.#closed !== null) return;
      if (reader.paused || reader.reading) this.#ready.delete(reader);
      else if (reader.left) {
        this.#ready.delete(reader);
        this.#offer(reader, reader.left);
      } else if (reader.position >= reader.partition.end) this.#ready.delete(reader);
      else if (this.#reads < readsInFlightMax) {
        this.#ready.delete(reader);
        void this.#read(reader);
      } else return;
    }
  }

  async #read(reader: Reader): Promise<void> {
    reader.reading = true;
    this.#reads++;
    let fetched: Fetched | null = null;
    try {
      fetched = await this.#context.fetch(reader.partition, reader.position);
    } catch (error) {
      if (!(error instanceof PosthornError)) throw error;
      // The topic was deleted, or the log has failed: both end this reader in their own way.
    }
    this.#reads--;
    reader.reading = false;
    if (this.#suspended || this.#closed !== null) return;
    if (fetched !== null && this.#readers.get(keyOf(reader.partition)) === reader) this.#arrived(reader, fetched);
    this.#pump();
  }

  #arrived(reader: Reader, fetched: Fetched): void {
    const { topic, partition } = reader.partition;
    if (fetched.from > reader.position) {
      this.#context.handler.lost({ topic, partition, from: reader.position, to: fetched.from });
      reader.position = fetched.from;
    }
    if (fetched.records.length === 0) {
      this.#wake(reader);
      return;
    }
    this.#leftBytes += fetched.bytes;
    reader.left = fetched;
    if (reader.paused) this.#boundLeft(reader);
    else this.#offer(reader, fetched);
  }

  #offer(reader: Reader, left: Fetched): void {
    const { topic, partition } = reader.partition;
    const batch = left.records.slice(0, readMaxRecords);
    const last = batch.at(-1);
    const nextOffset = batch.length === left.records.length ? left.nextOffset : (last?.offset ?? 0) + 1;
    const taken = this.#context.handler.records({ topic, partition, records: batch, nextOffset });
    // The handler may have closed this consumer, but that takes effect later; its answer still counts.
    reader.position = taken === batch.length ? nextOffset : (batch[taken] as LogRecord).offset;
    const rest = left.records.slice(taken);
    if (rest.length > 0) reader.left = { ...left, records: rest };
    else {
      reader.left = null;
      this.#leftBytes -= left.bytes;
    }
    if (reader.paused) this.#boundLeft(reader);
    else if (taken < batch.length) this.#decline(reader);
    else this.#wake(reader);
  }

  /** The handler should have paused the partition. At once again would be for ever, for all that it can do meanwhile. */
  #decline(reader: Reader): void {
    this.#boundLeft(reader);
    this.#declined.add(reader);
    this.#offerAgain ??= this.#context.clock.setTimer(() => {
      this.#offerAgain = null;
      const declined = [...this.#declined];
      this.#declined.clear();
      for (const one of declined) this.#wake(one);
    }, offerAgainMs);
  }

  /** Too much is left of too many batches: forgets this one, to be read again when it is wanted. */
  #boundLeft(reader: Reader): void {
    if (reader.left === null || this.#leftBytes <= leftMaxBytes) return;
    this.#leftBytes -= reader.left.bytes;
    reader.left = null;
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
