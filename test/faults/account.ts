import { countsOf } from '../support/unsettled.ts';
import type { HandoverCause } from './handovers.ts';
import type { FaultLedger, OpenRequest } from './ledger.ts';
import type { Life } from './member.ts';

/** Events that were unsettled when a partition changed hands: each of their deliveries may be repeated once for it. */
export interface Exposure {
  readonly atMs: number;
  readonly cause: HandoverCause;
  readonly from: Life;
  /** Of which triggers. */
  readonly triggers: readonly string[];
  /** How many records of each were unsettled. */
  readonly events: ReadonlyMap<number, number>;
}

export interface Kill {
  readonly life: Life;
  readonly atMs: number;
  /** Requests that subscribers had and had not answered. */
  readonly open: readonly OpenRequest[];
}

/** What a run left behind, all of it read after the last process has ended. */
export interface Evidence {
  readonly ledger: FaultLedger;
  readonly triggers: readonly { readonly name: string; readonly isOrdered: boolean }[];
  /** The events topic: for each partition the numbers of its events, in order. */
  readonly appended: readonly (readonly number[])[];
  /** By trigger. */
  readonly deadLettered: ReadonlyMap<string, ReadonlySet<number>>;
  readonly exposures: readonly Exposure[];
  readonly kills: readonly Kill[];
  /** By trigger, the events that its retry topic had: what was not attempted may have been spilled there. */
  readonly retried: ReadonlyMap<string, ReadonlySet<number>>;
  /** By trigger, by event: records of its retry topic that were appended once more because an answer was unknown. */
  readonly retriesTwice: ReadonlyMap<string, ReadonlyMap<number, number>>;
}

/** Why an event arrived once more. */
export type Cause = HandoverCause | 'sent-twice' | 'retry-twice' | 'answer-missed';

export interface TriggerAccount {
  readonly trigger: string;
  readonly isOrdered: boolean;
  readonly delivered: number;
  readonly deadLettered: number;
  readonly missing: readonly number[];
  readonly duplicates: number;
  readonly causes: ReadonlyMap<Cause, number>;
  /** Events that arrived more often than anything explains. */
  readonly unexplained: readonly number[];
  readonly longestSilence: Silence;
  /** Events whose first delivery came before that of an earlier event of the same key and partition. */
  readonly outOfOrder: readonly number[];
}

export interface Silence {
  readonly ms: number;
  /** Milliseconds since 1970. */
  readonly fromMs: number;
}

export interface KillAccount {
  readonly slot: number;
  readonly atMs: number;
  /** Requests that were in flight. */
  readonly inFlight: number;
  /** Deliveries that had ended, well or not, of events that were not yet committed as settled. */
  readonly settledUncommitted: number;
  /** Of both, those that arrived once more afterwards. */
  readonly repeated: number;
}

export interface Account {
  readonly sent: number;
  readonly triggers: readonly TriggerAccount[];
  readonly kills: readonly KillAccount[];
}

/** Holds every event to its arrivals. Pure. */
export function account(evidence: Evidence): Account {
  return {
    sent: evidence.ledger.acceptedCount,
    triggers: evidence.triggers.map(({ name, isOrdered }) => triggerAccount(evidence, name, isOrdered)),
    kills: evidence.kills.map((kill) => killAccount(evidence, kill)),
  };
}

function triggerAccount(evidence: Evidence, trigger: string, isOrdered: boolean): TriggerAccount {
  const { ledger } = evidence;
  const arrivals = arrivalsAt(evidence, trigger);
  const deadLettered = evidence.deadLettered.get(trigger) ?? new Set();
  const causes = new Map<Cause, number>();
  const unexplained: number[] = [];
  let duplicates = 0;
  const copies = countsOf(evidence.appended.flat());
  for (const [event, times] of arrivals) {
    let left = times.length - 1;
    duplicates += left;
    if (left === 0) continue;
    for (const [cause, count] of explanations(evidence, trigger, event, times, copies)) {
      const used = Math.max(0, Math.min(left, count));
      if (used > 0) causes.set(cause, (causes.get(cause) ?? 0) + used);
      left -= used;
    }
    if (left > 0) unexplained.push(event);
  }
  return {
    trigger,
    isOrdered,
    delivered: arrivals.size,
    deadLettered: deadLettered.size,
    missing: ledger.outstanding(trigger).filter((event) => !deadLettered.has(event)),
    duplicates,
    causes,
    unexplained,
    longestSilence: longestSilence(evidence, trigger),
    outOfOrder: outOfOrder(evidence, trigger),
  };
}

/** How often, and why, the event may have arrived once more at the trigger. */
function* explanations(
  evidence: Evidence,
  trigger: string,
  event: number,
  times: readonly number[],
  copies: ReadonlyMap<number, number>,
): Generator<[Cause, number]> {
  const { ledger, exposures, retriesTwice } = evidence;
  yield ['sent-twice', (copies.get(event) ?? 0) - 1];
  for (const exposure of exposures) {
    const count = exposure.triggers.includes(trigger) ? (exposure.events.get(event) ?? 0) : 0;
    if (count > 0 && isRepeatable(evidence, exposure, trigger, event, times)) yield [exposure.cause, count];
  }
  yield ['retry-twice', retriesTwice.get(trigger)?.get(event) ?? 0];
  const timedOut = ledger.timedOut.get(trigger)?.get(event) ?? 0;
  const leftToTimeOut = ledger.leftToTimeOut.get(trigger)?.get(event) ?? 0;
  yield ['answer-missed', timedOut - leftToTimeOut];
}

/**
 * Whether what was unsettled can have led to one more arrival. A process that has ended does nothing any more: what it
 * had begun with is what it had attempted, or put into the retry topic, before it ended.
 */
function isRepeatable(
  { ledger, retried }: Evidence,
  { cause, atMs }: Exposure,
  trigger: string,
  event: number,
  times: readonly number[],
): boolean {
  if (cause !== 'kill' && cause !== 'leave') return true;
  const attemptedMs = ledger.attempted.get(trigger)?.get(event) ?? Number.POSITIVE_INFINITY;
  const wasBegun = attemptedMs <= atMs || retried.get(trigger)?.has(event) === true;
  return wasBegun && times.some((time) => time > atMs);
}

function killAccount(evidence: Evidence, { life, atMs, open }: Kill): KillAccount {
  const exposures = evidence.exposures.filter((one) => one.from === life && one.cause === 'kill');
  const isOpen = new Set(open.map(({ trigger, event }) => `${trigger} ${event}`));
  const inFlight = new Set<string>();
  const settled = new Set<string>();
  const repeated = new Set<string>();
  for (const exposure of exposures) {
    for (const trigger of exposure.triggers) {
      const arrivals = arrivalsAt(evidence, trigger);
      const attempted = evidence.ledger.attempted.get(trigger);
      for (const event of exposure.events.keys()) {
        const delivery = `${trigger} ${event}`;
        const times = arrivals.get(event) ?? [];
        const attemptedMs = attempted?.get(event) ?? Number.POSITIVE_INFINITY;
        if (isOpen.has(delivery)) inFlight.add(delivery);
        else if (attemptedMs <= exposure.atMs) settled.add(delivery);
        else continue;
        if (times.some((time) => time <= exposure.atMs) && times.some((time) => time > exposure.atMs)) {
          repeated.add(delivery);
        }
      }
    }
  }
  return {
    slot: life.slot,
    atMs,
    inFlight: inFlight.size,
    settledUncommitted: settled.size,
    repeated: repeated.size,
  };
}

/** The longest time in which nothing arrived although events waited for their first delivery. */
function longestSilence({ ledger, deadLettered }: Evidence, trigger: string): Silence {
  const arrivals = ledger.arrivals.get(trigger) ?? new Map<number, number[]>();
  const moments: { readonly atMs: number; readonly waiting: number }[] = [];
  for (const [event, { acceptedAtMs }] of ledger.sent) {
    const firstMs = arrivals.get(event)?.[0];
    // When a dead letter came is not known, so that those that never arrived don't count as waiting.
    if (acceptedAtMs === null || (firstMs === undefined && deadLettered.get(trigger)?.has(event))) continue;
    if (firstMs !== undefined && firstMs < acceptedAtMs) moments.push({ atMs: firstMs, waiting: 0 });
    else {
      moments.push({ atMs: acceptedAtMs, waiting: 1 });
      if (firstMs !== undefined) moments.push({ atMs: firstMs, waiting: -1 });
    }
  }
  moments.sort((a, b) => a.atMs - b.atMs);
  let longest: Silence = { ms: 0, fromMs: 0 };
  let waiting = 0;
  let sinceMs = 0;
  for (const moment of moments) {
    if (waiting > 0 && moment.waiting <= 0 && moment.atMs - sinceMs > longest.ms) {
      longest = { ms: moment.atMs - sinceMs, fromMs: sinceMs };
    }
    if (moment.waiting <= 0 || waiting === 0) sinceMs = moment.atMs;
    waiting += moment.waiting;
  }
  return longest;
}

/**
 * Order is that of the log, for each key and partition, by the first time that an event stands there. Events without a
 * key have that of their partition. One that stands in two partitions, as it was sent twice, has no place.
 */
function outOfOrder({ ledger, appended }: Evidence, trigger: string): number[] {
  const arrivals = ledger.arrivals.get(trigger) ?? new Map<number, number[]>();
  const unique = appended.map((events) => new Set(events));
  const places = countsOf(unique.flatMap((events) => [...events]));
  const late: number[] = [];
  for (const events of unique) {
    const latestMs = new Map<string | null, number>();
    for (const event of events) {
      const key = ledger.sent.get(event)?.key ?? null;
      const firstMs = arrivals.get(event)?.[0];
      if (firstMs === undefined || places.get(event) !== 1) continue;
      const beforeMs = latestMs.get(key) ?? 0;
      if (firstMs < beforeMs) late.push(event);
      latestMs.set(key, Math.max(beforeMs, firstMs));
    }
  }
  return late;
}

function arrivalsAt({ ledger }: Evidence, trigger: string): ReadonlyMap<number, readonly number[]> {
  return ledger.arrivals.get(trigger) ?? new Map();
}
