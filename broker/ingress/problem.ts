import { STATUS_CODES } from 'node:http';
import { EventError } from '../../event/errors.ts';
import { messageOf, PosthornError } from '../../runtime/errors.ts';
import type { RefusalReason } from '../../runtime/tallies.ts';
import { LogFullError, LogUnavailableError, RecordTooLargeError, UnknownTopicError } from '../log/errors.ts';
import { BufferFullError } from '../log/gather.ts';
import type { Violation } from '../schema/violation.ts';

/** A request is not accepted: the status, and the words that tell the sender what to do. */
export class Refusal extends PosthornError {
  readonly status: number;
  readonly reason: RefusalReason;
  readonly headers: Readonly<Record<string, string>>;
  /** The attribute of the event that is wrong. */
  readonly attribute: string | null;
  /** The member of the batch that is wrong, from 0. */
  readonly index: number | null;
  /** The schema that the event violates, or names and nobody has. */
  readonly schema: string | null;
  /** Where the event's data violates it. */
  readonly violations: readonly Violation[];

  /** The name of the status. */
  get title(): string {
    return STATUS_CODES[this.status] ?? 'Error';
  }

  constructor(status: number, reason: RefusalReason, detail: string, more: RefusalDetails = {}) {
    super('REFUSED', detail, more.cause === undefined ? {} : { cause: more.cause });
    this.status = status;
    this.reason = reason;
    this.headers = more.headers ?? {};
    this.attribute = more.attribute ?? null;
    this.index = more.index ?? null;
    this.schema = more.schema ?? null;
    this.violations = more.violations ?? [];
  }
}

export interface RefusalDetails {
  readonly headers?: Readonly<Record<string, string>>;
  readonly attribute?: string | null;
  readonly index?: number | null;
  readonly schema?: string | null;
  readonly violations?: readonly Violation[];
  readonly cause?: unknown;
}

export const problemMediaType = 'application/problem+json';

/** The refusal as a problem document (RFC 9457); its type is `about:blank`, so the title is the status's own. */
export function problemDocument(refusal: Refusal): Buffer {
  return Buffer.from(
    JSON.stringify({
      title: refusal.title,
      status: refusal.status,
      detail: refusal.message,
      ...(refusal.attribute === null ? {} : { attribute: refusal.attribute }),
      ...(refusal.index === null ? {} : { index: refusal.index }),
      ...(refusal.schema === null ? {} : { schema: refusal.schema }),
      ...(refusal.violations.length === 0 ? {} : { errors: refusal.violations }),
    }),
  );
}

/** A buffer that is full is soon emptier; a log that is away or full takes longer to come back. */
const retryAfterSeconds = {
  buffer_full: 1,
  log_unavailable: 5,
  schema_unavailable: 5,
  closing: 5,
  log_full: 30,
} as const;

/** 503: the same request may be accepted later, and says when to come again. */
export function unavailable(reason: keyof typeof retryAfterSeconds, detail: string, cause?: unknown): Refusal {
  return new Refusal(503, reason, detail, { headers: { 'retry-after': String(retryAfterSeconds[reason]) }, cause });
}

/** What any error on the way of a request is answered with. What is not foreseen is a bug: 500. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof EventError) {
    const reason = error.status === 415 ? 'unsupported_media_type' : 'invalid';
    return new Refusal(error.status, reason, error.message, { attribute: error.attribute, index: error.index });
  }
  if (error instanceof RecordTooLargeError) return new Refusal(413, 'too_large', error.message);
  if (error instanceof BufferFullError) return unavailable('buffer_full', error.message, error);
  if (error instanceof LogFullError) return unavailable('log_full', error.message, error);
  if (error instanceof LogUnavailableError || error instanceof UnknownTopicError) {
    return unavailable('log_unavailable', error.message, error);
  }
  return new Refusal(500, 'internal', `an error in Posthorn: ${messageOf(error)}`, { cause: error });
}
