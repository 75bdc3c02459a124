import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Brokers } from '../broker/brokers.ts';
import type { Log } from '../broker/log/log.ts';
import { messageOf } from '../runtime/errors.ts';
import { apiRoutes } from './api.ts';
import { refuse } from './guard.ts';
import { problemDetails, problemOf, problemType } from './problem.ts';

/** 10,000 triggers of 3 KB each in one apply. */
const bodyMaxBytes = 32 * 1_048_576;

/** How long a request may take to arrive. */
const requestTimeoutMs = 60_000;

/** Where a log that can't be reached is worth trying again. */
const retryAfterSeconds = 5;

export interface AdminOptions {
  readonly brokers: Brokers;
  /** Where dead letters are read, and events that a filter is tried on. */
  readonly log: Pick<Log, 'ranges' | 'offsetsAt' | 'read'>;
  /** As prom-client's Registry. */
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
  /** Whether the process would really accept or deliver now, and if not, why. */
  readonly ready: () => Readiness;
  /** What callers from other machines must show; null: they get no answer. */
  readonly token: string | null;
  readonly logger: Logger;
}

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface Admin {
  /** @throws when the address is in use or not one of this machine */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }>;
  /** Answers what has arrived and closes. Idempotent. */
  close(): Promise<void>;
}

/** The admin port: health, metrics, and the API that the commands talk to. */
export function createAdmin({ brokers, log, metrics, ready, token, logger }: AdminOptions): Admin {
  const server = Fastify({
    logger: false,
    bodyLimit: bodyMaxBytes,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: 'idle',
    // Names of triggers have up to 253 characters, wrong ones more; fastify's own limit of 100 answers as if there were no such path.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 16_384 },
  });
  server.setErrorHandler((error, _request, reply) => answerError(error, reply, logger));
  server.setNotFoundHandler((request, reply) => {
    const isEvent = request.method === 'POST' && !request.url.startsWith('/api/');
    const elsewhere = isEvent ? '; this is the admin port, events go to the other one (8080 unless set otherwise)' : '';
    return answer(reply, 404, `nothing at ${request.method} ${request.url}${elsewhere}`);
  });

  server.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'));
  server.get('/readyz', (_request, reply) => {
    const readiness = ready();
    return reply.code(readiness.ready ? 200 : 503).send(readiness);
  });
  server.get('/metrics', async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.metrics());
  });
  server.register(
    (api: FastifyInstance, _options, done) => {
      api.addHook('onRequest', guard(token));
      apiRoutes(api, brokers, log);
      done();
    },
    { prefix: '/api/v1' },
  );

  let closing: Promise<void> | undefined;
  return {
    async listen(address) {
      await server.listen(address);
      return { port: (server.server.address() as AddressInfo).port };
    },
    close() {
      closing ??= server.close();
      return closing;
    },
  };
}

function guard(token: string | null) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const remoteAddress = request.raw.socket.remoteAddress ?? '';
    const refusal = refuse({ remoteAddress, headers: request.headers }, token);
    if (refusal === null) return undefined;
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer');
    return answer(reply, refusal.status, refusal.detail);
  };
}

function answerError(error: unknown, reply: FastifyReply, logger: Logger): FastifyReply {
  const problem = problemOf(error);
  if (problem) {
    if (problem.status === 503) reply.header('retry-after', retryAfterSeconds);
    return reply.code(problem.status).type(problemType).send(problem);
  }
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  // Fastify's own: the body too large, of an unknown type, cut short.
  if (status < 500) return answer(reply, status, messageOf(error));
  logger.error({ err: error }, `the admin API failed: ${messageOf(error)}`);
  return answer(reply, 500, 'this is a bug in Posthorn; its log has more');
}

function answer(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply.code(status).type(problemType).send(problemDetails(status, detail));
}
