import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that a test makes fail. */
export interface FaultyProxy {
  readonly port: number;
  /** Where new connections go. */
  forwardTo(port: number): void;
  /** `swallow`: requests get through, answers do not. `freeze`: nothing moves, as when a machine hangs. */
  mode(mode: 'pass' | 'swallow' | 'freeze'): void;
  /** What moves from now on does so this much later, in each direction, in milliseconds. */
  latency(ms: number): void;
  /** Breaks all connections. */
  cut(): void;
  /**
   * Breaks each connection in the middle of the next request or answer that it carries, a part of which still gets
   * through: `share` of the bytes, from 0 to 1. Idle connections stay until they carry something.
   */
  cutWithin(what: 'request' | 'answer', share: number): void;
  close(): Promise<void>;
}

/** @param localAddress from which it connects, an address of the loopback network; servers see it */
export async function startProxy({ localAddress = '127.0.0.1' }: { localAddress?: string } = {}): Promise<FaultyProxy> {
  let target = 0;
  let mode: 'pass' | 'swallow' | 'freeze' = 'pass';
  let latencyMs = 0;
  const pairs = new Set<Pair>();

  const server = createServer((client) => {
    const upstream = connect({ port: target, host: '127.0.0.1', localAddress });
    const pair = new Pair(client, upstream, () => latencyMs);
    pairs.add(pair);
    client.on('data', (chunk) => pair.forward('request', chunk));
    upstream.on('data', (chunk) => {
      if (mode !== 'swallow') pair.forward('answer', chunk);
    });
    for (const socket of [client, upstream]) {
      if (mode === 'freeze') socket.pause();
      socket.on('error', () => {});
      socket.on('close', () => {
        pairs.delete(pair);
        pair.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const cut = (): void => {
    for (const pair of pairs) pair.reset();
  };
  return {
    port: (server.address() as AddressInfo).port,
    forwardTo: (port) => {
      target = port;
    },
    mode: (next) => {
      mode = next;
      for (const { client, upstream } of pairs) {
        for (const socket of [client, upstream]) {
          if (mode === 'freeze') socket.pause();
          else socket.resume();
        }
      }
    },
    latency: (ms) => {
      latencyMs = ms;
    },
    cut,
    cutWithin: (what, share) => {
      for (const pair of pairs) pair.cutWithin = { what, share };
    },
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A client's connection and the one to where it wants to go. */
class Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  cutWithin: { readonly what: 'request' | 'answer'; readonly share: number } | null = null;
  readonly #requests: Delayed;
  readonly #answers: Delayed;

  constructor(client: Socket, upstream: Socket, latencyMs: () => number) {
    this.client = client;
    this.upstream = upstream;
    this.#requests = new Delayed(upstream, latencyMs);
    this.#answers = new Delayed(client, latencyMs);
  }

  forward(what: 'request' | 'answer', chunk: Buffer): void {
    const to = what === 'request' ? this.#requests : this.#answers;
    if (this.cutWithin?.what !== what) {
      to.write(chunk);
      return;
    }
    const part = chunk.subarray(0, Math.floor(chunk.length * this.cutWithin.share));
    this.client.pause();
    this.upstream.pause();
    to.write(part, () => this.reset());
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.upstream.resetAndDestroy();
  }

  destroy(): void {
    for (const delayed of [this.#requests, this.#answers]) delayed.stop();
    this.client.destroy();
    this.upstream.destroy();
  }
}

/** Writes to a socket, later by the latency that there is then, and in order although that changes. */
class Delayed {
  readonly #socket: Socket;
  readonly #latencyMs: () => number;
  readonly #waiting: { readonly dueMs: number; readonly chunk: Buffer; readonly written: (() => void) | undefined }[] =
    [];
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, latencyMs: () => number) {
    this.#socket = socket;
    this.#latencyMs = latencyMs;
  }

  write(chunk: Buffer, written?: () => void): void {
    this.#waiting.push({ dueMs: performance.now() + this.#latencyMs(), chunk, written });
    if (this.#timer === undefined) this.#writeDue();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #writeDue(): void {
    this.#timer = undefined;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const delayMs = next.dueMs - performance.now();
      if (delayMs > 0) {
        this.#timer = setTimeout(() => this.#writeDue(), delayMs);
        return;
      }
      this.#waiting.shift();
      if (!this.#socket.destroyed) this.#socket.write(next.chunk, next.written);
    }
  }
}
