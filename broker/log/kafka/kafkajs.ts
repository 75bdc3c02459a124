import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { SASLOptions } from 'kafkajs';
import type { Api } from './kafkajs-api.ts';
import { decodeOffsetFetch, encodeOffsetFetch, offsetFetchVersion } from './offset-fetch.ts';
import { decodeProduce, encodeProduce, produceVersion } from './produce.ts';

/**
 * The one file that reaches into kafkajs (2.2.4, pinned by the test of its version), but for its checksum (crc32c.ts).
 * Of kafkajs we use the connection (TLS, SASL, request queue, timeouts) and the encoding of most requests and answers,
 * not its Producer, Consumer and Admin:
 * - a Producer says success where nothing was written (an empty answer, for a partition that its cached metadata
 *   lacks), repeats by rules of its own, and can't be told to look for the leader anew;
 * - a Consumer commits -1 and jumps when a position is gone, retries a commit under a later generation than the one
 *   it was made in, goes on as a zombie when its coordinator dies, and can't be told where to read within an epoch;
 * - no public part can fetch without a group, and one unknown topic in an Admin's cached list fails all its requests.
 * kafkajs has had its last release; nothing here can move under us.
 */
const require = createRequire(import.meta.url);

export const kafkajsVersion = (require('kafkajs/package.json') as { version: string }).version;

const ConnectionPool = require('kafkajs/src/network/connectionPool.js') as new (
  options: ConnectionPoolOptions,
) => KafkajsConnectionPool;
const Broker = require('kafkajs/src/broker/index.js') as new (options: BrokerOptions) => KafkajsBroker;
const RequestQueue = require('kafkajs/src/network/requestQueue/index.js') as { prototype: KafkajsRequestQueue };
const SocketRequest = require('kafkajs/src/network/requestQueue/socketRequest.js') as { prototype: object };
const { requests } = require('kafkajs/src/protocol/requests/index.js') as {
  requests: Record<string, RequestDefinition | undefined>;
};
const apiKeys = require('kafkajs/src/protocol/requests/apiKeys.js') as Record<string, number>;
const protocolError = require('kafkajs/src/protocol/error.js') as {
  createErrorFromCode(code: number): { type: string; message: string; retriable: boolean };
};

/** Requests that are written and read by us, in these versions. */
const ownRequests: Partial<Record<keyof Api, RequestDefinition>> = {
  Produce: {
    versions: [String(produceVersion)],
    protocol({ version }) {
      if (version < produceVersion)
        throw new Error(`the broker has no Produce in version ${produceVersion} (Kafka 2.1)`);
      return ownRequest('Produce', produceVersion, encodeProduce, decodeProduce);
    },
  },
  // The version that leaves out no acknowledged commit, where the broker has it; else the newest that kafkajs has, too.
  OffsetFetch: {
    versions: [String(offsetFetchVersion)],
    protocol({ version }) {
      if (version >= offsetFetchVersion) {
        return ownRequest('OffsetFetch', offsetFetchVersion, encodeOffsetFetch, decodeOffsetFetch);
      }
      const { versions = [], protocol } = requests.OffsetFetch ?? {};
      const known = protocol?.({ version: Math.min(version, Math.max(...versions.map(Number))) });
      if (known === undefined) throw new Error(`kafkajs has no OffsetFetch in version ${version}`);
      return known;
    },
  },
};

function ownRequest<N extends keyof Api>(
  apiName: N,
  apiVersion: number,
  encode: (payload: Api[N]['request']) => Buffer,
  decode: (raw: Buffer) => Api[N]['response'],
): (payload: unknown) => ProtocolRequest {
  return (payload) => ({
    request: {
      ...{ apiKey: apiKeys[apiName] ?? -1, apiVersion, apiName },
      async encode() {
        const bytes = encode(payload as Api[N]['request']);
        // All that is asked of kafkajs's Encoder.
        return { buf: bytes, buffer: bytes };
      },
    },
    response: { decode: async (raw) => decode(raw), parse: async (data) => data },
  });
}

/**
 * kafkajs issue 1751: every answer sets a timer for throttled requests although none waits, with a delay below zero,
 * which keeps an idle connection busy at 1 ms and warns TimeoutNegativeWarning on Node 24.
 */
const scheduleCheckPendingRequests = RequestQueue.prototype.scheduleCheckPendingRequests;
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: KafkajsRequestQueue) {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) scheduleCheckPendingRequests.call(this);
};

/** The queues of connections that are looked at together, by how often, in milliseconds. */
const lookedAt = new Map<number, { readonly timer: NodeJS.Timeout; readonly queues: Set<KafkajsRequestQueue> }>();

/**
 * kafkajs looks ten times a second at each connection whether a request has timed out, which was most of what an idle
 * process took. Ours looks ten times within the timeout, at most, and at all connections at once.
 */
RequestQueue.prototype.scheduleRequestTimeoutCheck = function (this: KafkajsRequestQueue) {
  if (!this.enforceRequestTimeout) return;
  const everyMs = lookEveryMs(this);
  const known = lookedAt.get(everyMs);
  if (known) known.queues.add(this);
  else {
    const queues = new Set([this]);
    lookedAt.set(everyMs, { timer: setInterval(look, everyMs, queues), queues });
  }
};

const destroy = RequestQueue.prototype.destroy;
RequestQueue.prototype.destroy = function (this: KafkajsRequestQueue) {
  destroy.call(this);
  const everyMs = lookEveryMs(this);
  const { timer, queues } = lookedAt.get(everyMs) ?? {};
  if (queues?.delete(this) !== true || queues.size > 0) return;
  clearInterval(timer);
  lookedAt.delete(everyMs);
};

function lookEveryMs({ requestTimeout }: KafkajsRequestQueue): number {
  return Math.max(100, requestTimeout / 10);
}

function look(queues: ReadonlySet<KafkajsRequestQueue>): void {
  for (const queue of queues) {
    for (const request of queue.inflight.values()) {
      if (Date.now() - request.sentAt > request.requestTimeout) request.timeoutRequest();
    }
    if (!queue.isConnected()) queue.destroy();
  }
}

/**
 * kafkajs measures its requests by the wall clock: when that jumped ahead all requests in flight would time out, and
 * when it was set back a request to a silent broker would wait for as long. So its times are kept on the monotonic
 * clock, and told as the times of the wall clock as it is now, with which kafkajs compares them.
 */
function keepOnMonotonicClock(prototype: object, name: string): void {
  const kept = new WeakMap<object, number | null>();
  Object.defineProperty(prototype, name, {
    get(this: object): number | null {
      const atMs = kept.get(this) ?? null;
      return atMs === null ? null : atMs - performance.now() + Date.now();
    },
    set(this: object, atMs: number | null): void {
      kept.set(this, atMs === null ? null : atMs - Date.now() + performance.now());
    },
  });
}

keepOnMonotonicClock(SocketRequest.prototype, 'sentAt');
keepOnMonotonicClock(RequestQueue.prototype, 'throttledUntil');

/** The name of a Kafka error code, what it means, and whether trying again may help. */
export function describeErrorCode(code: number): { name: string; meaning: string; isTransient: boolean } {
  const { type, message, retriable } = protocolError.createErrorFromCode(code);
  return { name: type ?? `error ${code}`, meaning: message, isTransient: retriable === true };
}

export interface ConnectionOptions {
  readonly clientId: string;
  /** null: no TLS. */
  readonly ssl: TlsOptions | null;
  readonly sasl: SASLOptions | null;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export type SocketFactory = (options: {
  host: string;
  port: number;
  ssl: TlsOptions | null;
  onConnect: () => void;
}) => Socket;

/** kafkajs's own lines; whatever it reports also comes back to us as an error, so these are for debugging. */
export type DebugLine = (message: string) => void;

/** A broker of the cluster: one connection for requests, another for fetches, both opened when first used. */
export class Connection {
  readonly #broker: KafkajsBroker;

  constructor(host: string, port: number, options: ConnectionOptions, sockets: SocketFactory, debug: DebugLine) {
    const logger = kafkajsLogger(debug);
    this.#broker = new Broker({
      logger,
      allowAutoTopicCreation: false,
      authenticationTimeout: options.requestTimeoutMs,
      connectionPool: new ConnectionPool({
        host,
        port,
        logger,
        rack: null,
        clientId: options.clientId,
        ssl: options.ssl,
        sasl: options.sasl,
        socketFactory: sockets,
        connectionTimeout: options.connectTimeoutMs,
        requestTimeout: options.requestTimeoutMs,
        enforceRequestTimeout: true,
        maxInFlightRequests: null,
        instrumentationEmitter: null,
        reauthenticationThreshold: 10_000,
      }),
    });
  }

  async connect(): Promise<void> {
    if (!this.#broker.isConnected()) await this.#broker.connect();
  }

  /**
   * Sends a request and gives its answer with all of its error codes: none is thrown, unlike in kafkajs, where the
   * first one hides the rest.
   */
  async send<N extends keyof Api>(api: N, payload: Api[N]['request'], decode?: Decode): Promise<Api[N]['response']> {
    const make = this.#broker.lookupRequest(apiKeys[api] ?? -1, ownRequests[api] ?? requests[api]);
    const { request, response, requestTimeout } = make(payload);
    const answer = await this.#broker.connectionPool.send({
      request,
      response: {
        decode: decode === undefined ? response.decode : async (raw) => decode(raw, request.apiVersion),
        parse: async (data) => data,
      },
      requestTimeout: requestTimeout ?? null,
      logResponseError: false,
    });
    return answer as Api[N]['response'];
  }

  /** Resolves when requests in flight are answered; destroy the sockets first where that must not take long. */
  disconnect(): Promise<void> {
    return this.#broker.disconnect();
  }
}

export type Decode = (raw: Buffer, apiVersion: number) => unknown;

function kafkajsLogger(debug: DebugLine): KafkajsLogger {
  const line: DebugLine = (message) => debug(String(message));
  const logger: KafkajsLogger = { namespace: () => logger, debug: () => {}, info: () => {}, warn: line, error: line };
  return logger;
}

interface KafkajsLogger {
  namespace(name: string): KafkajsLogger;
  debug: DebugLine;
  info: DebugLine;
  warn: DebugLine;
  error: DebugLine;
}

interface ConnectionPoolOptions {
  host: string;
  port: number;
  rack: null;
  logger: KafkajsLogger;
  clientId: string;
  ssl: TlsOptions | null;
  sasl: SASLOptions | null;
  socketFactory: SocketFactory;
  connectionTimeout: number;
  requestTimeout: number;
  enforceRequestTimeout: boolean;
  maxInFlightRequests: null;
  instrumentationEmitter: null;
  reauthenticationThreshold: number;
}

interface BrokerOptions {
  connectionPool: KafkajsConnectionPool;
  logger: KafkajsLogger;
  allowAutoTopicCreation: boolean;
  authenticationTimeout: number;
}

interface KafkajsBroker {
  readonly connectionPool: KafkajsConnectionPool;
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  lookupRequest(apiKey: number, definition: RequestDefinition | undefined): (payload: unknown) => ProtocolRequest;
}

interface KafkajsConnectionPool {
  send(request: ProtocolRequest & { logResponseError: boolean }): Promise<unknown>;
}

interface RequestDefinition {
  /** Decimal. */
  versions: readonly string[];
  protocol(wanted: { version: number }): (payload: unknown) => ProtocolRequest;
}

interface ProtocolRequest {
  request: { apiVersion: number; apiKey?: number; apiName?: string; encode?: () => Promise<unknown> };
  response: { decode(raw: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> };
  requestTimeout?: number | null;
}

interface KafkajsRequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  readonly enforceRequestTimeout: boolean;
  /** In milliseconds. */
  readonly requestTimeout: number;
  readonly inflight: ReadonlyMap<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>;
  isConnected(): boolean;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
  /** Takes its timers away. */
  destroy(): void;
}
