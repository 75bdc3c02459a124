import { Buckets } from './histogram.ts';

/** Why an event was not accepted, as the label `reason`. */
export const refusalReasons = [
  'invalid',
  'unsupported_media_type',
  'too_large',
  'schema',
  'unknown_broker',
  'method',
  'unauthorized',
  'buffer_full',
  'log_full',
  'log_unavailable',
  'schema_unavailable',
  'closing',
  'internal',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** What an attempt was answered, as the label `status_class`. */
export const statusClasses = ['2xx', '3xx', '4xx', '5xx', 'timeout', 'error'] as const;
export type StatusClass = (typeof statusClasses)[number];

/** Why a delivery was given up, as the label `reason`; the full words are in the dead letter itself. */
export const deadLetterReasons = [
  'attempts_exhausted',
  'rejected',
  'redirected',
  'address_refused',
  'invalid_reply',
  'hop_limit',
  'too_large',
  'trigger_deleted',
  'data_filter',
  'unreadable',
  'schema',
] as const;
export type DeadLetterReason = (typeof deadLetterReasons)[number];

/** What became of an event that a subscriber answered with, as the label `result`. */
export const replyResults = ['appended', 'dead_lettered'] as const;
export type ReplyResult = (typeof replyResults)[number];

/** One attempt: from an answer on the same host to the longest timeout that users give. */
const attemptSecondsBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Append to acknowledgement: as above, and on to the retries of a subscriber that was down for a day. */
const latencySecondsBounds = [
  0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 28_800, 86_400,
];

/** Up to the most events of a batch that can be asked for. */
const batchEventsBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/**
 * The counts of one broker. prom-client builds and looks up a string of the labels at each call (0.3 µs, several times
 * a delivery), so what is counted for each event are plain numbers, read when `/metrics` is asked for.
 */
export class BrokerTally {
  readonly broker: string;
  readonly refusals = zeros(refusalReasons);
  accepts = 0;
  duplicates = 0;
  forgottenIds = 0;
  ignoredTimes = 0;
  unknownSchemas = 0;
  lanesWithoutSchema = 0;
  readonly latencySeconds = new Buckets(latencySecondsBounds);

  constructor(broker: string) {
    this.broker = broker;
  }

  /** Events were appended and answered 202. */
  accepted(events: number): void {
    this.accepts += events;
  }

  /** Events were answered 202 and not appended, as the log had them already. */
  deduplicated(events: number): void {
    this.duplicates += events;
  }

  /** The `deliverat` of an event is no time: it was delivered at once. */
  timeIgnored(): void {
    this.ignoredTimes += 1;
  }

  /** Events were accepted that name a schema that nobody has. */
  schemaUnknown(events: number): void {
    this.unknownSchemas += events;
  }

  /** A lane waits for a schema, or (-1) has it. */
  laneWaitsForSchema(change: 1 | -1): void {
    this.lanesWithoutSchema += change;
  }

  /** An event is not known any more, though the window of deduplication is not over for it. */
  forgotten(): void {
    this.forgottenIds += 1;
  }

  /** Events were not accepted. */
  refused(reason: RefusalReason, events = 1): void {
    this.refusals[reason] += events;
  }

  /** An event was acknowledged by a subscriber, this long after its append. */
  latency(seconds: number): void {
    this.latencySeconds.observe(seconds);
  }
}

/** What a trigger's limit lets through, looked at when `/metrics` is asked for. */
export interface LimitState {
  /** Attempts that may be under way at once; 0 while none is made but probes. */
  readonly concurrency: number;
  /** Whether the breaker is open. */
  readonly isOpen: boolean;
  readonly pausedBy: PauseReason | null;
}

/** Why nothing of a trigger is attempted, as the label `reason`. */
export const pauseReasons = ['annotation', 'gone', 'secret', 'handshake'] as const;
export type PauseReason = (typeof pauseReasons)[number];

/** The counts of one trigger, plain numbers as in BrokerTally. */
export class TriggerTally {
  readonly broker: string;
  readonly trigger: string;
  readonly attempts = zeros(statusClasses);
  readonly deadLetters = zeros(deadLetterReasons);
  readonly replies = zeros(replyResults);
  deliveries = 0;
  retries = 0;
  spills = 0;
  laneStalls = 0;
  delays = 0;
  inFlight = 0;
  limit: LimitState | null = null;
  readonly durationSeconds = new Buckets(attemptSecondsBounds);
  readonly batchEvents = new Buckets(batchEventsBounds);

  constructor(broker: string, trigger: string) {
    this.broker = broker;
    this.trigger = trigger;
  }

  /** An attempt begins: one more in flight. */
  started(): void {
    this.inFlight += 1;
  }

  /** An attempt that `started` has ended, with what and after how long: one fewer in flight. */
  ended(statusClass: StatusClass, seconds: number): void {
    this.inFlight -= 1;
    this.attempts[statusClass] += 1;
    this.durationSeconds.observe(seconds);
  }

  /** The attempt that has ended was a batch of so many events. */
  batched(events: number): void {
    this.batchEvents.observe(events);
  }

  /** An attempt that `started` was given up before it came to anything (shutdown, revocation). */
  aborted(): void {
    this.inFlight -= 1;
  }

  delivered(): void {
    this.deliveries += 1;
  }

  retried(): void {
    this.retries += 1;
  }

  deadLettered(reason: DeadLetterReason): void {
    this.deadLetters[reason] += 1;
  }

  replied(result: ReplyResult): void {
    this.replies[result] += 1;
  }

  /** The trigger was too busy, so its retry topic took the delivery before any attempt. */
  spilled(): void {
    this.spills += 1;
  }

  /** The shared lane waits for the trigger, since its retry topic could not be written for so long. */
  laneStalled(): void {
    this.laneStalls += 1;
  }

  /** The `deliverat` of an event is still to come, so the trigger's retry topic took the delivery. */
  delayed(): void {
    this.delays += 1;
  }
}

/** The label value for an HTTP status. */
export function statusClassOf(status: number): StatusClass {
  if (status < 300) return '2xx';
  if (status < 400) return '3xx';
  return status < 500 ? '4xx' : '5xx';
}

function zeros<Key extends string>(keys: readonly Key[]): Record<Key, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;
}
