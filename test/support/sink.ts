import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the sink got it. */
export interface SinkRequest {
  readonly method: string;
  /** With the query string. */
  readonly path: string;
  /** Flat, as on the wire: name, value, name, value. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** When the body was complete, milliseconds since 1970. */
  readonly atMs: number;
}

export interface SinkAnswer {
  /** 200 if absent. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
  /** Waits this long (real time) before it answers. */
  readonly delayMs?: number;
  /** Resets the connection in place of an answer. */
  readonly destroy?: true;
}

export interface Sink {
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  /** In the order of their arrival. */
  readonly requests: SinkRequest[];
  /** Drops all connections, those with a request in flight too. Idempotent. */
  close(): Promise<void>;
}

/** A real HTTP server that records what it gets and answers 200, or what `answer` says. */
export async function startSink(
  answer: (request: SinkRequest) => SinkAnswer | Promise<SinkAnswer> = () => ({}),
): Promise<Sink> {
  const requests: SinkRequest[] = [];
  const delays = new Set<NodeJS.Timeout>();

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await receive(incoming);
    requests.push(request);
    const { status = 200, headers = {}, body = '', delayMs = 0, destroy = false } = await answer(request);
    const respond = (): void => {
      if (destroy) {
        incoming.socket.resetAndDestroy();
        return;
      }
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      response.statusCode = status;
      response.end(body);
    };
    if (delayMs === 0) return respond();
    const delay = setTimeout(() => {
      delays.delete(delay);
      respond();
    }, delayMs);
    delays.add(delay);
  };

  const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, response) => {
    serve(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async close() {
      for (const delay of delays) clearTimeout(delay);
      delays.clear();
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function receive(incoming: IncomingMessage): Promise<SinkRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    rawHeaders: incoming.rawHeaders,
    headers: incoming.headers,
    body: Buffer.concat(chunks),
    atMs: Date.now(),
  };
}
