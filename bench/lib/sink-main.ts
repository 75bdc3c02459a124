import { createServer, type Server, type Socket } from 'node:net';

/**
 * The subscribers of a benchmark, in a process of their own: servers that answer every POST as cheaply as Node can, so
 * that they are not what is measured. Speaks with its parent by IPC; ends when that is gone.
 */

/** What the parent asks. Each is answered by one message. */
export type SinkQuestion =
  | { readonly kind: 'listen'; readonly servers: number }
  /** Answers 500 to events of this partition key; none if null. */
  | { readonly kind: 'failKey'; readonly key: string | null }
  /** Closes a server and its connections, or opens it again on its port. */
  | { readonly kind: 'down'; readonly server: number; readonly isDown: boolean }
  | { readonly kind: 'count' }
  /** Forgets the latencies. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'latencies' };

export interface SinkCount {
  /** Requests that were answered 200, by server. */
  readonly counts: readonly number[];
  /** Of this process, since its start, in seconds. */
  readonly cpuSeconds: number;
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
        socket.write(this.#answer(head));
      }
      rest = data.length === 0 ? null : data;
    });
  }

  #answer(head: string): string {
    if (failKey !== null && headerOf(head, 'ce-partitionkey') === failKey) return failed;
    this.count++;
    const sentMs = headerOf(head, 'ce-sentms');
    if (sentMs !== undefined) this.latencies.push(performance.timeOrigin + performance.now() - Number(sentMs));
    return ok;
  }
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const failed = 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n';

const sinks: FastSink[] = [];
let failKey: string | null = null;

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
    case 'failKey':
      failKey = question.key;
      return null;
    case 'down':
      await (question.isDown ? sinks[question.server]?.close() : sinks[question.server]?.open());
      return null;
    case 'count': {
      const { user, system } = process.cpuUsage();
      return { counts: sinks.map(({ count }) => count), cpuSeconds: (user + system) / 1e6 } satisfies SinkCount;
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
