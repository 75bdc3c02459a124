import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FastifyError, type FastifyRequest, fastify } from 'fastify';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { answerRefused } from './answer.ts';
import { allowedMethods, answerCallback, answerOptions, type OnPermission } from './handshake.ts';
import { createListener, type Listener } from './listen.ts';
import { createPost, type PostOptions, type Read, unknownBroker } from './post.ts';
import { Refusal, refusalOf } from './problem.ts';
import { readWebhook, type Webhook } from './webhook/webhook.ts';

export interface IngressOptions extends Omit<PostOptions, 'isClosing' | 'clock'> {
  readonly clock?: Clock;
  /** Absent: none come in. */
  readonly webhooks?: readonly Webhook[];
  /** Absent: there is nobody who waits for a permission. */
  readonly onPermission?: OnPermission;
}

/**
 * CloudEvents over HTTP in: `POST /NAMESPACE/BROKER`, and `POST /` for default/default; webhooks at the paths of their
 * own. A request is answered 202 once
 * all of its events are durable in the log, else with a problem document (RFC 9457).
 */
export function createIngress({ clock = systemClock, webhooks = [], ...options }: IngressOptions): Listener {
  let closing = false;
  const post = createPost({ ...options, clock, isClosing: () => closing });
  const refuse = (request: IncomingMessage, response: ServerResponse, refusal: Refusal): void => {
    options.observer.refused('', refusal.reason);
    answerRefused(request, response, refusal, clock);
    if (refusal.status === 500) options.logger.error({ err: refusal.cause }, 'ingress: an error in Posthorn');
  };

  const routes = fastify({
    logger: false,
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => {
      refuse(request.raw, reply.hijack().raw, refusalOfRouting(error));
    },
  });
  // Bodies are read by `post`, once it wants them.
  routes.removeAllContentTypeParsers();
  routes.addContentTypeParser('*', (_request, _body, done) => done(null));

  routes.post('/', (request, reply) => post(request.raw, reply.hijack().raw, 'default', 'default'));
  routes.post<{ Params: { namespace: string; broker: string } }>('/:namespace/:broker', (request, reply) =>
    post(request.raw, reply.hijack().raw, request.params.namespace, request.params.broker),
  );
  for (const webhook of webhooks) {
    const { namespace, name } = webhook.broker;
    const read: Read = (request, body, nowMs) => readWebhook(webhook, request, body, nowMs);
    routes.post(webhook.path, (request, reply) => post(request.raw, reply.hijack().raw, namespace, name, read));
    routes.options(webhook.path, (request, reply) => answerOptions(request.raw, reply.hijack().raw));
  }
  for (const path of ['/', '/:namespace/:broker']) {
    routes.options<{ Params: { namespace?: string; broker?: string } }>(path, (request, reply) => {
      const { namespace = 'default', broker = 'default' } = request.params;
      const isKnown = options.lookup(namespace, broker) !== undefined;
      if (isKnown) answerOptions(request.raw, reply.hijack().raw);
      else refuse(request.raw, reply.hijack().raw, unknownBroker(namespace, broker));
    });
  }
  const { onPermission } = options;
  if (onPermission !== undefined) {
    const method = ['GET', 'POST'];
    routes.route({
      ...{ method, url: '/webhook-callback' },
      handler: (request, reply) => answerCallback(request.raw, reply.hijack().raw, onPermission),
    });
  }
  const paths = new Set(webhooks.map(({ path }) => path));
  routes.setNotFoundHandler((request, reply) => {
    refuse(request.raw, reply.hijack().raw, noSuchRoute(request, paths));
  });
  routes.setErrorHandler<FastifyError>((error, request, reply) => {
    refuse(request.raw, reply.hijack().raw, refusalOfRouting(error));
  });

  const listener = createListener({
    handle: (request, response) => routes.routing(request, response),
    limits: options.limits,
    refused: (refusal) => options.observer.refused('', refusal.reason),
    logger: options.logger,
    clock,
  });
  return {
    async listen(address) {
      await routes.ready();
      return await listener.listen(address);
    },
    async close(signal) {
      closing = true;
      await listener.close(signal);
      await routes.close();
    },
  };
}

const brokerPath = /^\/(?:[^/?]+\/[^/?]+)?(?:\?|$)/;

function noSuchRoute({ method, url }: FastifyRequest, webhookPaths: ReadonlySet<string>): Refusal {
  if (method !== 'POST' && (brokerPath.test(url) || webhookPaths.has(url.replace(/\?.*$/, '')))) {
    return new Refusal(405, 'method', `${method} is refused here: events are sent by POST`, {
      headers: { allow: allowedMethods },
    });
  }
  return new Refusal(404, 'unknown_broker', 'no such path: events are sent by POST to /NAMESPACE/BROKER');
}

/** What fastify refuses before a request reaches its route. */
function refusalOfRouting(error: FastifyError): Refusal {
  if (error.statusCode === 415) {
    return new Refusal(415, 'unsupported_media_type', 'the content-type is not a media type, such as application/json');
  }
  if (error.statusCode === 414) return new Refusal(404, 'unknown_broker', 'no broker has a name as long as this path');
  if (error.statusCode === 400) return new Refusal(400, 'invalid', `the path is not a valid URL: ${error.message}`);
  return refusalOf(error);
}
