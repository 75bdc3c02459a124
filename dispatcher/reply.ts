import { checkDeliverAt } from '../event/deliver-at.ts';
import { type CloudEvent, withAttributes } from '../event/event.ts';
import { hopsAttribute, hopsMax, hopsOf } from '../event/hops.ts';
import { decodeReply } from '../event/http.ts';
import { messageOf } from '../runtime/errors.ts';
import type { Outcome } from './fate.ts';

/** What a 2xx answer holds besides the acknowledgement. */
export type Reply =
  | { readonly kind: 'none' }
  | { readonly kind: 'event'; readonly event: CloudEvent }
  /** It is a CloudEvent but can't be accepted; `event` where it could be read. */
  | {
      readonly kind: 'refused';
      readonly category: 'invalid_reply' | 'hop_limit';
      readonly reason: string;
      readonly event: CloudEvent | null;
    };

/**
 * Reads the reply of an attempt (Knative data plane: a 2xx other than 202 with a CloudEvent is sent back to the
 * broker). Pure.
 *
 * @param hops the hop count that the delivery carried; the reply carries it on
 * @param nowMs milliseconds since 1970
 */
export function replyOf(outcome: Outcome, hops: number, nowMs: number): Reply {
  if (outcome.kind !== 'answered' || outcome.status < 200 || outcome.status > 299 || outcome.status === 202) {
    return { kind: 'none' };
  }
  const tooLarge = `reply too large: cut after ${outcome.body.length} bytes`;
  let event: CloudEvent | null;
  try {
    event = decodeReply(outcome.headers, outcome.body);
  } catch (error) {
    const reason = outcome.truncated ? tooLarge : `malformed reply: ${messageOf(error)}`;
    return { kind: 'refused', category: 'invalid_reply', reason, event: null };
  }
  if (event === null) return { kind: 'none' };
  if (outcome.truncated) return { kind: 'refused', category: 'invalid_reply', reason: tooLarge, event: null };
  const counted = withAttributes(event, { [hopsAttribute]: String(hops) });
  if (hops > hopsMax) {
    return {
      kind: 'refused',
      category: 'hop_limit',
      reason: `more than ${hopsMax} hops: replies go round in a loop`,
      event: counted,
    };
  }
  try {
    checkDeliverAt(counted, nowMs);
  } catch (error) {
    return {
      kind: 'refused',
      category: 'invalid_reply',
      reason: `malformed reply: ${messageOf(error)}`,
      event: counted,
    };
  }
  return { kind: 'event', event: counted };
}

/** The hop count that a delivery of this event carries: one more than the event's own. */
export function hopsOfDelivery(event: CloudEvent): number {
  // What can't be read was not written by Posthorn and starts anew.
  return (hopsOf(event) || 0) + 1;
}
