import type { Delivery } from './fate.ts';

/** A traceparent of any version (W3C Trace Context, 3.2), which may go on after a dash. */
const traceparentPattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]*)?$/;
const tracestatePattern = /^[\x20-\x7e]{1,8192}$/;

/**
 * The trace context that a delivery goes on with, as headers: the one that came beside the event, which is of the last
 * hop, else what the event itself says of where it began (CloudEvents distributed tracing extension).
 */
export function traceHeadersOf({ event, trace }: Pick<Delivery, 'event' | 'trace'>): Readonly<Record<string, string>> {
  // A producer may have put anything there; a header that can't be sent would fail every attempt.
  const source = [trace, event.attributes].find(({ traceparent }) => traceparentPattern.test(traceparent ?? ''));
  const { traceparent, tracestate } = source ?? {};
  if (traceparent === undefined) return none;
  return tracestate !== undefined && tracestatePattern.test(tracestate) ? { traceparent, tracestate } : { traceparent };
}

const none: Readonly<Record<string, string>> = {};
