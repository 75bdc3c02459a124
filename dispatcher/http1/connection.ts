import { connect, type LookupFunction, type Socket } from 'node:net';
import { AnswerError, AnswerParser, type AnswerReceiver } from './answer-parser.ts';

/** Who waits for the answer to one request. Exactly one of `onEnd` and `onError` is called, once, and last. */
export interface Exchange {
  /** @param headers flat: name, value, name, value; names in lower case, values with a character for each byte */
  onHead(status: number, headers: string[]): void;
  /** @param chunk only until this returns: its memory is used again */
  onData(chunk: Buffer): void;
  onEnd(): void;
  /** An AnswerError for what is not HTTP; what the system said of the connection; or the reason of an abort. */
  onError(error: Error): void;
}

/** What carries an exchange. */
export interface Carrier {
  /** Closes the connection and tells the exchange the error, if that is still under way there. */
  abort(exchange: Exchange, error: Error): void;
}

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly lookup: LookupFunction;
  /** Of an answer's headers, in bytes. */
  readonly headBytesMax: number;
  /** It may carry another request, for this long at most, in milliseconds. */
  readonly onIdle: (connection: Connection, idleMs: number) => void;
  /** It is closed, or to be closed, and carries no more. */
  readonly onGone: (connection: Connection) => void;
}

/** The server closed the connection, or reset it, where an answer was still to come. */
export class ConnectionClosedError extends Error {
  constructor(hasBegun: boolean) {
    super(hasBegun ? 'the connection was closed within the answer' : 'the connection was closed before the answer');
    this.name = 'ConnectionClosedError';
  }
}

/** All connections read into the same memory: what is read is used up before the next read, in the same thread. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);
/** A body up to this many bytes is copied behind its head: one system call costs more than that. */
const copiedBytesMax = 16_384;
/** A server that does not say how long it keeps a connection: Node closes after 5 s, most others later. */
const idleMsDefault = 4_000;
/** On the way a request takes some time: not to be sent just before the server closes. */
const idleMarginMs = 1_000;

/** A TCP connection that carries one HTTP/1.1 request at a time. */
export class Connection implements Carrier {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #parser: AnswerParser;
  #exchange: Exchange | null = null;
  #idleMs = idleMsDefault;
  #error: Error | null = null;
  /** The server has closed its side in order. */
  #isEnded = false;
  /** On the monotonic clock, set and read by who keeps it: when it is to be closed if it is idle until then. */
  idleUntilMs = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { host, port, lookup } = options;
    const receiver: AnswerReceiver = {
      onHead: (status, headers) => {
        this.#idleMs = idleMsOf(headers);
        this.#exchange?.onHead(status, headers);
      },
      onData: (chunk) => this.#exchange?.onData(chunk),
    };
    this.#parser = new AnswerParser(receiver, options.headBytesMax);
    this.#socket = connect({
      ...{ host, port, lookup, noDelay: true, keepAlive: true },
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.#read(readBuffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => {
      this.#error ??= error;
    });
    this.#socket.on('end', () => {
      this.#isEnded = true;
      if (this.#exchange === null) this.destroy(new ConnectionClosedError(false));
    });
    this.#socket.on('close', () => this.#closed());
  }

  /** Sends a request. Only if the last one's answer is whole. @param head with the empty line at its end, in latin1 */
  send(head: string, body: Buffer | null, exchange: Exchange): void {
    this.#exchange = exchange;
    this.#parser.restart();
    if (body === null || body.length === 0) this.#socket.write(head, 'latin1');
    else if (body.length <= copiedBytesMax) {
      const request = Buffer.allocUnsafe(head.length + body.length);
      request.write(head, 0, 'latin1');
      body.copy(request, head.length);
      this.#socket.write(request);
    } else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    }
  }

  /** Closes the connection; who waits for an answer is told this. Idempotent. */
  destroy(error: Error): void {
    this.#error ??= error;
    this.#options.onGone(this);
    this.#socket.destroy();
    this.#fail(this.#error);
  }

  abort(exchange: Exchange, error: Error): void {
    if (this.#exchange === exchange) this.destroy(error);
  }

  #read(bytes: Buffer): void {
    try {
      // Where nothing was asked it is no answer, whatever it is.
      if (this.#exchange === null || !this.#parser.read(bytes)) {
        this.destroy(new AnswerError('the server sent more than the answer'));
      } else if (this.#parser.isEnded) this.#answered();
    } catch (error) {
      this.destroy(error instanceof Error ? error : new AnswerError(String(error)));
    }
  }

  #answered(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    // An answer that came before the request was out leaves the rest of it on the way.
    const isOut = this.#socket.writableLength === 0;
    if (this.#parser.mayReuse && isOut && this.#idleMs > 0 && !this.#isEnded) this.#options.onIdle(this, this.#idleMs);
    else {
      this.#options.onGone(this);
      this.#socket.destroy();
    }
    exchange?.onEnd();
  }

  #closed(): void {
    this.#options.onGone(this);
    if (this.#exchange === null) return;
    if (this.#error === null && this.#isEnded) this.#parser.close();
    if (this.#parser.isEnded) this.#answered();
    else this.#fail(this.#error ?? new ConnectionClosedError(this.#parser.hasBegun));
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.onError(error);
  }
}

/** How long the connection may be kept idle: what the server says by `keep-alive: timeout=SECONDS`, less a margin. */
function idleMsOf(headers: readonly string[]): number {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'keep-alive') continue;
    const seconds = /(?:^|[,; ])timeout=([0-9]{1,6})/i.exec(headers[i + 1] ?? '')?.[1];
    if (seconds !== undefined) return Math.min(idleMsDefault, Number(seconds) * 1_000 - idleMarginMs);
  }
  return idleMsDefault;
}
