import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { LogLockedError } from '../errors.ts';
import { openDatabase, sqliteCodeOf, sqliteCodes } from './database.ts';
import { forgetHolder, holderOf, LogDirectoryError, noteHolder } from './directory.ts';
import type { Answer, Request, RequestMessage, WorkerMessage, WorkerOptions } from './protocol.ts';
import { Space } from './space.ts';
import { Storage, UnknownPartition } from './storage.ts';

/** One transaction takes no more than this of records, so that its acknowledgements don't wait for ever. */
const transactionMaxBytes = 8_388_608;

/**
 * The write-ahead log is moved into the database when about this much was written to it: larger makes for rarer but
 * longer pauses, and a longer start after a crash; smaller writes pages again that are not full yet.
 */
const checkpointBytes = 4_194_304;

/** What a request writes besides its records, about: the pages of tables and indexes that it touches. */
const touchedBytes = 8_192;

/** Partitions looked at in one turn of sweeping, which costs some 10 µs each where nothing is to be deleted. */
const sweptPartitionsMax = 64;

/** A request that changes something, with the message's data that it may refer to. */
interface Write {
  readonly request: Request;
  readonly data: Uint8Array;
}

/**
 * The worker's side: takes what the main thread asks for, everything that has come in the meantime at once. Reads of
 * records are answered first; then all changes go into one transaction, and are answered when it is synced. That is
 * the group commit: while one transaction syncs, the next one gathers in the port.
 */
class LogWorker {
  readonly #port: MessagePort;
  readonly #directory: string;
  readonly #storage: Storage;
  readonly #space: Space;
  readonly #sweepDue = new Set<number>();
  #sweeping = false;
  #sweepNowMs: number | null = null;
  #writtenBytes = 0;
  #closed = false;

  constructor(port: MessagePort, storage: Storage, space: Space, directory: string) {
    this.#port = port;
    this.#storage = storage;
    this.#space = space;
    this.#directory = directory;
    port.on('message', (message: RequestMessage) => this.#turn(message));
    this.#post({ kind: 'opened', topics: storage.topics(), full: space.full });
  }

  #post(message: WorkerMessage, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #turn(first: RequestMessage): void {
    const messages = [first];
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      messages.push(next.message as RequestMessage);
    }
    this.#answerReads(messages.flatMap((message) => message.requests));
    let writes: Write[] = [];
    let bytes = 0;
    for (const { requests, data } of messages) {
      for (const request of requests) {
        if (request.kind === 'read' || request.kind === 'offsetsAt') continue;
        bytes += request.kind === 'append' ? request.body.to - request.body.from : 0;
        writes.push({ request, data });
        if (bytes < transactionMaxBytes) continue;
        this.#write(writes);
        writes = [];
        bytes = 0;
      }
    }
    this.#write(writes);
    if (this.#closed) return;
    this.#sweepSoon();
  }

  #answerReads(requests: readonly Request[]): void {
    const transfer = new Set<ArrayBuffer>();
    const answers: Answer[] = [];
    for (const { id, kind, body } of requests) {
      if (kind === 'read') {
        answers.push(
          answered(id, () => {
            const batches = this.#storage.read(body);
            transfer.add(batches.data.buffer as ArrayBuffer);
            return batches;
          }),
        );
      } else if (kind === 'offsetsAt') {
        const offsetAt = (partition: number) => this.#storage.offsetAt(partition, body.timestampMs);
        answers.push(answered(id, () => body.partitions.map(offsetAt)));
      }
    }
    if (answers.length > 0) this.#post({ kind: 'answers', answers }, [...transfer]);
  }

  #write(writes: readonly Write[]): void {
    if (writes.length === 0) return;
    const bytes = writes.reduce((sum, { request }) => sum + writtenBytesOf(request), 0);
    this.#post({
      kind: 'answers',
      answers: this.#admits(bytes) ? this.#transact(writes) : this.#transactWithoutAppends(writes),
    });
    this.#writtenBytes += bytes;
    if (this.#writtenBytes >= checkpointBytes) this.#checkpoint();
    if (writes.some(({ request }) => request.kind === 'close')) this.#close();
  }

  #transact(writes: readonly Write[]): Answer[] {
    try {
      return this.#storage.transaction(() =>
        writes.map((write) => answered(write.request.id, () => this.#apply(write))),
      );
    } catch (error) {
      if (sqliteCodeOf(error) !== sqliteCodes.full) throw error;
      this.#becomeFull();
      return this.#transactWithoutAppends(writes);
    }
  }

  /** On a full disk: whatever is not an append still goes on, from the reserve. */
  #transactWithoutAppends(writes: readonly Write[]): Answer[] {
    const refused = (id: number): Answer => ({ id, refused: 'full' });
    const apply = (write: Write): Answer =>
      write.request.kind === 'append'
        ? refused(write.request.id)
        : answered(write.request.id, () => this.#apply(write));
    try {
      return this.#storage.transaction(() => writes.map(apply));
    } catch (error) {
      if (sqliteCodeOf(error) !== sqliteCodes.full) throw error;
      return writes.map(({ request }) => refused(request.id));
    }
  }

  #apply({ request, data }: Write): unknown {
    const { kind, body } = request;
    switch (kind) {
      case 'append':
        return this.#storage.append(body.partition, body.count, body.timestampMs, data.subarray(body.from, body.to));
      case 'trim':
        this.#sweepDue.add(body.partition);
        return this.#storage.trim(body.partition, body.before);
      case 'createTopic':
        return this.#storage.createTopic(body.name, body.spec);
      case 'deleteTopic':
        for (const partition of this.#storage.deleteTopic(body.topic)) this.#sweepDue.add(partition);
        return null;
      case 'commit':
        return this.#storage.commit(body.group, body.commits) ?? null;
      case 'committed':
        return this.#storage.committed(body.group, body.partitions);
      case 'begin':
        return this.#storage.beginGroup(body.group, body.topic, body.partitions, body.startAt) ?? null;
      case 'deleteGroup':
        return this.#storage.deleteGroup(body.group) ?? null;
      case 'retain':
        this.#sweepNowMs = body.nowMs;
        for (const partition of this.#storage.partitionIds) this.#sweepDue.add(partition);
        return null;
      case 'close':
      case 'read':
      case 'offsetsAt':
        return null;
    }
  }

  /** Whether appends of so many bytes can be tried. */
  #admits(bytes: number): boolean {
    if (!this.#space.full) return true;
    if (this.#space.recover()) {
      this.#post({ kind: 'full', full: false });
      return true;
    }
    return this.#space.fits(bytes, this.#storage.freeBytes);
  }

  #becomeFull(): void {
    if (!this.#space.full) this.#post({ kind: 'full', full: true });
    this.#space.giveUpReserve();
    this.#checkpoint();
  }

  #checkpoint(): void {
    this.#writtenBytes = 0;
    try {
      this.#storage.checkpoint();
    } catch (error) {
      if (sqliteCodeOf(error) !== sqliteCodes.full) throw error;
      if (!this.#space.full) this.#becomeFull();
    }
  }

  #sweepSoon(): void {
    if (this.#sweeping || this.#sweepDue.size === 0) return;
    this.#sweeping = true;
    setImmediate(() => {
      this.#sweeping = false;
      if (this.#closed) return;
      this.#sweep();
      this.#sweepSoon();
    });
  }

  /** Deletes some of what has to go, and leaves the rest to later turns, so that appends come in between. */
  #sweep(): void {
    let looked = 0;
    for (const partition of this.#sweepDue) {
      if (looked++ === sweptPartitionsMax) return;
      const stale = this.#storage.stale(partition, this.#sweepNowMs);
      if (!stale?.more) this.#sweepDue.delete(partition);
      try {
        if (stale === null) {
          if (this.#storage.isDropped(partition))
            this.#storage.transaction(() => this.#storage.forgetDropped(partition));
          continue;
        }
        const start = this.#storage.transaction(() => this.#storage.sweep(stale));
        if (start !== null) this.#post({ kind: 'moved', partition, start });
        this.#writtenBytes += touchedBytes;
        if (!stale.more && this.#storage.isDropped(partition)) this.#sweepDue.add(partition);
        return;
      } catch (error) {
        if (sqliteCodeOf(error) !== sqliteCodes.full) throw error;
        // Even the reserve was not enough: the next round of retention tries again.
        this.#becomeFull();
        this.#sweepDue.delete(partition);
        return;
      }
    }
  }

  #close(): void {
    this.#closed = true;
    this.#checkpoint();
    // While the lock is still held: the next holder writes its own.
    forgetHolder(this.#directory);
    this.#storage.close();
    this.#port.close();
  }
}

function answered(id: number, work: () => unknown): Answer {
  try {
    return { id, value: work() };
  } catch (error) {
    if (error instanceof UnknownPartition) return { id, refused: 'unknownPartition' };
    throw error;
  }
}

function writtenBytesOf(request: Request): number {
  return touchedBytes + (request.kind === 'append' ? request.body.to - request.body.from : 0);
}

function start(port: MessagePort, { directory, reserveBytes }: WorkerOptions): void {
  try {
    const database = openDatabase(directory);
    noteHolder(directory);
    new LogWorker(port, new Storage(database), new Space(directory, reserveBytes), directory);
  } catch (error) {
    const refusal =
      error instanceof LogLockedError
        ? ({ reason: 'locked', holder: holderOf(directory) } as const)
        : error instanceof LogDirectoryError
          ? ({ reason: 'unusable', message: error.message } as const)
          : null;
    if (refusal === null) throw error;
    port.postMessage({ kind: 'refused', refusal } satisfies WorkerMessage);
    port.close();
  }
}

if (parentPort) start(parentPort, workerData as WorkerOptions);
