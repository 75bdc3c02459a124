import { EventData } from '../broker/filter/data/event-data.ts';
import { byNearness, explain, type Reason } from '../broker/filter/explain.ts';
import { compileVerdict, type Filtering, type Verdict } from '../broker/filter/verdict.ts';
import type { Log, LogRecord, TopicPartition } from '../broker/log/log.ts';
import type { ReadEvent } from '../broker/records.ts';
import { EventError } from '../event/errors.ts';
import type { CloudEvent } from '../event/event.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { Newest, type Place } from './newest.ts';

export interface TryOptions {
  readonly log: Pick<Log, 'ranges' | 'offsetsAt' | 'read'>;
  readonly topics: readonly string[];
  readonly readEvent: ReadEvent;
  /** Events that were appended then or later, up to the end of the log as it is now; milliseconds since 1970. */
  readonly sinceMs: number;
  readonly tried: Filtering;
  /** To compare with; null: none. */
  readonly running: Filtering | null;
  /** How many events of each kind are shown. */
  readonly samplesMax: number;
  readonly clock: Clock;
  /** Ends it where nobody waits for the result any more. */
  readonly signal: AbortSignal;
}

export interface TryProgress {
  /** Records read, and how many there are to read. */
  readonly read: number;
  readonly total: number;
  readonly matched: number;
}

export interface TryResult {
  /** Events that were looked at. */
  readonly events: number;
  /** Records that are no events; every one is dead-lettered. */
  readonly unreadable: number;
  readonly matched: number;
  /** Of those that are not matched the events that the data filter has no answer for: they would be dead-lettered. */
  readonly undecided: number;
  /** What differs from the running version; null where there is none. */
  readonly compared: {
    readonly matched: number;
    readonly newlyMatched: number;
    readonly noLongerMatched: number;
  } | null;
  readonly samples: {
    /** Each newest last. */
    readonly matched: readonly TrySample[];
    readonly newlyMatched: readonly TrySample[];
    readonly noLongerMatched: readonly TrySample[];
    readonly undecided: readonly TrySample[];
    /** Of each type the newest event that is not matched nor undecided, nearest first. */
    readonly unmatched: readonly TrySample[];
  };
}

export interface TrySample {
  /** When it was appended, RFC 3339. */
  readonly appendedAt: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | null;
  /** Why the tried filter does not take it; none where it does. */
  readonly reasons: readonly Reason[];
}

/** Enough for a few hundred events at once; reading and judging them takes some milliseconds. */
const readMaxBytes = 262_144;

/** So long it works at once before the event loop has its turn. */
const sliceMs = 5;

/** Types of which an event that is not matched is kept. */
const unmatchedTypesMax = 50;

/** One look at the log: where the reading of each partition begins and ends. */
export interface TryPlan {
  readonly ranges: readonly (TopicPartition & { readonly from: number; readonly end: number })[];
  readonly total: number;
}

/** @throws what the log throws */
export async function planTry({ log, topics, sinceMs }: TryOptions): Promise<TryPlan> {
  const planned = await Promise.all(
    topics.map(async (topic) => {
      const ranges = await log.ranges(topic);
      const starts = new Map((await log.offsetsAt(topic, sinceMs)).map(({ partition, offset }) => [partition, offset]));
      return ranges.map(({ partition, start, end }) => {
        return { topic, partition, from: Math.min(end, Math.max(start, starts.get(partition) ?? start)), end };
      });
    }),
  );
  const ranges = planned.flat();
  return { ranges, total: ranges.reduce((sum, { from, end }) => sum + end - from, 0) };
}

/**
 * Runs a filter over events of the log: which it matches, and what differs from the running version. Reads without a
 * group, so no consumer notices. It keeps counts and the places of samples, whatever the number of events, and leaves
 * the event loop to the others half of the time.
 * @returns null where the signal ended it
 * @throws what the log throws
 */
export async function* runTry(options: TryOptions, plan: TryPlan): AsyncGenerator<TryProgress, TryResult | null> {
  const { log, clock, signal } = options;
  const tally = new Tally(options);
  let read = 0;
  for (const { topic, partition, from, end } of plan.ranges) {
    for (let at = from; at < end; ) {
      const { records, nextOffset } = await log.read(topic, partition, at, readMaxBytes);
      let startMs = clock.monotonic();
      for (const record of records) {
        if (record.offset >= end) break;
        tally.add(record, { topic, partition });
        const workedMs = clock.monotonic() - startMs;
        if (workedMs < sliceMs) continue;
        await sleep(clock, workedMs, signal);
        startMs = clock.monotonic();
      }
      if (signal.aborted) return null;
      // Retention can delete all that is left while it is read.
      const next = nextOffset <= at ? end : Math.min(end, nextOffset);
      read += next - at;
      at = next;
      yield { read, total: plan.total, matched: tally.matched };
    }
  }
  return tally.result();
}

type Judge = (event: CloudEvent, data: EventData) => Verdict;

/** Counts, and remembers where samples lie. */
class Tally {
  readonly #options: TryOptions;
  readonly #judge: Judge;
  readonly #judgeBefore: Judge | null;
  readonly #matched: Newest;
  readonly #newly: Newest;
  readonly #noLonger: Newest;
  readonly #undecided: Newest;
  readonly #unmatched = new Map<string, Place>();
  #events = 0;
  #unreadable = 0;
  #before = 0;

  constructor(options: TryOptions) {
    const { tried, running, samplesMax } = options;
    this.#options = options;
    this.#judge = compileVerdict(tried);
    this.#judgeBefore = running && compileVerdict(running);
    this.#matched = new Newest(samplesMax);
    this.#newly = new Newest(samplesMax);
    this.#noLonger = new Newest(samplesMax);
    this.#undecided = new Newest(samplesMax);
  }

  get matched(): number {
    return this.#matched.count;
  }

  add(record: LogRecord, { topic, partition }: TopicPartition): void {
    const event = this.#eventOf(record, { topic, partition });
    if (event === null) {
      this.#unreadable += 1;
      return;
    }
    this.#events += 1;
    const place = { topic, partition, offset: record.offset, timestampMs: record.timestampMs };
    const data = new EventData(event);
    const verdict = this.#judge(event, data);
    const matches = verdict === 'passes';
    if (verdict === 'undecided') this.#undecided.add(place);
    else if (matches) this.#matched.add(place);
    else this.#addUnmatched(event.attributes.type, place);
    if (this.#judgeBefore === null) return;
    const matchedBefore = this.#judgeBefore(event, data) === 'passes';
    if (matchedBefore) this.#before += 1;
    if (matches && !matchedBefore) this.#newly.add(place);
    if (!matches && matchedBefore) this.#noLonger.add(place);
  }

  async result(): Promise<TryResult> {
    const { running } = this.#options;
    return {
      events: this.#events,
      unreadable: this.#unreadable,
      matched: this.#matched.count,
      undecided: this.#undecided.count,
      compared: running && {
        matched: this.#before,
        newlyMatched: this.#newly.count,
        noLongerMatched: this.#noLonger.count,
      },
      samples: {
        matched: await this.#samples(this.#matched.places),
        newlyMatched: await this.#samples(this.#newly.places),
        noLongerMatched: await this.#samples(this.#noLonger.places),
        undecided: await this.#samples(this.#undecided.places),
        unmatched: await this.#nearest(),
      },
    };
  }

  #addUnmatched(type: string, place: Place): void {
    const known = this.#unmatched.get(type);
    if (known === undefined ? this.#unmatched.size < unmatchedTypesMax : known.timestampMs <= place.timestampMs) {
      this.#unmatched.set(type, place);
    }
  }

  async #nearest(): Promise<TrySample[]> {
    const { samplesMax, tried } = this.#options;
    if (samplesMax === 0) return [];
    const judged = [];
    for (const place of this.#unmatched.values()) {
      const event = await this.#read(place);
      if (event !== null) judged.push({ place, event, explanation: explain(tried, event) });
    }
    const nearest = judged.toSorted((a, b) => byNearness(a.explanation, b.explanation)).slice(0, samplesMax);
    return nearest.map(({ place, event, explanation }) => sampleOf(place, event, explanation.reasons));
  }

  async #samples(places: readonly Place[]): Promise<TrySample[]> {
    const samples: TrySample[] = [];
    for (const place of places) {
      const event = await this.#read(place);
      if (event === null) continue;
      const { passes, reasons } = explain(this.#options.tried, event);
      samples.push(sampleOf(place, event, passes ? [] : reasons));
    }
    return samples;
  }

  /** The event once more; null where retention has deleted it meanwhile. */
  async #read({ topic, partition, offset }: Place): Promise<CloudEvent | null> {
    const { log, signal } = this.#options;
    if (signal.aborted) return null;
    const { records } = await log.read(topic, partition, offset, 1);
    const record = records.find((one) => one.offset === offset);
    return record === undefined ? null : this.#eventOf(record, { topic, partition });
  }

  #eventOf(record: LogRecord, at: TopicPartition): CloudEvent | null {
    try {
      return this.#options.readEvent(record, at);
    } catch (error) {
      if (error instanceof EventError) return null;
      throw error;
    }
  }
}

function sampleOf(place: Place, event: CloudEvent, reasons: readonly Reason[]): TrySample {
  const { topic, partition, offset, timestampMs } = place;
  const { id, source, type, subject = null } = event.attributes;
  return {
    appendedAt: new Date(timestampMs).toISOString(),
    topic,
    partition,
    offset,
    id,
    source,
    type,
    subject,
    reasons,
  };
}
