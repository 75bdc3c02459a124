import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Logger } from 'pino';
import { LogUnavailableError } from '../errors.ts';
import { Connection, type ConnectionOptions, type Decode, type SocketFactory } from './kafkajs.ts';
import type { Api } from './kafkajs-api.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Connections to the brokers of a cluster, opened when first used. Kafka answers the requests of one connection one
 * after the other, so whoever sends requests that wait (joining a group, appending) has a `Brokers` of its own.
 * A connection on which a request failed is dropped, with all that is in flight on it: it may be half dead, or its
 * answers out of step, and a new one takes milliseconds.
 */
export class Brokers {
  readonly #bootstrap: readonly Address[];
  readonly #options: ConnectionOptions;
  readonly #logger: Logger;
  #nodes = new Map<number, Address>();
  readonly #lines = new Map<string, Line>();
  readonly #disconnecting = new Set<Promise<void>>();
  #turn = 0;
  #closed = false;

  constructor(bootstrap: readonly Address[], options: ConnectionOptions, logger: Logger) {
    this.#bootstrap = bootstrap;
    this.#options = options;
    this.#logger = logger;
  }

  /** Takes the addresses from a metadata answer. Brokers that have left are dropped. */
  learn(nodes: readonly (Address & { nodeId: number })[]): void {
    if (nodes.length === 0) return;
    this.#nodes = new Map(nodes.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    const known = new Set([...this.#nodes.values(), ...this.#bootstrap].map(keyOf));
    for (const line of [...this.#lines.values()]) if (!known.has(line.key)) this.#drop(line);
  }

  /** Takes the address of one broker, beside what is known. */
  learnOne({ nodeId, host, port }: Address & { nodeId: number }): void {
    this.#nodes.set(nodeId, { host, port });
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** @throws Error when the node is not known (any more), or whatever breaks the connection; all may be transient. */
  async send<N extends keyof Api>(
    nodeId: number,
    api: N,
    payload: Api[N]['request'],
    decode?: Decode,
  ): Promise<Api[N]['response']> {
    const address = this.#nodes.get(nodeId);
    if (address === undefined) throw new Error(`broker ${nodeId} is not known`);
    return this.#sendOn(this.#line(address), api, payload, decode);
  }

  /** As `send`, to whichever broker can be reached. */
  async sendToAny<N extends keyof Api>(api: N, payload: Api[N]['request']): Promise<Api[N]['response']> {
    const candidates = [...new Map([...this.#nodes.values(), ...this.#bootstrap].map((one) => [keyOf(one), one]))];
    // Those that are connected first, and not always the same one.
    const turn = this.#turn++;
    const sorted = candidates
      .map(([key, address], index) => ({ address, rank: this.#lines.has(key) ? 0 : 1, index }))
      .sort(
        (a, b) => a.rank - b.rank || ((a.index + turn) % candidates.length) - ((b.index + turn) % candidates.length),
      );
    let failure: unknown = new Error('no brokers are known');
    for (const { address } of sorted) {
      const line = this.#line(address);
      try {
        await unlessDropped(line, line.connected);
      } catch (error) {
        this.#drop(line);
        failure = error;
        continue;
      }
      return this.#sendOn(line, api, payload);
    }
    throw failure;
  }

  /** Drops all connections, at once. Later requests open new ones. */
  reset(): void {
    for (const line of [...this.#lines.values()]) this.#drop(line);
  }

  /** Drops all connections and opens no more. Resolves when their sockets are closed. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.reset();
    await Promise.all(this.#disconnecting);
  }

  async #sendOn<N extends keyof Api>(
    line: Line,
    api: N,
    payload: Api[N]['request'],
    decode?: Decode,
  ): Promise<Api[N]['response']> {
    try {
      await line.connected;
      // kafkajs has paths on which an attempt to connect never ends; a dropped line ends them all.
      return await unlessDropped(line, line.connection.send(api, payload, decode));
    } catch (error) {
      this.#drop(line);
      throw error;
    }
  }

  #line(address: Address): Line {
    // No further attempt will help.
    if (this.#closed) throw new LogUnavailableError('the log is closed');
    const key = keyOf(address);
    const open = this.#lines.get(key);
    if (open !== undefined) return open;
    const line = openLine(address, this.#options, this.#logger);
    this.#lines.set(key, line);
    return line;
  }

  #drop(line: Line): void {
    if (this.#lines.get(line.key) === line) this.#lines.delete(line.key);
    if (line.isDropped()) return;
    const closed = line.drop();
    this.#disconnecting.add(closed);
    void closed.finally(() => this.#disconnecting.delete(closed));
  }
}

/** A connection (two sockets) to one address, for as long as it works. */
interface Line {
  readonly key: string;
  readonly connection: Connection;
  readonly connected: Promise<void>;
  /** Calls back once when the line is dropped, unless that is taken back. @returns takes it back */
  onDrop(callback: (reason: Error) => void): () => void;
  isDropped(): boolean;
  drop(): Promise<void>;
}

function openLine(address: Address, options: ConnectionOptions, logger: Logger): Line {
  const sockets = new Set<Socket>();
  const waiting = new Set<(reason: Error) => void>();
  const dropped = new Error(`the connection to ${keyOf(address)} was dropped`);
  let isDropped = false;

  const factory: SocketFactory = ({ host, port, ssl, onConnect }) => {
    const server = isIP(host) === 0 ? { host, port, servername: host } : { host, port };
    const socket = ssl === null ? connectTcp({ host, port }, onConnect) : connectTls({ ...server, ...ssl }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (isDropped) socket.destroy();
    return socket;
  };
  const connection = new Connection(address.host, address.port, options, factory, (message) => {
    if (!isDropped) logger.debug({ broker: keyOf(address) }, message);
  });
  const drop = async (): Promise<void> => {
    isDropped = true;
    for (const callback of waiting) callback(dropped);
    waiting.clear();
    const closing = [...sockets].map((socket) => {
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      // With an error, since that is what makes kafkajs reject what is in flight.
      socket.destroy(new Error('dropped'));
      return closed;
    });
    await Promise.all(closing);
    // Ends the timers of kafkajs's request queues.
    await connection.disconnect().catch(() => {});
  };
  const patience = options.connectTimeoutMs + options.requestTimeoutMs;
  return {
    key: keyOf(address),
    connection,
    connected: within(connection.connect(), patience, `connecting to ${keyOf(address)}`),
    onDrop(callback) {
      if (isDropped) callback(dropped);
      else waiting.add(callback);
      return () => waiting.delete(callback);
    },
    isDropped: () => isDropped,
    drop,
  };
}

/**
 * Ends as the promise does, or fails when the line is dropped. Not Promise.race with a promise for the line's end: that
 * would keep every answer until then.
 */
function unlessDropped<T>(line: Line, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = line.onDrop(reject);
    promise.then(resolve, reject).finally(forget);
  });
}

function within(promise: Promise<void>, timeoutMs: number, what: string): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  const result = Promise.race([promise, late]).finally(() => clearTimeout(timer));
  result.catch(() => {});
  promise.catch(() => {});
  return result;
}

function keyOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
