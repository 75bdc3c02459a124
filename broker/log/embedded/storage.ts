import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { offsetIn, type StartAt, type TopicOffsets, type TopicSpec } from '../log.ts';
import type { ReadRequest, StoredBatches, StoredCommit, StoredPartition, StoredTopic } from './protocol.ts';
import { firstRecordAt } from './record-codec.ts';

/** A request named a partition that is no more. */
export class UnknownPartition extends Error {}

/** What is known of a partition without asking the database. */
interface Partition {
  readonly id: number;
  readonly topic: number;
  start: number;
  next: number;
  /** Whether `start` or `next` still has to be written, at the end of the transaction. */
  changed: boolean;
}

/**
 * The tables of the log. All that changes something runs within `transaction`. Everything throws what SQLite throws,
 * and UnknownPartition.
 */
export class Storage {
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #partitions = new Map<number, Partition>();
  readonly #changed = new Set<Partition>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#statements = prepare(database);
    this.#load();
  }

  /** Runs `work` in one transaction; when it returns, what it did is synced to disk. */
  transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      for (const { id, start, next } of this.#changed) this.#statements.updatePartition.run(start, next, id);
      this.#database.exec('COMMIT');
      this.#changed.clear();
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      this.#load();
      throw error;
    }
  }

  topics(): StoredTopic[] {
    const partitions = new Map<number, StoredPartition[]>();
    for (const row of this.#statements.partitions.all()) {
      const topic = Number(row.topic);
      const list = partitions.get(topic) ?? [];
      partitions.set(topic, list);
      const [id, start, end] = [Number(row.id), Number(row.start_offset), Number(row.next_offset)];
      list.push({ id, partition: Number(row.number), start, end });
    }
    return this.#statements.topics.all().map((row) => {
      const id = Number(row.id);
      const own = partitions.get(id) ?? [];
      const retentionMs = row.retention_ms === null ? null : Number(row.retention_ms);
      const spec = { partitions: own.length, retentionMs, maxMessageBytes: Number(row.max_message_bytes) };
      return { id, name: String(row.name), spec, partitions: own };
    });
  }

  createTopic(name: string, spec: TopicSpec): StoredTopic {
    const { lastInsertRowid } = this.#statements.insertTopic.run(name, spec.retentionMs, spec.maxMessageBytes);
    const topic = Number(lastInsertRowid);
    const partitions: StoredPartition[] = [];
    for (let number = 0; number < spec.partitions; number++) {
      const id = Number(this.#statements.insertPartition.run(topic, number).lastInsertRowid);
      this.#partitions.set(id, { id, topic, start: 0, next: 0, changed: false });
      partitions.push({ id, partition: number, start: 0, end: 0 });
    }
    return { id: topic, name, spec, partitions };
  }

  /** Forgets the topic; its records are swept up later. Returns the ids of its partitions. */
  deleteTopic(topic: number): number[] {
    const ids = this.#partitionsOf(topic);
    for (const id of ids) {
      this.#statements.dropPartition.run(id);
      this.#statements.deleteCommitsOn.run(id);
      this.#statements.deletePartition.run(id);
      this.#partitions.delete(id);
    }
    this.#statements.deleteTopic.run(topic);
    return ids;
  }

  /** Stores the records of one append; returns the offset of the first. */
  append(partition: number, count: number, timestampMs: number, records: Uint8Array): number {
    const found = this.#partition(partition);
    const offset = found.next;
    if (count === 0) return offset;
    this.#statements.insertBatch.run(partition, offset, count, timestampMs, records);
    found.next += count;
    this.#changed.add(found);
    return offset;
  }

  read({ partition, from, maxBytes, maxRecords }: ReadRequest): StoredBatches {
    const effective = Math.max(from, this.#partition(partition).start);
    const floor = this.#statements.batchAtOrBelow.get(partition, effective)?.base_offset ?? effective;
    const batches: { baseOffset: number; count: number }[] = [];
    const chunks: Uint8Array[] = [];
    let [bytes, records] = [0, 0];
    for (const row of this.#statements.batchesFrom.iterate(partition, Number(floor))) {
      const chunk = row.records as Uint8Array;
      batches.push({ baseOffset: Number(row.base_offset), count: Number(row.count) });
      chunks.push(chunk);
      bytes += chunk.length;
      records += Number(row.count);
      if (bytes >= maxBytes || records >= maxRecords) break;
    }
    return { from: effective, batches, data: joined(chunks, bytes) };
  }

  /** The first offset of that time or later, or the end. */
  offsetAt(partition: number, timestampMs: number): number {
    const { start, next } = this.#partition(partition);
    const floor = Number(this.#statements.batchAtOrBelow.get(partition, start)?.base_offset ?? start);
    for (const row of this.#statements.batchesAtTime.iterate(partition, floor, timestampMs)) {
      const base = Number(row.base_offset);
      const index = firstRecordAt(row.records as Uint8Array, Number(row.count), start - base, timestampMs);
      if (index >= 0) return base + index;
    }
    return next;
  }

  /** Moves the start of the partition up to `before`, at most to its end; returns where it starts now. */
  trim(partition: number, before: number): number {
    const found = this.#partition(partition);
    const start = Math.min(before, found.next);
    if (start > found.start) {
      found.start = start;
      this.#changed.add(found);
    }
    return found.start;
  }

  commit(group: string, commits: readonly StoredCommit[]): void {
    for (const { partition } of commits) this.#partition(partition);
    for (const { partition, offset, metadata } of commits) {
      this.#statements.upsertCommit.run(group, partition, offset, metadata);
    }
  }

  committed(group: string, partitions: readonly number[]): StoredCommit[] {
    const commits: StoredCommit[] = [];
    for (const partition of partitions) {
      const row = this.#statements.commitOf.get(group, partition);
      if (row) commits.push({ partition, offset: Number(row.position), metadata: String(row.metadata) });
    }
    return commits;
  }

  beginGroup(group: string, topic: string, partitions: readonly number[], startAt: StartAt): void {
    if (typeof startAt === 'object') {
      this.#beginAt(group, topic, partitions, startAt);
      return;
    }
    if (this.committed(group, partitions).length > 0) return;
    const commits = partitions.map((partition) => {
      const { start, next } = this.#partition(partition);
      return { partition, offset: startAt === 'earliest' ? start : next, metadata: '' };
    });
    this.commit(group, commits);
  }

  #beginAt(group: string, topic: string, partitions: readonly number[], startAt: TopicOffsets): void {
    const begun = new Set(this.committed(group, partitions).map((commit) => commit.partition));
    for (const [number, partition] of partitions.entries()) {
      if (begun.has(partition)) continue;
      this.commit(group, [{ partition, offset: offsetIn(startAt, { topic, partition: number }), metadata: '' }]);
    }
  }

  deleteGroup(group: string): void {
    this.#statements.deleteGroup.run(group);
  }

  /** The partitions that are held, and those of deleted topics of which something may be left. */
  get partitionIds(): number[] {
    return [...this.#partitions.keys(), ...this.#statements.droppedPartitions.all().map((row) => Number(row.id))];
  }

  /**
   * What can be deleted at the front of a partition, by whole batches: what is below its start, and what is as old
   * as its topic's retention says. Looks at no more than some hundred batches and some MiB.
   */
  stale(partition: number, nowMs: number | null): Stale | null {
    const held = this.#partitions.get(partition);
    const retentionMs = held && this.#statements.retentionOf.get(held.topic)?.retention_ms;
    const expiredMs = nowMs === null || typeof retentionMs !== 'number' ? -Infinity : nowMs - retentionMs;
    let end: number | null = null;
    let more = false;
    let [bytes, batches] = [0, 0];
    for (const row of this.#statements.oldestBatches.iterate(partition)) {
      const batchEnd = Number(row.base_offset) + Number(row.count);
      if (held && batchEnd > held.start && Number(row.timestamp_ms) >= expiredMs) break;
      end = batchEnd;
      bytes += Number(row.bytes);
      more = ++batches === sweptBatchesMax || bytes >= sweptBytesMax;
      if (more) break;
    }
    return end === null ? null : { partition, end, more };
  }

  /** Deletes what `stale` found. Returns where the partition starts now if that moved it. */
  sweep({ partition, end }: Stale): number | null {
    const held = this.#partitions.get(partition);
    this.#statements.deleteBatches.run(partition, end);
    if (!held || held.start >= end) return null;
    return this.trim(partition, end);
  }

  /** Nothing is left of a partition of a deleted topic. */
  forgetDropped(partition: number): void {
    this.#statements.forgetDropped.run(partition);
  }

  isDropped(partition: number): boolean {
    return !this.#partitions.has(partition);
  }

  /** Bytes of the database file that nothing uses; appends go there first. */
  get freeBytes(): number {
    const pages = Number(this.#statements.freePages.get()?.freelist_count);
    return pages * Number(this.#statements.pageBytes.get()?.page_size);
  }

  /** Moves the write-ahead log into the database, so that it begins anew. */
  checkpoint(): void {
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  close(): void {
    this.#database.close();
  }

  #partition(id: number): Partition {
    const found = this.#partitions.get(id);
    if (found === undefined) throw new UnknownPartition();
    return found;
  }

  #partitionsOf(topic: number): number[] {
    return [...this.#partitions.values()].filter((one) => one.topic === topic).map((one) => one.id);
  }

  #load(): void {
    this.#partitions.clear();
    this.#changed.clear();
    for (const row of this.#statements.partitions.all()) {
      const [id, topic, start, next] = [row.id, row.topic, row.start_offset, row.next_offset].map(Number);
      if (id === undefined || topic === undefined || start === undefined || next === undefined) continue;
      this.#partitions.set(id, { id, topic, start, next, changed: false });
    }
  }
}

/** One sweep deletes no more than this, so that no append waits long behind it. */
const sweptBatchesMax = 256;
const sweptBytesMax = 8_388_608;

/** Batches at the front of a partition that can go: those that end at or below `end`. */
export interface Stale {
  readonly partition: number;
  readonly end: number;
  /** Whether there may be more of them. */
  readonly more: boolean;
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: DatabaseSync) {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    topics: sql('SELECT id, name, retention_ms, max_message_bytes FROM topic ORDER BY id'),
    partitions: sql('SELECT id, topic, number, start_offset, next_offset FROM partition ORDER BY topic, number'),
    insertTopic: sql('INSERT INTO topic (name, retention_ms, max_message_bytes) VALUES (?, ?, ?)'),
    insertPartition: sql('INSERT INTO partition (topic, number) VALUES (?, ?)'),
    updatePartition: sql('UPDATE partition SET start_offset = ?, next_offset = ? WHERE id = ?'),
    deleteTopic: sql('DELETE FROM topic WHERE id = ?'),
    deletePartition: sql('DELETE FROM partition WHERE id = ?'),
    dropPartition: sql('INSERT INTO dropped_partition (id) VALUES (?)'),
    droppedPartitions: sql('SELECT id FROM dropped_partition'),
    forgetDropped: sql('DELETE FROM dropped_partition WHERE id = ?'),
    retentionOf: sql('SELECT retention_ms FROM topic WHERE id = ?'),
    insertBatch: sql('INSERT INTO batch (partition, base_offset, count, timestamp_ms, records) VALUES (?, ?, ?, ?, ?)'),
    batchAtOrBelow: sql(
      'SELECT base_offset FROM batch WHERE partition = ? AND base_offset <= ? ORDER BY base_offset DESC LIMIT 1',
    ),
    batchesFrom: sql(
      'SELECT base_offset, count, records FROM batch WHERE partition = ? AND base_offset >= ? ORDER BY base_offset',
    ),
    batchesAtTime: sql(
      `SELECT base_offset, count, records FROM batch
       WHERE partition = ? AND base_offset >= ? AND timestamp_ms >= ? ORDER BY base_offset`,
    ),
    oldestBatches: sql(
      `SELECT base_offset, count, timestamp_ms, length(records) AS bytes FROM batch
       WHERE partition = ? ORDER BY base_offset`,
    ),
    deleteBatches: sql('DELETE FROM batch WHERE partition = ? AND base_offset < ?'),
    upsertCommit: sql(
      `INSERT INTO group_commit (group_name, partition, position, metadata) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET position = excluded.position, metadata = excluded.metadata`,
    ),
    commitOf: sql('SELECT position, metadata FROM group_commit WHERE group_name = ? AND partition = ?'),
    deleteCommitsOn: sql('DELETE FROM group_commit WHERE partition = ?'),
    deleteGroup: sql('DELETE FROM group_commit WHERE group_name = ?'),
    freePages: sql('PRAGMA freelist_count'),
    pageBytes: sql('PRAGMA page_size'),
  };
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const data = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    data.set(chunk, at);
    at += chunk.length;
  }
  return data;
}
