import { Worker } from 'node:worker_threads';
import { messageOf } from '../../../runtime/errors.ts';
import { Slots } from '../../../runtime/slots.ts';
import { LogFullError, LogLockedError, LogUnavailableError, UnknownTopicError } from '../errors.ts';
import type { NewRecord } from '../log.ts';
import { LogDirectoryError } from './directory.ts';
import type {
  Answer,
  Kind,
  Operations,
  Refusal,
  Request,
  RequestMessage,
  StoredTopic,
  WorkerMessage,
  WorkerOptions,
} from './protocol.ts';
import { storedBytes, writeRecord } from './record-codec.ts';

/** What the worker tells without being asked. */
export interface WorkerEvents {
  moved(partition: number, start: number): void;
  full(full: boolean): void;
  /** The worker has died; everything that waits or comes is rejected with this error. */
  failed(error: LogUnavailableError): void;
}

export interface OpenedClient {
  readonly client: WorkerClient;
  readonly stored: readonly StoredTopic[];
  /** Whether the disk is full already. */
  readonly full: boolean;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const noData = Buffer.alloc(0);

/**
 * The buffer that appends are encoded into begins with this size and doubles, in bytes. Small: while the disk stalls,
 * each turn of the loop leaves one in the worker's port.
 */
const dataBytesMin = 4_096;

/** The main thread's side: gathers what is asked in one turn of the loop into one message to the worker. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #directory: string;
  #events: WorkerEvents | null = null;
  /** By the ids of the requests. */
  readonly #waiting = new Slots<Waiting>();
  #requests: Request[] = [];
  /** The records of the appends among the requests, encoded. */
  #data = noData;
  #dataBytes = 0;
  #flushing = false;
  #error: LogUnavailableError | null = null;
  #closing = false;
  readonly #exited: Promise<void>;

  private constructor(worker: Worker, directory: string) {
    this.#worker = worker;
    this.#directory = directory;
    worker.on('message', (message: WorkerMessage) => this.#receive(message));
    worker.on('error', (error) => this.#fail(messageOf(error), error));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (code) => {
        if (!this.#closing || this.#waiting.size > 0) this.#fail(`its thread ended with ${code}`);
        resolve();
      });
    });
  }

  /** @throws LogLockedError, LogDirectoryError, LogUnavailableError */
  static async open(options: WorkerOptions): Promise<OpenedClient> {
    // The compiler does not rewrite this name: in a checkout the worker is TypeScript, in dist JavaScript.
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const worker = new Worker(new URL(file, import.meta.url), {
      name: 'posthorn-log',
      workerData: options,
      // Flags of the main thread, like a test runner's loaders, are none of its business.
      execArgv: [],
    });
    const { topics, full } = await opened(worker, options.directory);
    return { client: new WorkerClient(worker, options.directory), stored: topics, full };
  }

  /** Before anything is asked: until then the worker says nothing. */
  listen(events: WorkerEvents): void {
    this.#events = events;
    if (this.#error) events.failed(this.#error);
  }

  /** @throws LogUnavailableError if the worker has died */
  check(): void {
    if (this.#error) throw this.#error;
  }

  /** @throws LogFullError, UnknownTopicError, LogUnavailableError */
  call<K extends Kind>(kind: K, body: Operations[K]['request']): Promise<Operations[K]['reply']> {
    return this.#ask((id) => {
      this.#requests.push({ id, kind, body } as Request);
    }) as Promise<Operations[K]['reply']>;
  }

  /** As `call('append', …)`. The records are encoded before this returns: the caller may reuse its buffers. */
  append(partition: number, records: readonly NewRecord[], nowMs: number): Promise<number> {
    let bytes = 0;
    for (const record of records) bytes += storedBytes(record);
    return this.#ask((id) => {
      const from = this.#dataBytes;
      this.#makeRoom(from + bytes);
      let to = from;
      let timestampMs = 0;
      for (const record of records) {
        to = writeRecord(this.#data, to, record, nowMs);
        timestampMs = Math.max(timestampMs, Math.trunc(record.timestampMs ?? nowMs));
      }
      this.#dataBytes = to;
      this.#requests.push({ id, kind: 'append', body: { partition, count: records.length, timestampMs, from, to } });
    }) as Promise<number>;
  }

  /** Resolves when everything that was asked is answered and the worker has ended. */
  async close(): Promise<void> {
    if (!this.#closing && this.#error === null) {
      const closed = this.call('close', {});
      this.#closing = true;
      await closed;
    }
    await this.#exited;
  }

  #ask(enqueue: (id: number) => void): Promise<unknown> {
    if (this.#error) return Promise.reject(this.#error);
    if (this.#closing) return Promise.reject(new LogUnavailableError(`the log in ${this.#directory} is closed`));
    return new Promise((resolve, reject) => {
      enqueue(this.#waiting.add({ resolve, reject }));
      if (this.#flushing) return;
      this.#flushing = true;
      setImmediate(() => this.#flush());
    });
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#data.length) return;
    // Of its own, not of Node's pool: it is handed over to the worker.
    const larger = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#data.length, dataBytesMin));
    this.#data.copy(larger, 0, 0, this.#dataBytes);
    this.#data = larger;
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#error) return;
    const message: RequestMessage = { requests: this.#requests, data: this.#data };
    this.#worker.postMessage(message, this.#dataBytes > 0 ? [this.#data.buffer as ArrayBuffer] : []);
    this.#requests = [];
    this.#data = noData;
    this.#dataBytes = 0;
  }

  #receive(message: WorkerMessage): void {
    switch (message.kind) {
      case 'answers':
        for (const answer of message.answers) this.#settle(answer);
        return;
      case 'moved':
        this.#events?.moved(message.partition, message.start);
        return;
      case 'full':
        this.#events?.full(message.full);
        return;
      case 'opened':
      case 'refused':
    }
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.take(answer.id);
    if ('value' in answer) waiting?.resolve(answer.value);
    else if (answer.refused === 'full') waiting?.reject(new LogFullError(this.#directory));
    else waiting?.reject(new UnknownTopicError('of this partition any more: it was deleted'));
  }

  #fail(reason: string, cause?: Error): void {
    if (this.#error) return;
    this.#error = new LogUnavailableError(`the log in ${this.#directory} has failed: ${reason}`, { cause });
    for (const waiting of this.#waiting.values()) waiting.reject(this.#error);
    this.#events?.failed(this.#error);
  }
}

type Opened = Extract<WorkerMessage, { kind: 'opened' }>;

/** Waits for the worker's first word. */
async function opened(worker: Worker, directory: string): Promise<Opened> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerMessage>();
  const onExit = (code: number): void => reject(new Error(`its thread ended with ${code}`));
  worker.once('message', resolve).once('error', reject).once('exit', onExit);
  try {
    const message = await promise;
    if (message.kind === 'opened') return message;
    if (message.kind === 'refused') throw refusalError(message.refusal, directory);
    throw new Error('its thread began with the wrong message');
  } catch (error) {
    await worker.terminate();
    if (error instanceof LogLockedError || error instanceof LogDirectoryError) throw error;
    throw new LogUnavailableError(`the log in ${directory} can't be opened: ${messageOf(error)}`, { cause: error });
  } finally {
    worker.off('error', reject).off('exit', onExit);
  }
}

function refusalError(refusal: Refusal, directory: string): Error {
  switch (refusal.reason) {
    case 'locked':
      return new LogLockedError(directory, refusal.holder);
    case 'unusable':
      return new LogDirectoryError(refusal.message);
  }
}
