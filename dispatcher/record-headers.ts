import type { RecordHeaders } from '../broker/log/log.ts';
import type { Origin } from './fate.ts';

/** A reason in a record: longer ones are cut, so that what Posthorn adds to a record stays within 16 KiB. */
const reasonCharactersMax = 1_024;

export function cut(text: string): string {
  return text.length <= reasonCharactersMax ? text : `${text.slice(0, reasonCharactersMax - 1)}…`;
}

/** The first value of a header as text. */
export function headerText(headers: RecordHeaders, name: string): string | undefined {
  const value = headers[name];
  if (typeof value === 'string') return value;
  const one = Buffer.isBuffer(value) ? value : value?.[0];
  return one?.toString('utf8');
}

/** `topic/partition/offset`; topic names have no slash. */
export function originText(origin: Origin): string {
  return `${origin.topic}/${origin.partition}/${origin.offset}`;
}

/** @throws Error if the text is not what `originText` writes */
export function parseOrigin(text: string, appendedAtMs: number): Origin {
  const match = /^([^/]+)\/(\d+)\/(\d+)$/.exec(text);
  if (!match?.[1]) throw new Error(`not an origin (topic/partition/offset): ${cut(text)}`);
  return { topic: match[1], partition: Number(match[2]), offset: Number(match[3]), appendedAtMs };
}

/** The W3C trace context that the ingress kept beside the event (headers `traceparent` and `tracestate`). */
export function traceOf(headers: RecordHeaders): Readonly<Record<string, string>> {
  const traceparent = headerText(headers, 'traceparent');
  if (traceparent === undefined) return noTrace;
  const tracestate = headerText(headers, 'tracestate');
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

export const noTrace: Readonly<Record<string, string>> = {};
