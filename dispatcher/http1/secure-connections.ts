import type { LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { AnswerError } from './answer-parser.ts';
import type { Carrier, Exchange } from './connection.ts';

export interface SecureConnectionsOptions {
  readonly lookup: LookupFunction;
  /** Of an answer's headers, in bytes. */
  readonly headBytesMax: number;
}

/** Sockets to one origin: more than any trigger's requests in flight, so the trigger's limit is what binds. */
const connectionsMax = 10_000;
/** Behind the deadlines of those who wait: undici gives up itself. */
const backstopMs = 24 * 3_600_000;

/** POSTs over TLS, by undici. */
export class SecureConnections {
  readonly #agent: Agent;

  constructor({ lookup, headBytesMax }: SecureConnectionsOptions) {
    this.#agent = new Agent({
      ...{ connections: connectionsMax, pipelining: 1, maxHeaderSize: headBytesMax, connect: { lookup } },
      ...{ headersTimeout: backstopMs, bodyTimeout: backstopMs },
    });
  }

  /**
   * @param target of the scheme https
   * @param headers flat: name, value, name, value; without host and content-length
   */
  post(target: URL, headers: string[], body: Buffer | null, exchange: Exchange): Carrier {
    const handler = new UndiciHandler(exchange);
    const { origin, pathname, search } = target;
    this.#agent.dispatch({ origin, path: pathname + search, method: 'POST', headers, body }, handler);
    return handler;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** Tells an exchange what undici says. */
class UndiciHandler implements Dispatcher.DispatchHandler, Carrier {
  readonly #exchange: Exchange;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted: Error | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  abort(_exchange: Exchange, error: Error): void {
    this.#aborted = error;
    this.#controller?.abort(error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(this.#aborted);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.#exchange.onHead(status, flatHeaders(controller.rawHeaders));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#exchange.onData(chunk);
  }

  onResponseEnd(): void {
    this.#exchange.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    const code = 'code' in error ? String(error.code) : '';
    const isProtocol =
      error.name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW';
    this.#exchange.onError(isProtocol ? new AnswerError(error.message || code) : error);
  }
}

function flatHeaders(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const flat: string[] = [];
  if (!Array.isArray(raw)) return flat;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    flat.push(latin1(raw[i]).toLowerCase(), latin1(raw[i + 1]));
  }
  return flat;
}

function latin1(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '');
}
