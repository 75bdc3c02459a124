import { EventError, shown } from './errors.ts';
import type { CloudEvent } from './event.ts';
import { isTimestamp } from './time.ts';

/** The extension that says when the event is to be delivered first: a time of RFC 3339. */
export const deliverAtAttribute = 'deliverat';

/** A year, a leap year too. Later is rather a slip of the pen, and would be kept for as long. */
const aheadMaxDays = 366;
const dayMs = 86_400_000;

/**
 * When the event is to be delivered first, milliseconds since 1970, of which a fraction is cut off; undefined where it
 * does not say, NaN where what it says is no time.
 */
export function deliverAtOf(event: CloudEvent): number | undefined {
  const text = event.attributes[deliverAtAttribute];
  if (text === undefined) return undefined;
  if (!isTimestamp(text)) return Number.NaN;
  // What Date.parse doesn't know: a leap second, and small letters.
  const isLeap = text.slice(17, 19) === '60';
  const known = (isLeap ? `${text.slice(0, 17)}59${text.slice(19)}` : text).toUpperCase();
  return Date.parse(known) + (isLeap ? 1_000 : 0);
}

/**
 * Checks the time of an event that is to be accepted. A time that has passed is allowed.
 * @throws EventError that names the attribute, what was seen and what is right
 */
export function checkDeliverAt(event: CloudEvent, nowMs: number): void {
  const atMs = deliverAtOf(event);
  if (atMs === undefined || atMs <= nowMs + aheadMaxDays * dayMs) return;
  const wanted = Number.isNaN(atMs)
    ? 'a time of RFC 3339 is wanted, as 2026-01-31T12:00:00Z'
    : `at most ${aheadMaxDays} days ahead are taken`;
  const value = shown(event.attributes[deliverAtAttribute] ?? '');
  throw new EventError(`attribute ${deliverAtAttribute} is ${value}: ${wanted}`, { attribute: deliverAtAttribute });
}
