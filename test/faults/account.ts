import { countsOf } from '../support/unsettled.ts';
import type { HandoverCause } from './handovers.ts';
import type { FaultLedger, OpenRequest } from './ledger.ts';
import type { Life } from './member.ts';

/** What was unsettled of a topic when a partition of it changed hands: each delivery of it may be repeated for that. */
export interface Exposure {
  readonly atMs: number;
  readonly cause: HandoverCause;
  /** The process that had the partition before. */
  readonly from: Life;
  /** Of which triggers. */
  readonly triggers: readonly string[];
  /** Whether the topic is a retry topic, and not that of the events. */
  readonly isRetry: boolean;
  /** By event: its unsettled records, each as the attempt that it waits for. */
  readonly events: ReadonlyMap<number, readonly number[]>;
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
  readonly triggers: readonly {
    readonly name: string;
    readonly isOrdered: boolean;
    /** Whether it has a consumer group of its own, so that no other trigger keeps its events unsettled. */
    readonly isAlone: boolean;
  }[];
  /** The events topic: for each partition the numbers of its events, in order. */
  readonly appended: readonly (readonly number[])[];
  /** By trigger. */
  readonly deadLettered: ReadonlyMap<string, ReadonlySet<number>>;
  readonly exposures: readonly Exposure[];
  readonly kills: readonly Kill[];
  /** By trigger, by event: the latest attempt that a record of its retry topic waited for. */
  readonly retried: ReadonlyMap<string, ReadonlyMap<number, number>>;
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
  /** The earlier events. */
  readonly overtaken: readonly number[];
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
  /**
   * Of those, the ones of triggers with a consumer group of their own, by trigger, that the process had begun since it
   * had their partition: the others come again as it had given that up before, killed or not.
   */
  readonly repeatedAlone: ReadonlyMap<string, number>;
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
    ...outOfOrder(evidence, trigger),
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
    if (!exposure.triggers.includes(trigger) || !times.some((time) => time > exposure.atMs)) continue;
    const attempts = exposure.events.get(event) ?? [];
    yield [exposure.cause, attempts.filter((attempt) => wasBegun(evidence, exposure, trigger, event, attempt)).length];
  }
  yield ['retry-twice', retriesTwice.get(trigger)?.get(event) ?? 0];
  const timedOut = ledger.timedOut.get(trigger)?.get(event) ?? 0;
  const leftToTimeOut = ledger.leftToTimeOut.get(trigger)?.get(event) ?? 0;
  yield ['answer-missed', timedOut - leftToTimeOut];
}

/**
 * Whether the process that had an unsettled record had begun with it: it had sent its request, or had put the delivery
 * into the retry topic (which may be all that is seen of it, where the trigger was busy or nobody listened).
 */
function wasBegun(evidence: Evidence, exposure: Exposure, trigger: string, event: number, attempt: number): boolean {
  if (wasSent(evidence, exposure, trigger, event, attempt)) return true;
  const latest = evidence.retried.get(trigger)?.get(event) ?? 0;
  return exposure.isRetry ? latest > attempt : latest >= attempt;
}

/** Also after the partition was another's: until it hears of that, or ends. */
function wasSent(
  { ledger }: Evidence,
  { from, isRetry }: Exposure,
  trigger: string,
  event: number,
  attempt: number,
): boolean {
  for (const request of ledger.requests.get(trigger)?.get(event) ?? []) {
    const isFrom = request.slot === from.slot && request.number === from.number;
    // Only a retry topic knows attempts: an ordered delivery is tried again in its place.
    if (isFrom && (request.attempt === attempt || !isRetry)) return true;
  }
  return false;
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
      for (const [event, attempts] of exposure.events) {
        const delivery = `${trigger} ${event}`;
        const times = arrivals.get(event) ?? [];
        if (isOpen.has(delivery)) inFlight.add(delivery);
        else if (attempts.some((attempt) => wasBegun(evidence, exposure, trigger, event, attempt)))
          settled.add(delivery);
        else continue;
        if (times.some((time) => time <= exposure.atMs) && times.some((time) => time > exposure.atMs)) {
          repeated.add(delivery);
        }
      }
    }
  }
  const alone = evidence.triggers.filter(({ isAlone }) => isAlone);
  const before = evidence.exposures.filter(({ from, cause }) => from === life && cause !== 'kill');
  const countOf = (trigger: string): number => {
    const events = [...repeated].filter((one) => one.startsWith(`${trigger} `)).map((one) => Number(one.split(' ')[1]));
    return events.filter((event) => !wasGivenUp(evidence, before, trigger, event)).length;
  };
  return {
    ...{ slot: life.slot, atMs },
    ...{ inFlight: inFlight.size, settledUncommitted: settled.size, repeated: repeated.size },
    repeatedAlone: new Map(alone.map(({ name }) => [name, countOf(name)])),
  };
}

/** Whether the event was unsettled at one of these exposures of a process that has not sent it since. */
function wasGivenUp({ ledger }: Evidence, exposures: readonly Exposure[], trigger: string, event: number): boolean {
  const requests = [...(ledger.requests.get(trigger)?.get(event) ?? [])];
  return exposures.some(
    ({ from, atMs, triggers, events }) =>
      triggers.includes(trigger) &&
      events.has(event) &&
      !requests.some((one) => one.slot === from.slot && one.number === from.number && one.atMs > atMs),
  );
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
 * key have that of their partition. One that stands in two partitions, as it was sent twice, has no place. One that was
 * refused and dead-lettered has let the next one pass, though it may be repeated after that, and arrive.
 */
function outOfOrder(
  { ledger, appended, deadLettered }: Evidence,
  trigger: string,
): Pick<TriggerAccount, 'outOfOrder' | 'overtaken'> {
  const arrivals = arrivalsAt({ ledger }, trigger);
  const firstOf = (event: number): number | undefined => {
    const arrivedMs = arrivals.get(event)?.[0];
    if (!deadLettered.get(trigger)?.has(event)) return arrivedMs;
    const times = [arrivedMs, ledger.refusals.get(trigger)?.get(event)].filter((atMs) => atMs !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  };
  const unique = appended.map((events) => new Set(events));
  const places = countsOf(unique.flatMap((events) => [...events]));
  const late: number[] = [];
  const overtaken = new Set<number>();
  for (const events of unique) {
    const latest = new Map<string | null, { readonly event: number; readonly atMs: number }>();
    for (const event of events) {
      const key = ledger.sent.get(event)?.key ?? null;
      const firstMs = firstOf(event);
      if (firstMs === undefined || places.get(event) !== 1) continue;
      const before = latest.get(key);
      if (before !== undefined && firstMs < before.atMs) {
        late.push(event);
        overtaken.add(before.event);
      } else latest.set(key, { event, atMs: firstMs });
    }
  }
  return { outOfOrder: late, overtaken: [...overtaken] };
}

function arrivalsAt({ ledger }: Pick<Evidence, 'ledger'>, trigger: string): ReadonlyMap<number, readonly number[]> {
  return ledger.arrivals.get(trigger) ?? new Map();
}
