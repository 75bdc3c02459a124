import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { shown } from '../../event/errors.ts';
import { type DecodedHttp, decodeHttp } from '../../event/http.ts';
import { hasTypeAndSubtype, isEventFormat } from '../../event/media-type.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Secrets } from '../../runtime/secrets.ts';
import type { RefusalReason } from '../../runtime/tallies.ts';
import type { Gatherer } from '../log/gather.ts';
import type { Log } from '../log/log.ts';
import { accept } from './accept.ts';
import { answerAccepted, answerRefused } from './answer.ts';
import { Deduplicators, type EventTarget, type Member } from './deduplicate.ts';
import type { IngressLimits } from './limits.ts';
import { Refusal, refusalOf, unavailable } from './problem.ts';
import { ProducerSignatures } from './producer-signature.ts';
import { Receiver, SenderGoneError } from './receive.ts';
import { SchemaLines } from './schemas.ts';

/** Counts what the ingress does. */
export interface IngressObserver {
  /** Events became durable in the log. */
  accepted(broker: string, events: number): void;
  /** Events were not appended, as the log had them already. */
  deduplicated(broker: string, events: number): void;
  /** An event is not known any more, though its window is not over: there were too many. */
  forgotten(broker: string): void;
  /** Events became durable that name a schema that nobody has. */
  unknownSchema(broker: string, events: number): void;
  /** A request was refused; the broker is `''` where it named none that exists. */
  refused(broker: string, reason: RefusalReason): void;
}

export interface PostOptions {
  /** Where the events of a broker go, if there is such a broker. */
  readonly lookup: (namespace: string, name: string) => EventTarget | undefined;
  readonly gatherer: Pick<Gatherer, 'appendAll'>;
  readonly log: Pick<Log, 'ranges' | 'offsetsAt' | 'read'>;
  readonly limits: IngressLimits;
  readonly observer: IngressObserver;
  readonly logger: Logger;
  /** Whether `lookup` knows all brokers and the log can be appended to. */
  readonly ready: () => boolean;
  readonly isClosing: () => boolean;
  readonly clock: Clock;
  /** What producers sign with. */
  readonly secrets: Secrets;
}

/**
 * Reads the events of a request that are not sent as events are, as those of a webhook.
 * @throws Refusal, EventError
 */
export type Read = (request: IncomingMessage, body: Buffer, nowMs: number) => DecodedHttp;

/**
 * Handles one request to a broker. Never rejects.
 * @param read absent: it has CloudEvents, signed if the broker wants that
 */
export type Post = (
  request: IncomingMessage,
  response: ServerResponse,
  namespace: string,
  name: string,
  read?: Read,
) => Promise<void>;

/** check -> receive -> accept -> answer */
export function createPost(options: PostOptions): Post {
  const { lookup, gatherer, log, limits, observer, logger, ready, isClosing, clock } = options;
  const receiver = new Receiver(limits.receivedBytesMax);
  const deduplicators = new Deduplicators({ gatherer, log, limits, clock }, (broker) => observer.forgotten(broker));
  /** Brokers whose events can't be appended now: the log says so once, and once when they can again. */
  const failing = new Set<string>();
  const schemaLines = new SchemaLines(logger, clock);

  const append = async (broker: string, target: EventTarget, members: readonly Member[]): Promise<number> => {
    if (target.deduplicateMs !== null) {
      return await deduplicators.of(broker, target).append(members, target.deduplicateMs);
    }
    deduplicators.forget(broker);
    const records = members.map(({ record }) => record);
    await gatherer.appendAll(target.topic, records);
    return 0;
  };

  const signatures = new ProducerSignatures(options.secrets);
  const decode = (request: IncomingMessage, body: Buffer, { verifyWith }: EventTarget): DecodedHttp => {
    if (verifyWith !== null) signatures.verify(verifyWith, request, body, clock.now());
    return decodeHttp(request.rawHeaders, body);
  };

  return async (request, response, namespace, name, read) => {
    let broker = '';
    try {
      if (isClosing()) throw unavailable('closing', 'Posthorn is shutting down');
      // Before the lookup: while the brokers aren't all known, a 404 would make senders give up.
      if (!ready()) throw unavailable('log_unavailable', 'Posthorn is not ready to accept events yet');
      const target = lookup(namespace, name);
      if (target === undefined) throw unknownBroker(namespace, name);
      broker = `${namespace}/${name}`;
      checkHeaders(request, limits);
      const body = await receiver.receive(request, response, bodyMaxBytes(request, limits));
      try {
        const toTarget = (members: readonly Member[]) => append(broker, target, members);
        const decoded = read ? read(request, body, clock.now()) : decode(request, body, target);
        const received = { rawHeaders: request.rawHeaders, decoded };
        const accepted = await accept(received, limits, clock.now(), target, toTarget);
        if (accepted.appended > 0) observer.accepted(broker, accepted.appended);
        if (accepted.unknownSchemas > 0) observer.unknownSchema(broker, accepted.unknownSchemas);
        if (accepted.duplicates > 0) observer.deduplicated(broker, accepted.duplicates);
        answerAccepted(response, accepted.duplicates);
      } finally {
        receiver.release(body.length);
      }
      if (failing.delete(broker)) logger.info({ broker }, 'ingress: events are accepted again');
    } catch (error) {
      if (error instanceof SenderGoneError) return;
      const refusal = refusalOf(error);
      observer.refused(broker, refusal.reason);
      answerRefused(request, response, refusal, clock);
      if (refusal.status === 500) {
        logger.error({ broker, err: error }, 'ingress: an error in Posthorn');
      } else if (refusal.reason === 'schema_unavailable') {
        schemaLines.unavailable(broker, refusal.message);
      } else if (broker !== '' && refusal.status === 503 && !failing.has(broker)) {
        failing.add(broker);
        logger.warn(
          { broker, reason: refusal.reason, detail: refusal.message },
          'ingress: events are refused with 503',
        );
      }
    }
  };
}

export function unknownBroker(namespace: string, name: string): Refusal {
  return new Refusal(
    404,
    'unknown_broker',
    `no broker ${namespace}/${name}; \`posthorn apply -f broker.yaml\` makes the Broker that the file describes`,
  );
}

function checkHeaders({ rawHeaders, headers }: IncomingMessage, limits: IngressLimits): void {
  const count = rawHeaders.length / 2;
  if (count > limits.headersMax) {
    throw new Refusal(431, 'too_large', `the request has ${count} headers; at most ${limits.headersMax} are accepted`);
  }
  const type = headers['content-type'];
  if (type !== undefined && !hasTypeAndSubtype(type)) {
    throw new Refusal(
      415,
      'unsupported_media_type',
      `content-type ${shown(type)} is not a media type, such as application/json`,
    );
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    // The events bear no content-encoding, so that their subscribers would take the data for something else.
    throw new Refusal(
      415,
      'unsupported_media_type',
      `content-encoding ${JSON.stringify(encoding)} is refused: send the events uncompressed`,
      { headers: { 'accept-encoding': 'identity' } },
    );
  }
}

/** The body of a binary event is its data; JSON has room for the longer form of an event, or for several. */
function bodyMaxBytes({ headers }: IncomingMessage, limits: IngressLimits): number {
  return isEventFormat(headers['content-type'] ?? '') ? limits.batchMaxBytes : limits.eventMaxBytes;
}
