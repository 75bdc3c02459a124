import type { Logger } from 'pino';
import { type Clock, systemClock, type Timer } from '../../../runtime/clock.ts';
import { LogUnavailableError, RecordTooLargeError } from '../errors.ts';
import {
  type Commit,
  type ConsumeOptions,
  encodedBytes,
  type Log,
  type LogConsumer,
  type NewRecord,
  type PartitionOffset,
  type PartitionRange,
  type ReadResult,
  type TopicInfo,
  type TopicSpec,
} from '../log.ts';
import { EmbeddedConsumer, type Fetched, readMaxBytes, readMaxRecords } from './consumer.ts';
import { prepareDirectory } from './directory.ts';
import { Group, type GroupContext } from './group.ts';
import { grow, type Partition, Topics } from './partitions.ts';
import { decodeBatches } from './record-codec.ts';
import { type OpenedClient, WorkerClient } from './worker-client.ts';

export interface EmbeddedLogOptions {
  /** Where the log lies; made with mode 0700 if it is missing. */
  readonly directory: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Room on the disk that is held back for deleting when the disk is full, in bytes. */
  readonly reserveBytes?: number;
  /** How often what is past its retention is looked for. */
  readonly retentionCheckMs?: number;
}

/** Retention is days or hours; a minute more is no matter, and a look costs some 10 µs a partition. */
const defaultRetentionCheckMs = 60_000;

/** A trim needs a few MiB at once, and a disk is rarely watched more closely than this. */
const defaultReserveBytes = 67_108_864;

/**
 * Opens the log in a directory, which no other process may have open: topics, records and commits in an SQLite
 * database that a worker thread writes. An append resolves when it is synced to disk; appends that come at the same
 * time share a sync. If the worker dies (the database is damaged, the disk fails) the log has failed for good: every
 * call rejects with LogUnavailableError until the process starts anew, and `failed` resolves.
 *
 * @throws LogLockedError, LogDirectoryError, LogUnavailableError
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  prepareDirectory(options.directory);
  return EmbeddedLog.open(options);
}

class EmbeddedLog implements Log {
  readonly sharedByProcesses = false;
  readonly failed: Promise<LogUnavailableError>;
  readonly #client: WorkerClient;
  readonly #clock: Clock;
  readonly #retentionCheckMs: number;
  readonly #logger: Logger;
  readonly #topics = new Topics();
  readonly #groups = new Map<string, Group>();
  /** Topics that are being made or deleted, by name. */
  readonly #changing = new Map<string, Promise<unknown>>();
  #retentionTimer: Timer | null = null;
  #closed: Promise<void> | null = null;

  private constructor({ client, stored, full }: OpenedClient, options: EmbeddedLogOptions) {
    this.#client = client;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger.child({ directory: options.directory });
    this.#retentionCheckMs = options.retentionCheckMs ?? defaultRetentionCheckMs;
    for (const topic of stored) this.#topics.add(topic);
    const { promise, resolve } = Promise.withResolvers<LogUnavailableError>();
    this.failed = promise;
    client.listen({
      moved: (partition, start) => this.#moved(partition, start),
      full: (isFull) => this.#full(isFull),
      failed: (error) => {
        resolve(error);
        this.#fail(error);
      },
    });
    if (full) this.#full(true);
    else this.#retain();
  }

  static async open(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
    const { directory, reserveBytes = defaultReserveBytes } = options;
    return new EmbeddedLog(await WorkerClient.open({ directory, reserveBytes }), options);
  }

  async ensureTopics(names: readonly string[], spec: TopicSpec): Promise<ReadonlySet<string>> {
    const made = new Set<string>();
    // All at once: the worker makes one transaction of them.
    await Promise.all(
      names.map(async (name) => {
        if (await this.#ensure(name, spec)) made.add(name);
      }),
    );
    return made;
  }

  /** @returns whether it was not there */
  async #ensure(name: string, spec: TopicSpec): Promise<boolean> {
    this.#checkOpen();
    for (let change = this.#changing.get(name); change; change = this.#changing.get(name)) await change;
    if (this.#topics.find(name)) return false;
    await this.#change(name, async () => {
      this.#topics.add(await this.#client.call('createTopic', { name, spec }));
    });
    return true;
  }

  async listTopics(prefix: string): Promise<string[]> {
    this.#checkOpen();
    return this.#topics
      .names()
      .filter((name) => name.startsWith(prefix))
      .sort();
  }

  async describeTopic(name: string): Promise<TopicInfo> {
    this.#checkOpen();
    return this.#topics.get(name).spec;
  }

  async deleteTopic(name: string): Promise<void> {
    this.#checkOpen();
    for (let change = this.#changing.get(name); change; change = this.#changing.get(name)) await change;
    const topic = this.#topics.find(name);
    if (topic === undefined) return;
    await this.#change(name, async () => {
      await this.#client.call('deleteTopic', { topic: topic.id });
      this.#topics.remove(topic);
    });
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const found = this.#topics.partition(topic, partition);
    const { maxMessageBytes } = this.#topics.get(topic).spec;
    let bytes = 0;
    for (const record of records) bytes += encodedBytes(record);
    if (bytes > maxMessageBytes) throw new RecordTooLargeError(topic, bytes, maxMessageBytes);
    const first = await this.#client.append(found.id, records, this.#clock.now());
    grow(found, first + records.length);
    return first;
  }

  async ranges(topic: string): Promise<PartitionRange[]> {
    this.#checkOpen();
    return this.#topics.get(topic).partitions.map(({ partition, start, end }) => ({ partition, start, end }));
  }

  async ends(topic: string): Promise<PartitionOffset[]> {
    return (await this.ranges(topic)).map(({ partition, end }) => ({ partition, offset: end }));
  }

  async offsetsAt(topic: string, timestampMs: number): Promise<PartitionOffset[]> {
    const { partitions } = this.#topics.get(topic);
    const offsets = await this.#client.call('offsetsAt', { partitions: partitions.map((one) => one.id), timestampMs });
    return partitions.map(({ partition, start }, i) => ({ partition, offset: offsets[i] ?? start }));
  }

  async read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<ReadResult> {
    const found = this.#topics.partition(topic, partition);
    const request = { partition: found.id, from: fromOffset, maxBytes, maxRecords: readMaxRecords };
    return decodeBatches(await this.#client.call('read', request), maxBytes);
  }

  async trim(topic: string, partition: number, beforeOffset: number): Promise<void> {
    const found = this.#topics.partition(topic, partition);
    const start = await this.#client.call('trim', { partition: found.id, before: beforeOffset });
    found.start = Math.max(found.start, start);
  }

  async committed(group: string, topic: string): Promise<Commit[]> {
    const partitions = this.#topics.find(topic)?.partitions ?? [];
    const numbers = new Map(partitions.map((one) => [one.id, one.partition]));
    const commits = await this.#client.call('committed', { group, partitions: [...numbers.keys()] });
    return commits.map((commit) => ({ ...commit, partition: numbers.get(commit.partition) ?? commit.partition }));
  }

  async deleteGroup(group: string): Promise<void> {
    if (this.#groups.get(group)?.members.length) throw new Error(`group ${group} still has members`);
    await this.#client.call('deleteGroup', { group });
  }

  async consume({ group: name, topics, startAt, handler }: ConsumeOptions): Promise<LogConsumer> {
    const starts = topics.map((topic) => ({
      topic,
      partitions: this.#topics.get(topic).partitions.map(({ id }) => id),
    }));
    await Promise.all(starts.map((start) => this.#client.call('begin', { group: name, ...start, startAt })));
    this.#checkOpen();
    const group = this.#group(name);
    const consumer = new EmbeddedConsumer({
      handler,
      topics,
      clock: this.#clock,
      fetch: (partition, from) => this.#fetch(partition, from),
      commit: async (commits) => {
        const stored = commits.map(({ partition, commit: { offset, metadata } }) => {
          return { partition: partition.id, offset, metadata };
        });
        await this.#client.call('commit', { group: name, commits: stored });
      },
      epoch: () => group.epoch,
      leave: (leaving) => {
        group.leave(leaving);
        if (group.members.length === 0) this.#groups.delete(name);
      },
    });
    group.join(consumer);
    return consumer;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#retentionTimer?.cancel();
    await Promise.all(this.#consumers().map((consumer) => consumer.close()));
    await this.#client.close();
  }

  /** Makes or deletes a topic, one at a time for each name, and tells the groups that read it. */
  async #change(name: string, work: () => Promise<void>): Promise<void> {
    this.#checkOpen();
    const change = work();
    // Who waits for it only waits until it is over.
    this.#changing.set(
      name,
      change.catch(() => {}),
    );
    try {
      await change;
    } finally {
      this.#changing.delete(name);
    }
    for (const group of this.#groups.values()) {
      if (group.members.some((member) => member.topics.includes(name))) void group.rebalance();
    }
  }

  #group(name: string): Group {
    const found = this.#groups.get(name);
    if (found) return found;
    const context: GroupContext = {
      partitionsOf: (topic) => this.#topics.find(topic)?.partitions ?? [],
      committed: (partitions) => this.#client.call('committed', { group: name, partitions }),
    };
    const group = new Group(context, this.#clock);
    this.#groups.set(name, group);
    return group;
  }

  async #fetch({ id }: Partition, from: number): Promise<Fetched> {
    const request = { partition: id, from, maxBytes: readMaxBytes, maxRecords: readMaxRecords };
    const stored = await this.#client.call('read', request);
    return { from: stored.from, bytes: stored.data.length, ...decodeBatches(stored, Number.POSITIVE_INFINITY) };
  }

  #retain(): void {
    this.#retentionTimer?.cancel();
    if (this.#closed !== null) return;
    // A failure of the worker is reported by itself.
    this.#client.call('retain', { nowMs: this.#clock.now() }).catch(() => {});
    this.#retentionTimer = this.#clock.setTimer(() => this.#retain(), this.#retentionCheckMs);
  }

  #moved(id: number, start: number): void {
    const partition = this.#topics.byId(id);
    if (partition) partition.start = Math.max(partition.start, start);
  }

  #full(full: boolean): void {
    if (!full) {
      this.#logger.info('the disk of the log has room again');
      return;
    }
    this.#logger.error('the disk of the log is full: appends are refused until there is room');
    this.#retain();
  }

  #fail(error: LogUnavailableError): void {
    this.#logger.fatal({ err: error }, 'the log has failed');
    this.#retentionTimer?.cancel();
    for (const group of this.#groups.values()) group.fail(error);
    this.#groups.clear();
  }

  #consumers(): EmbeddedConsumer[] {
    return [...this.#groups.values()].flatMap((group) => [...group.members]);
  }

  #checkOpen(): void {
    if (this.#closed !== null) throw new LogUnavailableError('the log is closed');
    this.#client.check();
  }
}
