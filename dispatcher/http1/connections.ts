import type { LookupFunction } from 'node:net';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { type Carrier, Connection, type Exchange } from './connection.ts';

export interface ConnectionsOptions {
  readonly clock: Clock;
  readonly lookup: LookupFunction;
  /** Of an answer's headers, in bytes. */
  readonly headBytesMax: number;
}

/**
 * POSTs over connections that are kept open: one request at a time on each, any number to one origin. undici does the
 * same and more; this costs half of its CPU, which is the largest part of a delivery's (docs/performance.md).
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  /** Idle ones by origin, the last used last: it is used next, so that what is too many goes idle. */
  readonly #idle = new Map<string, Connection[]>();
  readonly #open = new Set<Connection>();
  #sweep: Timer | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /**
   * @param target of the scheme http
   * @param headers flat: name, value, name, value, in latin1, of characters that headers take; without host and
   *   content-length
   */
  post(target: URL, headers: readonly string[], body: Buffer | null, exchange: Exchange): Carrier {
    const { host, pathname, search } = target;
    const connection = this.#idle.get(host)?.pop() ?? this.#connect(target);
    let head = `POST ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    head += `content-length: ${body === null ? 0 : body.length}\r\n\r\n`;
    connection.send(head, body, exchange);
    return connection;
  }

  /** Closes all connections; exchanges that are under way end with the error. */
  close(error: Error): void {
    this.#sweep?.cancel();
    for (const connection of this.#open) connection.destroy(error);
  }

  #connect({ host, hostname, port }: URL): Connection {
    const connection = new Connection({
      host: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
      port: port === '' ? 80 : Number(port),
      lookup: this.#options.lookup,
      headBytesMax: this.#options.headBytesMax,
      onIdle: (idle, idleMs) => this.#keep(host, idle, idleMs),
      onGone: (gone) => this.#forget(host, gone),
    });
    this.#open.add(connection);
    return connection;
  }

  #keep(host: string, connection: Connection, idleMs: number): void {
    const { clock } = this.#options;
    connection.idleUntilMs = clock.monotonic() + idleMs;
    const its = this.#idle.get(host);
    if (its) its.push(connection);
    else this.#idle.set(host, [connection]);
    this.#sweep ??= clock.setTimer(() => this.#closeIdle(), sweepMs);
  }

  #forget(host: string, connection: Connection): void {
    this.#open.delete(connection);
    const its = this.#idle.get(host);
    const index = its?.lastIndexOf(connection) ?? -1;
    if (index >= 0) its?.splice(index, 1);
    if (its?.length === 0) this.#idle.delete(host);
  }

  #closeIdle(): void {
    this.#sweep = undefined;
    const nowMs = this.#options.clock.monotonic();
    for (const its of [...this.#idle.values()]) {
      for (const connection of its.filter(({ idleUntilMs }) => idleUntilMs <= nowMs)) connection.destroy(idleTooLong);
    }
    if (this.#idle.size > 0) this.#sweep = this.#options.clock.setTimer(() => this.#closeIdle(), sweepMs);
  }
}

/** A connection may stay idle longer than it should by this. */
const sweepMs = 500;
const idleTooLong = new Error('the connection was idle');
