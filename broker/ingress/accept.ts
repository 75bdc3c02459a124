import { checkDeliverAt } from '../../event/deliver-at.ts';
import { EventError } from '../../event/errors.ts';
import type { CloudEvent } from '../../event/event.ts';
import { hopsAttribute, hopsMax, hopsOf } from '../../event/hops.ts';
import type { DecodedHttp } from '../../event/http.ts';
import type { EncodedRecord } from '../../event/kafka.ts';
import { RecordTooLargeError } from '../log/errors.ts';
import { encodedBytes, type NewRecord } from '../log/log.ts';
import type { EventTarget, Member } from './deduplicate.ts';
import type { IngressLimits } from './limits.ts';
import { Refusal } from './problem.ts';
import { holdToSchemas } from './schemas.ts';

/** A request with events for a topic. */
export interface EventRequest {
  /** Flat, as node:http gives them. */
  readonly rawHeaders: readonly string[];
  readonly decoded: DecodedHttp;
}

/** What became of the events of a request, which are all in the log now. */
export interface Accepted {
  readonly appended: number;
  /** Those that the log had already. */
  readonly duplicates: number;
  /** Those that name a schema that nobody has. */
  readonly unknownSchemas: number;
}

/**
 * Checks the events of the request against the limits and their schemas and appends them all. Of a batch that has a wrong
 * member nothing is appended.
 *
 * @param nowMs milliseconds since 1970
 * @param target how the broker's topic holds an event, and which events it takes
 * @param append resolves once all are durable, with how many were so already
 * @throws EventError, Refusal, and what `append` throws, after which members of a batch may be in
 */
export async function accept(
  { rawHeaders, decoded }: EventRequest,
  limits: IngressLimits,
  nowMs: number,
  { toRecord, judge }: Pick<EventTarget, 'toRecord' | 'judge'>,
  append: (members: readonly Member[]) => Promise<number>,
): Promise<Accepted> {
  const { mode, events } = decoded;
  for (const [number, event] of events.entries()) {
    const index = mode === 'batch' ? number : null;
    checkLimits(event, index, limits);
    inPlace(index, () => checkDeliverAt(event, nowMs));
  }
  const unknownSchemas = judge === null ? 0 : await holdToSchemas(decoded, judge);
  const trace = traceOf(rawHeaders);
  const members = events.map((event, number) => {
    const record = inPlace(mode === 'batch' ? number : null, () => toRecord(event));
    return { event, record: withTrace(record, trace) };
  });
  try {
    const duplicates = await append(members);
    return { appended: members.length - duplicates, duplicates, unknownSchemas };
  } catch (error) {
    if (error instanceof RecordTooLargeError && mode === 'batch') throw tooLargeMember(members, error);
    throw error;
  }
}

function checkLimits(event: CloudEvent, index: number | null, limits: IngressLimits): void {
  const who = index === null ? 'the event' : `batch member ${index}`;
  let bytes = event.data?.length ?? 0;
  let count = 0;
  for (const name in event.attributes) {
    bytes += name.length + Buffer.byteLength(event.attributes[name] ?? '');
    count++;
  }
  if (bytes > limits.eventMaxBytes) {
    throw new Refusal(
      413,
      'too_large',
      `${who} has ${bytes} bytes of attributes and data; at most ${limits.eventMaxBytes} are accepted`,
      { index },
    );
  }
  if (count > limits.attributesMax) {
    throw new Refusal(
      413,
      'too_large',
      `${who} has ${count} attributes; at most ${limits.attributesMax} are accepted`,
      { index },
    );
  }
  const hops = hopsOf(event);
  if (hops >= 0 && hops <= hopsMax) return;
  const wrong = Number.isNaN(hops)
    ? 'is not a decimal integer'
    : `is ${hops}, more than ${hopsMax}: replies go round in a loop`;
  throw new Refusal(400, 'invalid', `${who}: ${hopsAttribute} ${wrong}`, { attribute: hopsAttribute, index });
}

/** Runs it for a member of a batch, which an error then names; null: there is no batch. */
function inPlace<T>(index: number | null, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof EventError && index !== null ? error.inBatch(index) : error;
  }
}

/** The log's topic takes less than the ingress does: its largest member is what was refused. */
function tooLargeMember(members: readonly Member[], error: RecordTooLargeError): Refusal {
  const sizes = members.map(({ record }) => encodedBytes(record));
  const index = sizes.indexOf(Math.max(...sizes));
  return new Refusal(413, 'too_large', `batch member ${index}: ${error.message}`, { index });
}

interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/** A traceparent of this version or of a later one, which may go on after a dash (W3C Trace Context, 3.2). */
const traceparentPattern =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,200})?$/;

/** What every party has to carry on at least (W3C Trace Context, 3.3.1.5). */
const tracestateMaxCharacters = 512;

/** The W3C trace context of the request; null: it has none, or one that is malformed. */
function traceOf(rawHeaders: readonly string[]): TraceHeaders | null {
  let traceparent: string | undefined;
  const states: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.length === 11 && name.toLowerCase() === 'traceparent') {
      if (traceparent !== undefined) return null;
      traceparent = rawHeaders[i + 1] ?? '';
    } else if (name.length === 10 && name.toLowerCase() === 'tracestate') {
      states.push(rawHeaders[i + 1] ?? '');
    }
  }
  if (traceparent === undefined || !traceparentPattern.test(traceparent)) return null;
  const tracestate = states.join(',');
  const isCarried = /^[\t -~]+$/.test(tracestate) && tracestate.length <= tracestateMaxCharacters;
  return isCarried ? { traceparent, tracestate } : { traceparent };
}

/**
 * The headers of the request say how the event came here, which is for the next hop to continue; the event's own trace
 * extensions say where it began, and stay beside them (CloudEvents distributed tracing extension).
 */
function withTrace(record: EncodedRecord, trace: TraceHeaders | null): NewRecord {
  return trace === null ? record : { ...record, headers: { ...record.headers, ...trace } };
}
