import type { LogUnavailableError } from './errors.ts';

/**
 * The Log port: topics of partitions of records, read by consumer groups. Two drivers implement it, `embedded/`
 * (SQLite, one process) and `kafka/` (any number of processes), and one conformance suite holds both to what is
 * said here. Nothing above this file knows which of the two runs.
 */
export interface Log {
  /** Whether other processes may write and read this log too (Kafka: true; embedded: false). */
  readonly sharedByProcesses: boolean;

  /**
   * Resolves with the reason once the log has failed for good, so that nothing but a new start helps; never rejects.
   * The embedded log may (its file is damaged, the disk breaks); Kafka never does, as it may always come back.
   */
  readonly failed: Promise<LogUnavailableError>;

  /**
   * Makes those of the topics that are not there; an existing topic is left as it is.
   * Resolves once all can be appended to and read, with those that it has made. After a rejection some may be there.
   */
  ensureTopics(topics: readonly string[], spec: TopicSpec): Promise<ReadonlySet<string>>;

  /** Names of the topics whose name starts with `prefix`, sorted. */
  listTopics(prefix: string): Promise<string[]>;

  /** @throws UnknownTopicError. The answer may be cached for some seconds. */
  describeTopic(topic: string): Promise<TopicInfo>;

  /** Deletes a topic with all of its records and the commits on it. Deleting an unknown topic is not an error. */
  deleteTopic(topic: string): Promise<void>;

  /**
   * Appends the records to one partition, in order, and resolves once they are durable (Kafka: acknowledged by all
   * in-sync replicas; embedded: synced to disk). A rejection with LogUnavailableError says nothing about the records:
   * they may be in; the driver has already tried again for as long as `appendTimeoutMs` allowed.
   *
   * @returns the offset of the first record
   * @throws RecordTooLargeError (nothing was appended), UnknownTopicError, LogFullError, LogUnavailableError
   */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number>;

  /** For every partition the first offset still held and the offset that the next record will get. */
  ranges(topic: string): Promise<PartitionRange[]>;

  /** For every partition the offset that the next record will get: `ranges` for who needs no more, at less cost. */
  ends(topic: string): Promise<PartitionOffset[]>;

  /** For every partition the first offset whose record has `timestampMs` or a later time, or the end if none has. */
  offsetsAt(topic: string, timestampMs: number): Promise<PartitionOffset[]>;

  /**
   * Reads records at and above `fromOffset`, without a group: at least one if there is one, at most about `maxBytes`.
   * `nextOffset` is where to go on; `records` is empty when `fromOffset` is at the end. Where records were deleted
   * (retention, trim) or never were (compaction, transaction markers), reading goes on at the next one held.
   */
  read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<ReadResult>;

  /** Deletes the records below `beforeOffset` of a partition. */
  trim(topic: string, partition: number, beforeOffset: number): Promise<void>;

  /** What `group` has committed on `topic`; partitions without a commit are left out. */
  committed(group: string, topic: string): Promise<Commit[]>;

  /** Removes a group and its commits. The group must have no members. An unknown group is not an error. */
  deleteGroup(group: string): Promise<void>;

  /** Joins `group` and begins to read. Resolves once the consumer runs; the first assignment may come later. */
  consume(options: ConsumeOptions): Promise<LogConsumer>;

  /** Closes the log and its consumers. Idempotent. */
  close(): Promise<void>;
}

export interface TopicSpec {
  readonly partitions: number;
  /** How long records are kept; `null` is for ever. */
  readonly retentionMs: number | null;
  /** The largest record batch that the topic takes (Kafka's max.message.bytes), in bytes. */
  readonly maxMessageBytes: number;
}

export type TopicInfo = TopicSpec;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffset {
  readonly partition: number;
  readonly offset: number;
}

export interface PartitionRange {
  readonly partition: number;
  /** The first offset still held (the log start offset). */
  readonly start: number;
  /** The offset that the next record will get (the high watermark). */
  readonly end: number;
}

/** The value of a record's header: text where it is UTF-8, else its bytes. */
export type HeaderValue = string | Buffer;

/** Header values of a record. A name that occurs more than once has an array, in order. */
export type RecordHeaders = Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>;

export interface NewRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
  /** Milliseconds since 1970; the time of the append if absent. */
  readonly timestampMs?: number;
}

export interface LogRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

export interface ReadResult {
  readonly records: readonly LogRecord[];
  readonly nextOffset: number;
}

/** A committed position: the next offset to read, and what the lane keeps with it. */
export interface Commit {
  readonly partition: number;
  readonly offset: number;
  /** At most 4,096 UTF-16 units (Kafka's offset.metadata.max.bytes, ASCII only); '' for none. */
  readonly metadata: string;
}

export interface TopicCommit extends Commit {
  readonly topic: string;
}

export interface ConsumeOptions {
  readonly group: string;
  /** Fixed for the life of the consumer; to read other topics close it and consume again. */
  readonly topics: readonly string[];
  /**
   * Where a group that never committed on a topic starts. `earliest` and `latest` are resolved once for all partitions
   * of the topic and committed before the first record is handed out. Partitions that are added later start at their
   * beginning.
   */
  readonly startAt: StartAt;
  readonly handler: ConsumerHandler;
}

/** With offsets, each partition without a commit starts at its own; one that they don't have, at its beginning. */
export type StartAt = 'earliest' | 'latest' | TopicOffsets;

/** Offsets by partition number, of the one topic that is meant, or of several by their names. */
export type TopicOffsets = readonly number[] | { readonly [topic: string]: readonly number[] };

/** The offset of that partition; 0 where the offsets don't have it. Pure. */
export function offsetIn(offsets: TopicOffsets, { topic, partition }: TopicPartition): number {
  if (Array.isArray(offsets)) return (offsets as readonly number[])[partition] ?? 0;
  return (offsets as { readonly [topic: string]: readonly number[] })[topic]?.[partition] ?? 0;
}

/** Called by the driver, never concurrently for one consumer. None may throw. */
export interface ConsumerHandler {
  /**
   * The partitions that this consumer owns from now on, all of them: what it owned and is not here is revoked.
   * Comes before any record of `epoch`, and with an empty list when ownership is lost (the consumer failed, or it
   * closes). For a partition that was kept, records from the committed position on are handed out again.
   */
  assigned(assignments: readonly Assignment[], epoch: number): void;

  /**
   * Takes records from the front of the batch and returns how many; the rest is offered again: after resume where the
   * handler has paused the partition before it returns, as it should, else some 100 ms later.
   */
  records(batch: RecordBatch): number;

  /** The log has lost records of a partition (retention ran past the position): reading goes on at `to`. */
  lost(range: LostRange): void;

  /** Something went wrong and is being repaired by the driver (rejoining, a new consumer); for the log lines. */
  disturbed(error: Error): void;
}

export interface Assignment extends TopicPartition {
  /** The committed offset, or where the partition starts; always within the log. */
  readonly offset: number;
  /** The metadata of that commit; '' for none, and where the position had to be moved into the log. */
  readonly metadata: string;
  /** The end of the partition when it was assigned. */
  readonly end: number;
}

export interface RecordBatch extends TopicPartition {
  /** Offsets ascend, with gaps where the log has none; empty where it has none up to `nextOffset`. */
  readonly records: readonly LogRecord[];
  /** The offset after the batch. Above the last record's offset + 1 where the log has a gap there. */
  readonly nextOffset: number;
}

export interface LostRange extends TopicPartition {
  /** The first offset that was lost. */
  readonly from: number;
  /** The first offset after it that is still held. */
  readonly to: number;
}

export interface LogConsumer {
  /** Stops handing out records of these partitions until `resume`. Holds over rebalances while they are owned. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;

  /**
   * Commits positions under the given epoch.
   * @throws StaleEpochError if ownership has changed since `epoch` (nothing was committed), LogUnavailableError
   */
  commit(epoch: number, commits: readonly TopicCommit[]): Promise<void>;

  /** Leaves the group. `assigned([])` is called; nothing after it. Idempotent. */
  close(): Promise<void>;
}

/** Bytes that a record takes in a batch, at most (key, value, headers and Kafka's framing). Pure. */
export function encodedBytes(record: NewRecord): number {
  let bytes = 40 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const name in record.headers) {
    const value = record.headers[name];
    if (value === undefined) continue;
    const nameBytes = Buffer.byteLength(name) + 10;
    if (typeof value === 'string' || Buffer.isBuffer(value)) bytes += nameBytes + Buffer.byteLength(value);
    else for (const one of value) bytes += nameBytes + Buffer.byteLength(one);
  }
  return bytes;
}
