import { createServer, type Server, type Socket } from 'node:net';
import { cpuSecondsOf } from '../lib/figures.ts';

/**
 * The subscribers of a benchmark, in a process of their own: servers that answer every POST as cheaply as Node can, so
 * that they are not what is measured. Speaks with its parent by IPC; ends when that is gone.
 */

/** What the parent asks. Each is answered by one message. */
export type SinkQuestion =
  | { readonly kind: 'listen'; readonly servers: number }
  | ({ readonly kind: 'behave' } & Partial<Behaviour>)
  /** Closes a server and its connections, or opens it again on its port. */
  | { readonly kind: 'down'; readonly server: number; readonly isDown: boolean }
  /** Answers nothing until `marks` is asked. */
  | { readonly kind: 'hold' }
  /** Lets go what is held; answered when the last of these counts is reached. */
  | ({ readonly kind: 'marks' } & MarksOrder)
  | { readonly kind: 'count' }
  /** Forgets the latencies. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'latencies' };

export interface Behaviour {
  /** Answers 500 to events of this partition key; none if null. */
  readonly failKey: string | null;
  /** Between a request and its answer. */
  readonly delayMs: number;
  /** Whether to look at each event's id, for `distinct` and `repeated`. */
  readonly tracksIds: boolean;
}

export interface MarksOrder {
  /** Numbers of requests that were answered 200, ascending. */
  readonly at: readonly number[];
  /** Whose CPU is told. */
  readonly pids?: readonly number[];
  /** A process that is killed at the last of them, in the middle of its work. */
  readonly killed?: number;
}

export interface SinkCount {
  /** Requests that were answered 200, by server. */
  readonly counts: readonly number[];
  /** Requests that are held. */
  readonly held: number;
  /** Requests that wait for their delay. */
  readonly underWay: number;
  /** Different events that were answered 200, and arrivals of one that had arrived before. */
  readonly distinct: number;
  readonly repeated: number;
  /** Of this process, since its start, in seconds. */
  readonly cpuSeconds: number;
}

/** When so many requests had been answered 200. */
export interface SinkMark {
  readonly count: number;
  /** Of the wall clock. */
  readonly atMs: number;
  /** Of the processes that were named, together; NaN if one has ended. */
  readonly cpuSeconds: number;
  readonly sinkCpuSeconds: number;
}

/** One server. */
class FastSink {
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  count = 0;
  /** From the event's `sentms` to its arrival, in milliseconds. */
  latencies: number[] = [];

  async open(): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    const address = server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
    this.#server = server;
    return this.#port;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let rest: Buffer | null = null;
    socket.on('data', (chunk) => {
      let data = rest === null ? chunk : Buffer.concat([rest, chunk]);
      for (;;) {
        const end = data.indexOf('\r\n\r\n');
        if (end < 0) break;
        const head = data.toString('latin1', 0, end);
        const length = Number(headerOf(head, 'content-length') ?? 0);
        if (data.length < end + 4 + length) break;
        data = data.subarray(end + 4 + length);
        this.#receive(socket, head);
      }
      rest = data.length === 0 ? null : data;
    });
  }

  #receive(socket: Socket, head: string): void {
    if (behaviour.tracksIds) {
      const id = headerOf(head, 'ce-id') ?? '';
      if (arrived.has(id)) repeated++;
      arrived.add(id);
    }
    const answer = (): void => this.#answer(socket, head);
    if (held !== null) held.push(answer);
    else if (behaviour.delayMs > 0) delayed(answer);
    else answer();
  }

  #answer(socket: Socket, head: string): void {
    if (socket.destroyed) return;
    if (behaviour.failKey !== null && headerOf(head, 'ce-partitionkey') === behaviour.failKey) {
      socket.write(failed);
      return;
    }
    socket.write(ok);
    this.count++;
    if (behaviour.tracksIds) answered.add(headerOf(head, 'ce-id') ?? '');
    const sentMs = headerOf(head, 'ce-sentms');
    if (sentMs !== undefined) this.latencies.push(performance.timeOrigin + performance.now() - Number(sentMs));
    if (++total >= nextMark) reachMark();
  }
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const failed = 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n';

let underWay = 0;

function delayed(answer: () => void): void {
  underWay++;
  setTimeout(() => {
    underWay--;
    answer();
  }, behaviour.delayMs);
}

const sinks: FastSink[] = [];
let behaviour: Behaviour = { failKey: null, delayMs: 0, tracksIds: false };
const arrived = new Set<string>();
const answered = new Set<string>();
let repeated = 0;
/** What is to be answered later; null: all is answered at once. */
let held: (() => void)[] | null = null;

/** Of all servers. */
let total = 0;
let nextMark = Number.POSITIVE_INFINITY;
let reachMark = (): void => {};

function marksAt({ at, pids = [], killed }: MarksOrder): Promise<SinkMark[]> {
  return new Promise((resolve) => {
    const marks: SinkMark[] = [];
    reachMark = () => {
      while (total >= nextMark) {
        marks.push({
          ...{ count: total, atMs: performance.timeOrigin + performance.now() },
          ...{ cpuSeconds: cpuOf(pids), sinkCpuSeconds: ownCpu() },
        });
        nextMark = at[marks.length] ?? Number.POSITIVE_INFINITY;
      }
      if (marks.length < at.length) return;
      if (killed !== undefined) process.kill(killed, 'SIGKILL');
      resolve(marks);
    };
    nextMark = at[0] ?? 0;
    if (total >= nextMark) reachMark();
  });
}

function cpuOf(pids: readonly number[]): number {
  try {
    return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  } catch {
    return Number.NaN;
  }
}

function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function headerOf(head: string, name: string): string | undefined {
  const at = head.indexOf(`\r\n${name}: `);
  if (at < 0) return undefined;
  const from = at + name.length + 4;
  const end = head.indexOf('\r\n', from);
  return head.slice(from, end < 0 ? head.length : end);
}

async function answer(question: SinkQuestion): Promise<unknown> {
  switch (question.kind) {
    case 'listen': {
      const ports: number[] = [];
      for (let i = 0; i < question.servers; i++) {
        const sink = new FastSink();
        sinks.push(sink);
        ports.push(await sink.open());
      }
      return ports;
    }
    case 'behave': {
      const { kind: _, ...changed } = question;
      behaviour = { ...behaviour, ...changed };
      return null;
    }
    case 'down':
      await (question.isDown ? sinks[question.server]?.close() : sinks[question.server]?.open());
      return null;
    case 'hold':
      held ??= [];
      return null;
    case 'marks': {
      const reached = marksAt(question);
      const letGo = held ?? [];
      held = null;
      for (const one of letGo) one();
      return reached;
    }
    case 'count': {
      const counts = sinks.map(({ count }) => count);
      const its = { counts, held: held?.length ?? 0, underWay, distinct: answered.size, repeated };
      return { ...its, cpuSeconds: ownCpu() } satisfies SinkCount;
    }
    case 'reset':
      for (const sink of sinks) sink.latencies = [];
      return null;
    case 'latencies':
      return sinks.map(({ latencies }) => latencies);
  }
}

process.on('message', (question: SinkQuestion) => {
  void answer(question).then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
