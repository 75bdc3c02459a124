import type { Trigger } from '../broker/trigger/trigger.ts';
import type { CloudEvent } from '../event/event.ts';
import type { DeadLetterReason } from '../runtime/tallies.ts';
import type { RepeatBound } from './repeat-bound.ts';

/** One event for one trigger, on its way. */
export interface Delivery {
  readonly trigger: Trigger;
  readonly event: CloudEvent;
  /** The attempt that comes next, from 1. */
  readonly attempt: number;
  /** The W3C trace context that came with the event (`traceparent`, `tracestate`), where it came beside it. */
  readonly trace: Readonly<Record<string, string>>;
  /** Where the event stood first, before any retry topic. */
  readonly origin: Origin;
  /** When the first attempt began, milliseconds since 1970; null before it. */
  readonly firstAttemptAtMs: number | null;
  /** Who is called: the subscriber, or the dead letter sink with what is to be said of the failure. */
  readonly target: Target;
}

/** What must be known of a delivery that is given up: its trigger may be gone. */
export type GivenUp = Pick<Delivery, 'event' | 'attempt' | 'trace' | 'origin' | 'firstAttemptAtMs' | 'target'> & {
  readonly trigger: Pick<Trigger, 'uid' | 'namespace' | 'name'> & { readonly subscriberUri: string | null };
};

/** The record that a delivery comes from. */
export interface Hold {
  /** Whether another process has the record by now: what has not begun here is not to begin. */
  readonly isRevoked: boolean;
  /**
   * All that the record led to is durable.
   * @param bounds for which it counts until that is committed
   */
  settle(...bounds: readonly RepeatBound[]): void;
  /** Lets go of the record without settling it: it is handed out again to whoever reads it next. */
  drop(): void;
  /**
   * Takes a failed delivery back, to be tried again in its place: it is neither settled nor dropped. Absent where it
   * goes to the retry topic, which settles it.
   * @param delivery as it is to be tried next
   * @param atMs when it is due, milliseconds since 1970
   */
  retryInPlace?(delivery: Delivery, atMs: number): void;
}

/** An attempt was cut because another process has its record by now; it counts for nothing. */
export class RevokedError extends Error {
  constructor() {
    super('another process has the record by now');
    this.name = 'RevokedError';
  }
}

export interface Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** When the log took it, milliseconds since 1970. */
  readonly appendedAtMs: number;
}

export type Target = { readonly kind: 'subscriber' } | { readonly kind: 'deadLetterSink'; readonly failure: Failure };

/** Why a delivery was given up, as it is told to the dead letter sink and kept in the dead-letter topic. */
export interface Failure {
  readonly reason: string;
  /** Attempts made on the subscriber. */
  readonly attempts: number;
  readonly firstAttemptAtMs: number | null;
  readonly lastAttemptAtMs: number | null;
  /** The last HTTP status, or null where there was no answer. */
  readonly status: number | null;
  /** The first bytes of the last answer's body. */
  readonly body: Buffer;
}

/** What one attempt came to. */
export type Outcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** Flat: name, value, name, value; names in lower case. */
      readonly headers: readonly string[];
      /** The body, cut at the bound for answers. */
      readonly body: Buffer;
      readonly truncated: boolean;
    }
  | {
      readonly kind: 'unanswered';
      readonly cause: 'timeout' | 'connection' | 'protocol' | 'address';
      readonly message: string;
    };

/** What becomes of a delivery after an attempt. */
export type Fate =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'retry'; readonly atMs: number; readonly attempt: number; readonly reason: string }
  | {
      readonly kind: 'deadLetter';
      /** For the metrics: a closed set. */
      readonly category: DeadLetterReason;
      /** For people: in full. */
      readonly reason: string;
    };

/** An attempt that has failed, and what becomes of its delivery. */
export interface FailedAttempt {
  readonly delivery: Delivery;
  readonly url: string;
  readonly outcome: Outcome;
  readonly fate: Exclude<Fate, { kind: 'delivered' }>;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** How many events the request had; absent where it was no batch. */
  readonly batchEvents?: number;
}
