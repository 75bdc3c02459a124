import type { BatchMember } from '../../event/json.ts';
import type { Delivery, Hold } from '../fate.ts';

/** Which lane a delivery came in by. */
export type LaneKind = 'shared' | 'own' | 'retry';

/** A delivery that waits for its turn. */
export interface Waiting {
  readonly lane: LaneKind;
  readonly delivery: Delivery;
  readonly hold: Hold;
  /** How its event stands in a batch, once that was asked for. */
  member?: BatchMember;
}

/** What p-queue keeps of each. */
export interface Entry {
  readonly waiting: Waiting;
  /** What it is to be when it runs: an attempt as any other, a probe, or nothing, since it was taken out. */
  runsAs: 'attempt' | 'probe' | 'nothing';
  /** On the monotonic clock, where deliveries wait for others to go with them; else 0. */
  readonly sinceMs: number;
}

type Run = () => Promise<unknown>;

export interface Queued {
  readonly run: Run;
  readonly entry: Entry;
}

/** The order in which p-queue takes deliveries: as they came. What waits can be seen and taken out. */
export class WaitingQueue {
  #queued: (Queued | undefined)[] = [];
  /** Index of the first that waits; those before it are gone. */
  #first = 0;
  #bytes = 0;

  get size(): number {
    return this.#queued.length - this.#first;
  }

  /** The one that has waited longest. */
  get first(): Entry | undefined {
    return this.#queued[this.#first]?.entry;
  }

  /** Of the data that waits, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  enqueue(run: Run, options?: { readonly entry?: Entry }): void {
    if (!options?.entry) throw new Error('only deliveries wait here');
    this.#queued.push({ run, entry: options.entry });
    this.#bytes += bytesOf(options.entry);
  }

  dequeue(): Run | undefined {
    const queued = this.#queued[this.#first];
    if (!queued) return undefined;
    this.#queued[this.#first] = undefined;
    this.#first++;
    this.#bytes -= bytesOf(queued.entry);
    // Compacts now and then: removing at the front of a long array each time would cost its length.
    if (this.#first >= 256 && this.#first >= this.#queued.length / 2) this.#replace(this.#queued.slice(this.#first));
    return queued.run;
  }

  /** How many of this lane wait, counted up to `most`. */
  countOf(lane: LaneKind, most = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (let index = this.#first; index < this.#queued.length && count < most; index++) {
      if (this.#queued[index]?.entry.waiting.lane === lane) count++;
    }
    return count;
  }

  /** Takes out all that `isTaken` says. Of each `run` is to be called: p-queue has it on its books until it has run. */
  takeOut(isTaken: (waiting: Waiting) => boolean): Queued[] {
    const taken: Queued[] = [];
    const kept: Queued[] = [];
    for (let index = this.#first; index < this.#queued.length; index++) {
      const queued = this.#queued[index];
      if (queued) (isTaken(queued.entry.waiting) ? taken : kept).push(queued);
    }
    if (taken.length > 0) this.#replace(kept);
    return taken;
  }

  /** Takes out those at the front that `isTaken` says, up to the first that it does not. `run` as for `takeOut`. */
  takeFront(isTaken: (waiting: Waiting) => boolean): Queued[] {
    const taken: Queued[] = [];
    for (let next = this.#queued[this.#first]; next && isTaken(next.entry.waiting); next = this.#queued[this.#first]) {
      taken.push(next);
      this.dequeue();
    }
    return taken;
  }

  /** Takes out, of those with the fewest attempts, the one that has waited longest. `run` is to be called. */
  takeFewestAttempts(): Queued | undefined {
    let best: Waiting | undefined;
    for (let index = this.#first; index < this.#queued.length; index++) {
      const waiting = this.#queued[index]?.entry.waiting;
      if (waiting && !(best && best.delivery.attempt <= waiting.delivery.attempt)) best = waiting;
    }
    return this.takeOut((waiting) => waiting === best)[0];
  }

  #replace(queued: (Queued | undefined)[]): void {
    this.#queued = queued;
    this.#first = 0;
    this.#bytes = queued.reduce((sum, one) => sum + (one ? bytesOf(one.entry) : 0), 0);
  }

  // p-queue asks for these for what is not used here: priorities, ids and abort signals.
  filter(): Run[] {
    return [];
  }
  setPriority(): void {}
  remove(): void {}
}

function bytesOf({ waiting }: Entry): number {
  return waiting.delivery.event.data?.length ?? 0;
}
