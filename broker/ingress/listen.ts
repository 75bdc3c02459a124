import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import { answerMalformed } from './answer.ts';
import type { IngressLimits } from './limits.ts';
import { Refusal } from './problem.ts';

export interface Listener {
  /** @throws Error of node:net if the address can't be had */
  listen(address: ListenAddress): Promise<{ port: number }>;

  /**
   * Stops accepting, closes what is idle and resolves when the last request in flight is answered; those that are not
   * when `signal` aborts are cut off. Idempotent.
   */
  close(signal?: AbortSignal): Promise<void>;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** Other processes listen there too, and the kernel spreads the connections over them. Linux and BSD alone have it. */
  readonly isShared?: boolean;
}

export interface ListenerOptions {
  readonly handle: RequestListener;
  readonly limits: IngressLimits;
  /** Told of what was refused before it was a request. */
  readonly refused: (refusal: Refusal) => void;
  readonly logger: Logger;
  readonly clock: Clock;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** An HTTP server that holds its limits against slow, malformed and too many connections. */
export function createListener({ handle, limits, refused, logger, clock }: ListenerOptions): Listener {
  /** The open connections with the last exchange on each. */
  const connections = new Map<Socket, Exchange | null>();
  const malformed = new WeakSet<Socket>();
  let closing: Promise<unknown> | undefined;
  let isFull = false;

  const server = createServer({
    maxHeaderSize: limits.headersMaxBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // How exact the two timeouts of requests are.
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  });
  server.maxConnections = limits.connectionsMax;
  // Without a limit here, as node drops the headers above it in silence, and an event would lose attributes: the
  // number is checked with the request.
  server.maxHeadersCount = 0;

  const begin = (request: IncomingMessage, response: ServerResponse): void => {
    connections.set(request.socket, { request, response });
    handle(request, response);
  };
  server.on('request', begin);
  // The handler says `100 Continue` itself, once it wants the body.
  server.on('checkContinue', begin);

  server.on('connection', (socket) => {
    connections.set(socket, null);
    socket.once('close', () => {
      connections.delete(socket);
      if (connections.size < limits.connectionsMax / 2) isFull = false;
    });
  });
  server.on('drop', () => {
    // Once until half of them are closed: a line for each would be a flood of its own.
    if (!isFull)
      logger.warn({ connectionsMax: limits.connectionsMax }, 'ingress: too many connections, closing new ones');
    isFull = true;
  });

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!(isSocket(socket) && socket.writable) || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    if (malformed.has(socket)) return;
    malformed.add(socket);
    const refusal = refusalOfClientError(error);
    refused(refusal);
    if (isAnswerable(connections.get(socket))) answerMalformed(socket, refusal, clock);
    else socket.destroy();
  });

  async function close(signal?: AbortSignal): Promise<void> {
    const cutOff = (): void => {
      for (const socket of connections.keys()) socket.destroy();
    };
    if (signal?.aborted) cutOff();
    else signal?.addEventListener('abort', cutOff);
    if (closing === undefined) {
      closing = server.listening ? once(server, 'close') : Promise.resolve();
      server.close();
      for (const [socket, exchange] of connections) {
        if (exchange === null || exchange.response.writableFinished) socket.destroy();
        else endAfter(socket, exchange.response);
      }
    }
    await closing;
    signal?.removeEventListener('abort', cutOff);
  }

  return {
    async listen({ host, port, isShared = false }) {
      server.listen({ port, host, reusePort: isShared });
      await once(server, 'listening');
      const address = server.address();
      return { port: typeof address === 'object' && address !== null ? address.port : port };
    },
    close,
  };
}

/** What is answered from here on is the connection's last answer, and says so if it has not begun. */
function endAfter(socket: Socket, response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
  response.once('finish', () => socket.end());
}

function isSocket(stream: object): stream is Socket {
  return 'writable' in stream && 'resume' in stream;
}

/**
 * Whether an answer written now would be taken as the one to the request that went wrong: every earlier request of the
 * connection is answered, and that one is not yet.
 */
function isAnswerable(last: Exchange | null | undefined): boolean {
  if (!last || last.response.writableFinished) return true;
  const isFirstInLine = last.response.socket !== null;
  return isFirstInLine && !last.request.complete && !last.response.headersSent;
}

function refusalOfClientError(error: NodeJS.ErrnoException): Refusal {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal(431, 'too_large', 'the request line and headers together are too long');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new Refusal(413, 'too_large', 'the extensions of a chunk of the body are too long');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal(408, 'invalid', 'the request was not complete in time');
    default:
      return new Refusal(400, 'invalid', `not an HTTP request: ${error.message}`);
  }
}
