import type { Clock } from '../../runtime/clock.ts';
import { PosthornError } from '../../runtime/errors.ts';
import { LogUnavailableError, RecordTooLargeError, UnknownTopicError } from './errors.ts';
import { encodedBytes, type Log, type NewRecord, type TopicInfo } from './log.ts';

/**
 * While an append of a topic is in flight, the topic is flushed at most once in this time; with none in flight at
 * once. An append costs the log about the same whatever it holds (a sync to disk, a round trip to the replicas), so
 * gathering is what makes it fast. Where an append takes 2 ms:
 *
 * | records/s | in one flush | wait       |
 * |-----------|--------------|------------|
 * | under 500 | 1            | none       |
 * | 2,000     | 4            | up to 2 ms |
 * | 10,000    | 20           | up to 2 ms |
 *
 * Longer gathers more than the logs gain by; a client feels 5 ms.
 */
const defaultLingerMs = 2;

/** Two seconds of the fastest ingest of 1 KB events, and a process that can be run beside others. */
const defaultWaitingBytesMax = 64 * 1024 * 1024;

/** What Kafka adds to the records of one batch (its header, format v2). */
const batchHeaderBytes = 61;

export interface GathererOptions {
  readonly log: Pick<Log, 'append' | 'describeTopic'>;
  readonly clock: Clock;
  /** The shortest time between two flushes of a topic that has an append in flight, in milliseconds. */
  readonly lingerMs?: number;
  /** Bytes of records that may wait for the log, those being appended included. */
  readonly waitingBytesMax?: number;
}

/** Too much waits for the log already. Nothing was appended. */
export class BufferFullError extends PosthornError {
  constructor(waitingBytes: number, waitingBytesMax: number) {
    super('LOG_BUFFER_FULL', `${waitingBytes} bytes wait for the log already (at most ${waitingBytesMax} may)`);
  }
}

/**
 * Gathers records that are handed in concurrently into one append a partition, of at most the topic's
 * `maxMessageBytes`. A partition has one append in flight at a time, so its records keep the order of the calls.
 * Records without a key are spread evenly: those of one flush go to one partition, the next flush to the next.
 */
export class Gatherer {
  readonly #log: GathererOptions['log'];
  readonly #clock: Clock;
  readonly #lingerMs: number;
  readonly #waitingBytesMax: number;
  readonly #topics = new Map<string, TopicGatherer>();
  readonly #whenEmpty: (() => void)[] = [];
  #waitingBytes = 0;
  #waiting = 0;
  #closed = false;

  constructor({ log, clock, lingerMs = defaultLingerMs, waitingBytesMax = defaultWaitingBytesMax }: GathererOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#lingerMs = lingerMs;
    this.#waitingBytesMax = waitingBytesMax;
  }

  /**
   * Resolves once the record is durable.
   *
   * @param partition by the record's key if absent, as Kafka's default partitioner does
   * @throws BufferFullError, and what `Log.append` throws
   */
  append(topic: string, record: NewRecord, partition?: number): Promise<void> {
    return this.#submit(topic, [record], partition);
  }

  /**
   * Resolves once all the records are durable. None is appended if one alone exceeds the topic's `maxMessageBytes` or
   * the buffer is too full for all of them; after any other rejection some may be in.
   *
   * @throws BufferFullError, and what `Log.append` throws
   */
  appendAll(topic: string, records: readonly NewRecord[]): Promise<void> {
    return records.length === 0 ? Promise.resolve() : this.#submit(topic, records, undefined);
  }

  /** Takes no more; resolves when all that waits is durable or was refused. Idempotent. */
  close(): Promise<void> {
    this.#closed = true;
    for (const topic of this.#topics.values()) topic.hurry();
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
    });
  }

  async #submit(topic: string, records: readonly NewRecord[], partition: number | undefined): Promise<void> {
    if (this.#closed) throw new LogUnavailableError('no more records are taken: this process is shutting down');
    const sizes = records.map(encodedBytes);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (this.#waitingBytes + bytes > this.#waitingBytesMax) {
      throw new BufferFullError(this.#waitingBytes, this.#waitingBytesMax);
    }
    this.#waitingBytes += bytes;
    this.#waiting++;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#topic(topic).add(new Submission(records, sizes, partition, resolve, reject));
      });
    } catch (error) {
      // Nothing is kept of topics that were deleted.
      if (error instanceof UnknownTopicError) this.#topics.delete(topic);
      throw error;
    } finally {
      this.#waitingBytes -= bytes;
      this.#waiting--;
      if (this.#waiting === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
    }
  }

  #topic(name: string): TopicGatherer {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new TopicGatherer(name, this.#log, this.#clock, this.#lingerMs);
      this.#topics.set(name, topic);
    }
    return topic;
  }
}

/** The records of one call, which settle together. */
class Submission {
  readonly records: readonly NewRecord[];
  readonly sizes: readonly number[];
  readonly partition: number | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #unsettled: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    records: readonly NewRecord[],
    sizes: readonly number[],
    partition: number | undefined,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.records = records;
    this.sizes = sizes;
    this.partition = partition;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#unsettled = records.length;
  }

  appended(): void {
    this.#settleOne();
  }

  failed(error: unknown): void {
    this.#failure ??= { error };
    this.#settleOne();
  }

  refuse(error: unknown): void {
    this.#reject(error);
  }

  #settleOne(): void {
    this.#unsettled--;
    if (this.#unsettled > 0) return;
    if (this.#failure) this.#reject(this.#failure.error);
    else this.#resolve();
  }
}

interface Entry {
  readonly record: NewRecord;
  readonly bytes: number;
  readonly submission: Submission;
}

interface PartitionQueue {
  readonly entries: Entry[];
  appending: boolean;
}

/** What waits for one topic: first without a partition until the next flush, then in the queue of its partition. */
class TopicGatherer {
  readonly #topic: string;
  readonly #log: GathererOptions['log'];
  readonly #clock: Clock;
  readonly #lingerMs: number;
  readonly #partitions = new Map<number, PartitionQueue>();
  #arrived: Submission[] = [];
  #flushedAtMs = Number.NEGATIVE_INFINITY;
  #cancelFlush: (() => void) | undefined;
  #flushing = false;
  #appendsInFlight = 0;
  #nextPartition = 0;

  constructor(topic: string, log: GathererOptions['log'], clock: Clock, lingerMs: number) {
    this.#topic = topic;
    this.#log = log;
    this.#clock = clock;
    this.#lingerMs = lingerMs;
  }

  add(submission: Submission): void {
    this.#arrived.push(submission);
    if (this.#flushing || this.#cancelFlush !== undefined) return;
    // A sender that waits for each answer before it sends the next record gains nothing by a wait.
    const isIdle = this.#appendsInFlight === 0;
    this.#schedule(isIdle ? 0 : this.#flushedAtMs + this.#lingerMs - this.#clock.monotonic());
  }

  /** Flushes without waiting for the linger to end. */
  hurry(): void {
    if (this.#cancelFlush === undefined) return;
    this.#cancelFlush();
    this.#schedule(0);
  }

  #schedule(delayMs: number): void {
    const flush = (): void => {
      this.#cancelFlush = undefined;
      void this.#flush();
    };
    if (delayMs > 0) {
      const timer = this.#clock.setTimer(flush, delayMs);
      this.#cancelFlush = () => timer.cancel();
    } else {
      // Not now but at the end of this turn of the event loop, which may have read more requests from other sockets.
      const immediate = setImmediate(flush);
      this.#cancelFlush = () => clearImmediate(immediate);
    }
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    this.#flushedAtMs = this.#clock.monotonic();
    try {
      const info = await this.#log.describeTopic(this.#topic);
      this.#distribute(this.#takeArrived(), info);
    } catch (error) {
      for (const submission of this.#takeArrived()) submission.refuse(error);
    } finally {
      this.#flushing = false;
    }
  }

  #takeArrived(): Submission[] {
    const arrived = this.#arrived;
    this.#arrived = [];
    return arrived;
  }

  #distribute(submissions: readonly Submission[], info: TopicInfo): void {
    const keyless = this.#keylessSpread(info);
    for (const submission of submissions) {
      const tooLarge = submission.sizes.find((bytes) => bytes > info.maxMessageBytes);
      if (tooLarge !== undefined) {
        submission.refuse(new RecordTooLargeError(this.#topic, tooLarge, info.maxMessageBytes));
        continue;
      }
      for (const [index, record] of submission.records.entries()) {
        const bytes = submission.sizes[index] ?? 0;
        const partition =
          submission.partition ?? (record.key === null ? keyless(bytes) : partitionOf(record.key, info.partitions));
        this.#queue(partition).entries.push({ record, bytes, submission });
      }
    }
    for (const [partition, queue] of this.#partitions) {
      if (!queue.appending && queue.entries.length > 0) void this.#drain(partition, queue, info.maxMessageBytes);
    }
  }

  /** Chooses for the keyless records of one flush: one partition, and the next one when an append is full. */
  #keylessSpread(info: TopicInfo): (bytes: number) => number {
    let partition: number | undefined;
    let appendBytes = 0;
    return (bytes) => {
      if (partition === undefined || appendBytes + bytes > info.maxMessageBytes) {
        partition = this.#rotate(info.partitions);
        appendBytes = batchHeaderBytes;
      }
      appendBytes += bytes;
      return partition;
    };
  }

  /** The next partition in turn that nothing waits for, so that one whose leader is away does not hold up the rest. */
  #rotate(count: number): number {
    let chosen = this.#nextPartition % count;
    for (let step = 0; step < count; step++) {
      const candidate = (this.#nextPartition + step) % count;
      const queue = this.#partitions.get(candidate);
      if (queue === undefined || (!queue.appending && queue.entries.length === 0)) {
        chosen = candidate;
        break;
      }
    }
    this.#nextPartition = chosen + 1;
    return chosen;
  }

  #queue(partition: number): PartitionQueue {
    let queue = this.#partitions.get(partition);
    if (queue === undefined) {
      queue = { entries: [], appending: false };
      this.#partitions.set(partition, queue);
    }
    return queue;
  }

  async #drain(partition: number, queue: PartitionQueue, maxMessageBytes: number): Promise<void> {
    queue.appending = true;
    this.#appendsInFlight++;
    while (queue.entries.length > 0) {
      const failure = await this.#append(partition, takeOneAppend(queue.entries, maxMessageBytes));
      // The driver has tried for as long as it may: what waited behind must not wait as long again, one append after
      // the other, and must not overtake what failed.
      if (failure instanceof LogUnavailableError) fail(queue.entries.splice(0), failure);
    }
    queue.appending = false;
    this.#appendsInFlight--;
  }

  /** Never rejects: what failed is told to those whose records they were, and returned. */
  async #append(partition: number, entries: readonly Entry[]): Promise<unknown> {
    const records = entries.map((entry) => entry.record);
    try {
      await this.#log.append(this.#topic, partition, records);
    } catch (error) {
      if (error instanceof RecordTooLargeError && entries.length > 1) {
        // The topic takes less than was thought. In halves, so that only a record that is too large alone fails.
        const middle = entries.length >> 1;
        const failure = await this.#append(partition, entries.slice(0, middle));
        if (failure instanceof LogUnavailableError) {
          fail(entries.slice(middle), failure);
          return failure;
        }
        return await this.#append(partition, entries.slice(middle));
      }
      fail(entries, error);
      return error;
    }
    for (const entry of entries) entry.submission.appended();
    return undefined;
  }
}

function fail(entries: readonly Entry[], error: unknown): void {
  for (const entry of entries) entry.submission.failed(error);
}

/** Removes from the front what fits one append: always at least one. */
function takeOneAppend(entries: Entry[], maxMessageBytes: number): Entry[] {
  let bytes = batchHeaderBytes;
  let count = 0;
  for (const entry of entries) {
    bytes += entry.bytes;
    if (count > 0 && bytes > maxMessageBytes) break;
    count++;
  }
  return entries.splice(0, count);
}

/**
 * The partition of a key, as Kafka's default partitioner chooses it (org.apache.kafka.common.utils.Utils.murmur2, the
 * sign bit cleared, modulo the count), so that other producers' records of the same key are in the same partition.
 */
export function partitionOf(key: Buffer, count: number): number {
  return (murmur2(key) & 0x7fffffff) % count;
}

/** MurmurHash2, 32 bits, little-endian, with Kafka's seed; a signed integer. */
function murmur2(key: Buffer): number {
  const m = 0x5bd1e995;
  const wordsEnd = key.length & ~3;
  let hash = 0x9747b28c ^ key.length;
  for (let at = 0; at < wordsEnd; at += 4) {
    let word = Math.imul(key.readInt32LE(at), m);
    word = Math.imul(word ^ (word >>> 24), m);
    hash = Math.imul(hash, m) ^ word;
  }
  const tailBytes = key.length - wordsEnd;
  if (tailBytes > 0) hash = Math.imul(hash ^ key.readUIntLE(wordsEnd, tailBytes), m);
  hash = Math.imul(hash ^ (hash >>> 13), m);
  return hash ^ (hash >>> 15);
}
