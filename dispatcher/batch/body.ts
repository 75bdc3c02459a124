import { withAttributes } from '../../event/event.ts';
import { hopsAttribute } from '../../event/hops.ts';
import { type BatchMember, batchMemberOf, encodeJsonBatch } from '../../event/json.ts';
import type { Delivery } from '../fate.ts';
import type { Waiting } from '../limit/waiting-queue.ts';
import { hopsOfDelivery } from '../reply.ts';
import { traceHeadersOf } from '../trace.ts';

/** Several deliveries to one subscriber in one request. */
export interface Batch {
  readonly deliveries: readonly [Delivery, ...Delivery[]];
  /** Their events, in this order, in CloudEvents' JSON batch format. */
  readonly body: Buffer;
}

/**
 * How the event of a delivery stands in a batch: with its hop count, and with the trace context that came beside it,
 * for which a batch has no header (CloudEvents distributed tracing extension). One that it has itself stays.
 */
export function memberOf(waiting: Waiting): BatchMember {
  if (waiting.member) return waiting.member;
  const { delivery } = waiting;
  const { event } = delivery;
  const added = { [hopsAttribute]: String(hopsOfDelivery(event)) };
  const trace = event.attributes.traceparent === undefined ? traceHeadersOf(delivery) : {};
  waiting.member = batchMemberOf(withAttributes(event, { ...added, ...trace }));
  return waiting.member;
}

/** A batch has these bytes beside those of its members. */
export const batchBytes = 1;

/** The body of a batch. */
export function bodyOf(waiting: readonly Waiting[]): Buffer {
  return encodeJsonBatch(waiting.map(memberOf));
}

/** The headers of a batch, flat. Its attempt is the highest of its deliveries: 1 says that none was tried before. */
export function headersOf({ deliveries }: Batch): string[] {
  const { namespace, name } = deliveries[0].trigger;
  const attempt = deliveries.reduce((highest, delivery) => Math.max(highest, delivery.attempt), 1);
  return [
    ...['content-type', 'application/cloudevents-batch+json; charset=utf-8'],
    ...['posthorn-trigger', `${namespace}/${name}`],
    ...['posthorn-attempt', String(attempt)],
    ...['user-agent', 'posthorn'],
  ];
}
