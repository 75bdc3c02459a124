import type { LogRecord, NewRecord } from '../broker/log/log.ts';
import type { CloudEvent, CloudEventAttributes } from '../event/event.ts';
import { toRecord } from '../event/kafka.ts';
import type { Failure, GivenUp, Origin, Outcome } from './fate.ts';
import { cut, originText } from './record-headers.ts';

/** What a dead letter sink came to. */
export type SinkOutcome = 'delivered' | `failed: ${string}`;

/** `knativeerrordata` holds the first bytes of the answer (Knative: at most 1,024). */
export const errorDataBytesMax = 1_024;

/** How a delivery failed, from its last attempt; `outcome` is null where none was made. */
export function failureOf(delivery: GivenUp, reason: string, outcome: Outcome | null, nowMs: number): Failure {
  const answered = outcome?.kind === 'answered' ? outcome : null;
  return {
    reason,
    attempts: outcome === null ? delivery.attempt - 1 : delivery.attempt,
    firstAttemptAtMs: delivery.firstAttemptAtMs,
    lastAttemptAtMs: outcome === null ? null : nowMs,
    status: answered?.status ?? null,
    body: answered?.body.subarray(0, errorDataBytesMax) ?? Buffer.alloc(0),
  };
}

/**
 * The event as it is sent to a dead letter sink and kept in the dead-letter topic: the original with
 * `knativeerrordest`, `knativeerrorcode` and `knativeerrordata` (Knative Eventing, delivery of dead letters).
 * Where there was no answer there is no code.
 */
export function deadLetterEvent(event: CloudEvent, trigger: GivenUp['trigger'], failure: Failure): CloudEvent {
  const attributes: CloudEventAttributes = {
    ...event.attributes,
    knativeerrordest: trigger.subscriberUri ?? undefined,
    knativeerrorcode: failure.status === null ? undefined : String(failure.status),
    knativeerrordata: failure.body.length === 0 ? undefined : failure.body.toString('base64'),
  };
  return { attributes, data: event.data };
}

/** The record of the dead-letter topic, keyed by trigger. */
export function toDeadLetterRecord(delivery: GivenUp, failure: Failure, sink: SinkOutcome | null): NewRecord {
  const { trigger } = delivery;
  const record = toRecord(deadLetterEvent(delivery.event, trigger, failure));
  return {
    key: keyOf(trigger),
    value: record.value,
    headers: { ...record.headers, ...delivery.trace, ...headersOf(trigger, delivery.origin, failure, sink) },
  };
}

/** Stands for an event that is too large even for the dead-letter topic: all but the event, which `origin` locates. */
export function toDeadLetterReference(delivery: GivenUp, failure: Failure, sink: SinkOutcome | null): NewRecord {
  const { trigger } = delivery;
  return { key: keyOf(trigger), value: null, headers: headersOf(trigger, delivery.origin, failure, sink) };
}

/** A reply that could not be accepted and has no event to keep: its bytes, as they came. */
export function toRawReplyRecord(
  delivery: GivenUp,
  failure: Failure,
  body: Buffer,
  contentType: string | undefined,
): NewRecord {
  const headers: Record<string, string> = headersOf(delivery.trigger, delivery.origin, failure, null);
  if (contentType !== undefined) headers['posthorn-content-type'] = cut(contentType);
  return { key: keyOf(delivery.trigger), value: body, headers };
}

/** A record of the events topic that can't be read as an event: as it is, with the reason. Belongs to no trigger. */
export function toRawRecord(record: LogRecord, origin: Origin, reason: string): NewRecord {
  return {
    key: record.key,
    value: record.value,
    headers: { ...record.headers, 'posthorn-reason': cut(reason), 'posthorn-origin': originText(origin) },
  };
}

function keyOf(trigger: GivenUp['trigger']): Buffer {
  return Buffer.from(`${trigger.namespace}/${trigger.name}`);
}

function headersOf(
  trigger: GivenUp['trigger'],
  origin: Origin,
  failure: Failure,
  sink: SinkOutcome | null,
): Record<string, string> {
  const headers: Record<string, string> = {
    'posthorn-trigger': `${trigger.namespace}/${trigger.name}`,
    'posthorn-trigger-uid': trigger.uid,
    'posthorn-reason': cut(failure.reason),
    'posthorn-attempts': String(failure.attempts),
    'posthorn-origin': originText(origin),
  };
  if (failure.firstAttemptAtMs !== null) headers['posthorn-first-attempt'] = rfc3339(failure.firstAttemptAtMs);
  if (failure.lastAttemptAtMs !== null) headers['posthorn-last-attempt'] = rfc3339(failure.lastAttemptAtMs);
  if (sink !== null) headers['posthorn-dead-letter-sink'] = cut(sink);
  return headers;
}

function rfc3339(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
