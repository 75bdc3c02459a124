import type { IncomingMessage, ServerResponse } from 'node:http';
import findMyWay from 'find-my-way';
import { shown } from '../../event/errors.ts';
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

  const paths = new Set(webhooks.map(({ path }) => path));
  const router = findMyWay({
    onBadUrl: (_path, request, response) => refuse(request, response, badUrl(request)),
    onMaxParamLength: (_path, request, response) => refuse(request, response, tooLongName()),
    defaultRoute: (request, response) => refuse(request, response, noSuchRoute(request, paths)),
  });
  router.on('POST', '/', (request, response) => post(request, response, 'default', 'default'));
  router.on('POST', '/:namespace/:broker', (request, response, { namespace = '', broker = '' }) =>
    post(request, response, namespace, broker),
  );
  for (const webhook of webhooks) {
    const { namespace, name } = webhook.broker;
    const read: Read = (request, body, nowMs) => readWebhook(webhook, request, body, nowMs);
    router.on('POST', webhook.path, (request, response) => post(request, response, namespace, name, read));
    router.on('OPTIONS', webhook.path, (request, response) => answerOptions(request, response));
  }
  for (const path of ['/', '/:namespace/:broker']) {
    router.on('OPTIONS', path, (request, response, { namespace = 'default', broker = 'default' }) => {
      const isKnown = options.lookup(namespace, broker) !== undefined;
      if (isKnown) answerOptions(request, response);
      else refuse(request, response, unknownBroker(namespace, broker));
    });
  }
  const { onPermission } = options;
  if (onPermission !== undefined) {
    router.on(['GET', 'POST'], '/webhook-callback', (request, response) =>
      answerCallback(request, response, onPermission),
    );
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await router.lookup(request, response);
    } catch (error) {
      refuse(request, response, refusalOf(error));
    }
  };
  const listener = createListener({
    handle: (request, response) => void handle(request, response),
    limits: options.limits,
    refused: (refusal) => options.observer.refused('', refusal.reason),
    logger: options.logger,
    clock,
  });
  return {
    listen: (address) => listener.listen(address),
    close(signal) {
      closing = true;
      return listener.close(signal);
    },
  };
}

const brokerPath = /^\/(?:[^/?]+\/[^/?]+)?(?:\?|$)/;

function noSuchRoute({ method, url = '' }: IncomingMessage, webhookPaths: ReadonlySet<string>): Refusal {
  if (method !== 'POST' && (brokerPath.test(url) || webhookPaths.has(url.replace(/\?.*$/, '')))) {
    return new Refusal(405, 'method', `${method} is refused here: events are sent by POST`, {
      headers: { allow: allowedMethods },
    });
  }
  return new Refusal(404, 'unknown_broker', 'no such path: events are sent by POST to /NAMESPACE/BROKER');
}

function tooLongName(): Refusal {
  return new Refusal(404, 'unknown_broker', 'no broker has a name as long as this path');
}

function badUrl({ url = '' }: IncomingMessage): Refusal {
  return new Refusal(400, 'invalid', `the path is not a valid URL: ${shown(url)}`);
}
