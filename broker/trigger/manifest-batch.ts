import { readDuration } from './manifest-duration.ts';
import { describe, type Field } from './manifest-field.ts';
import { type BatchSettings, defaultMaxInFlight, type Trigger } from './trigger.ts';

/** As many as wait in memory for their subscriber by default (`--waiting-events-max`), roundly. */
const eventsMax = 1_000;

/** What nginx takes by default; Express takes a tenth of it, some servers ten times as much. */
const defaultBytesMax = 1_048_576;
/** Less would put every event of usual size into a batch of its own. */
const bytesMaxMin = 1_024;
/** Half of the window of a consumer group of its own, so that two are on the way. */
const bytesMaxMax = 8_388_608;

/** Hardly seen by people, and at 1,000 events/s enough for a hundred of them. */
const defaultLingerMs = 100;
/** What waits is unsettled, and holds its place in the window. */
const lingerMaxMs = 60_000;

/** The annotations of a Trigger that speak of batches. */
export interface BatchFields {
  readonly events: Field;
  readonly bytes: Field;
  readonly linger: Field;
  readonly replyTo: Field;
}

/**
 * Reads `posthorn.dev/batch` and what stands beside it; undefined where there is none.
 * @param lane an ordered trigger has one event of a key in a batch, and waiting would hold up each of them
 */
export function readBatch(fields: BatchFields, lane: Trigger['lane']): BatchSettings | undefined {
  const { events, bytes, linger, replyTo } = fields;
  const size = readCount(events, 1, eventsMax);
  const bytesMax = readCount(bytes, bytesMaxMin, bytesMaxMax) ?? defaultBytesMax;
  const lingerMs = readDuration(linger, 0, lingerMaxMs) ?? (lane === 'ordered' ? 0 : defaultLingerMs);
  if (!events.present) {
    for (const field of [bytes, linger]) if (field.present) field.warn('no effect without posthorn.dev/batch');
    return undefined;
  }
  if (replyTo.present) {
    replyTo.error('the answer to a batch carries no reply; leave this out, or posthorn.dev/batch');
  }
  return size === undefined ? undefined : { eventsMax: size, bytesMax, lingerMs };
}

/** The trigger's own `spec.delivery`: a batch is always in JSON, and dead letters go out one by one. */
export function checkFormat(delivery: Field): void {
  const format = delivery.field('format');
  if (!format.present || delivery.field('deadLetterSink').present) return;
  format.warn('no effect with posthorn.dev/batch: a batch is in JSON, application/cloudevents-batch+json');
}

/**
 * Batches in flight where the trigger does not say: as many as hold 256 events, and two at least, so that one is filled
 * while the other is under way.
 *
 * | batch | 1   | 10 | 100 | 256 and more |
 * |-------|-----|----|-----|--------------|
 * |       | 256 | 26 | 3   | 2            |
 */
export function defaultBatchesInFlight({ eventsMax }: BatchSettings): number {
  return Math.max(2, Math.ceil(defaultMaxInFlight / eventsMax));
}

/** A whole number in an annotation; undefined where it is absent or reported. */
export function readCount(field: Field, min: number, max: number): number | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= min && count <= max) return count;
  return field.error(`must be a whole number from ${min} to ${max}, found ${describe(text)}`);
}
