/** An event as the sender knows it. */
export interface SentEvent {
  /** When its first request began, milliseconds since 1970. */
  readonly sentAtMs: number;
  /** When it was answered 202; null before. */
  acceptedAtMs: number | null;
  /** Its `partitionkey`, or null. */
  readonly key: string | null;
}

/** Every event that was sent, and every arrival at each trigger's subscriber. Times of one machine, never equal. */
export class FaultLedger {
  readonly sent = new Map<number, SentEvent>();
  /** By trigger, by event: when its requests were answered well, ascending. */
  readonly arrivals = new Map<string, Map<number, number[]>>();
  /** By trigger, by event: when a request was first answered so that it is not repeated but dead-lettered. */
  readonly refusals = new Map<string, Map<number, number>>();
  /** By trigger, by event: all requests, however they were answered. */
  readonly requests = new Map<string, Map<number, Requests>>();
  /** By trigger, by event: how many requests the subscriber left unanswered on purpose, so that they time out. */
  readonly leftToTimeOut = new Map<string, Map<number, number>>();
  /** By trigger, by event: how many attempts timed out, by Posthorn's log lines. */
  readonly timedOut = new Map<string, Map<number, number>>();
  /** Requests that a subscriber has and has not answered. */
  readonly open = new Set<OpenRequest>();
  /** Requests whose content is not that of the event that they name. */
  readonly corrupt: string[] = [];
  acceptedCount = 0;
  /** First arrivals, over all triggers. */
  firstArrivals = 0;
  readonly #clockMs: () => number;
  #lastMs = 0;

  constructor(triggers: readonly string[], clockMs: () => number = Date.now) {
    this.#clockMs = clockMs;
    for (const trigger of triggers) {
      this.arrivals.set(trigger, new Map());
      this.refusals.set(trigger, new Map());
      this.requests.set(trigger, new Map());
      this.leftToTimeOut.set(trigger, new Map());
      this.timedOut.set(trigger, new Map());
    }
  }

  /** Later than any time it has told before, so that times tell the order. */
  now(): number {
    this.#lastMs = Math.max(this.#clockMs(), this.#lastMs + 0.001);
    return this.#lastMs;
  }

  sending(event: number, key: string | null): void {
    this.sent.set(event, { sentAtMs: this.now(), acceptedAtMs: null, key });
  }

  accepted(event: number): void {
    const sent = this.sent.get(event);
    if (sent === undefined) return;
    sent.acceptedAtMs = this.now();
    this.acceptedCount++;
  }

  /** @param attempt that the request says it is  @param from the process that sent it */
  requested(trigger: string, event: number, attempt: number, from: Sender): void {
    const its = this.requests.get(trigger);
    const requests = its?.get(event) ?? new Requests();
    requests.add(attempt, from, this.now());
    its?.set(event, requests);
  }

  /** @param atMs one of the times of `now` */
  arrived(trigger: string, event: number, atMs = this.now()): void {
    const arrivals = this.arrivals.get(trigger);
    const times = arrivals?.get(event);
    if (times !== undefined) {
      times.push(atMs);
      times.sort((a, b) => a - b);
      return;
    }
    arrivals?.set(event, [atMs]);
    this.firstArrivals++;
  }

  refused(trigger: string, event: number): void {
    const refusals = this.refusals.get(trigger);
    if (!refusals?.has(event)) refusals?.set(event, this.now());
  }

  countLeftToTimeOut(trigger: string, event: number): void {
    countIn(this.leftToTimeOut, trigger, event);
  }

  countTimedOut(trigger: string, event: number): void {
    countIn(this.timedOut, trigger, event);
  }

  /** Accepted events that have not arrived at the trigger. */
  outstanding(trigger: string): number[] {
    const arrivals = this.arrivals.get(trigger);
    const events: number[] = [];
    for (const [event, { acceptedAtMs }] of this.sent) {
      if (acceptedAtMs !== null && !arrivals?.has(event)) events.push(event);
    }
    return events;
  }
}

/** Requests with one event for one trigger. */
export class Requests {
  /** Attempt, slot, number of its life, time; and so on: there are millions, so objects would be too large. */
  readonly #flat: number[] = [];

  add(attempt: number, { slot, number }: Sender, atMs: number): void {
    this.#flat.push(attempt, slot, number, atMs);
  }

  *[Symbol.iterator](): Iterator<Sender & { readonly attempt: number; readonly atMs: number }> {
    for (let i = 0; i < this.#flat.length; i += 4) {
      const [attempt = 0, slot = 0, number = 0, atMs = 0] = this.#flat.slice(i, i + 4);
      yield { attempt, slot, number, atMs };
    }
  }
}

/** A process, by its slot and which life of it. */
export interface Sender {
  readonly slot: number;
  readonly number: number;
}

export interface OpenRequest {
  readonly trigger: string;
  readonly event: number;
}

function countIn(counts: Map<string, Map<number, number>>, trigger: string, event: number): void {
  const its = counts.get(trigger);
  its?.set(event, (its.get(event) ?? 0) + 1);
}
