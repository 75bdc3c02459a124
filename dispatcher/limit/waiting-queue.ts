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

export interface Entry {
  readonly waiting: Waiting;
  /** On the monotonic clock, where deliveries wait for others to go with them; else 0. */
  readonly sinceMs: number;
}

/** What waits, in the order in which it came. */
export class WaitingQueue {
  #entries: (Entry | undefined)[] = [];
  /** Index of the first that waits; those before it are gone. */
  #first = 0;
  #bytes = 0;

  get size(): number {
    return this.#entries.length - this.#first;
  }

  /** The one that has waited longest. */
  get first(): Entry | undefined {
    return this.#entries[this.#first];
  }

  /** Of the data that waits, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += bytesOf(entry);
  }

  takeFirst(): Waiting | undefined {
    const entry = this.#entries[this.#first];
    if (!entry) return undefined;
    this.#entries[this.#first] = undefined;
    this.#first++;
    this.#bytes -= bytesOf(entry);
    // Compacts now and then: removing at the front of a long array each time would cost its length.
    if (this.#first >= 256 && this.#first >= this.#entries.length / 2) this.#replace(this.#entries.slice(this.#first));
    return entry.waiting;
  }

  /** How many of this lane wait, counted up to `most`. */
  countOf(lane: LaneKind, most = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (let index = this.#first; index < this.#entries.length && count < most; index++) {
      if (this.#entries[index]?.waiting.lane === lane) count++;
    }
    return count;
  }

  /** Takes out all that `isTaken` says. */
  takeOut(isTaken: (waiting: Waiting) => boolean): Waiting[] {
    const taken: Waiting[] = [];
    const kept: Entry[] = [];
    for (let index = this.#first; index < this.#entries.length; index++) {
      const entry = this.#entries[index];
      if (!entry) continue;
      if (isTaken(entry.waiting)) taken.push(entry.waiting);
      else kept.push(entry);
    }
    if (taken.length > 0) this.#replace(kept);
    return taken;
  }

  /** Takes out those at the front that `isTaken` says, up to the first that it does not. */
  takeFront(isTaken: (waiting: Waiting) => boolean): Waiting[] {
    const taken: Waiting[] = [];
    for (let next = this.first; next && isTaken(next.waiting); next = this.first) {
      taken.push(next.waiting);
      this.takeFirst();
    }
    return taken;
  }

  /** Takes out, of those with the fewest attempts, the one that has waited longest. */
  takeFewestAttempts(): Waiting | undefined {
    let best: Waiting | undefined;
    for (let index = this.#first; index < this.#entries.length; index++) {
      const waiting = this.#entries[index]?.waiting;
      if (waiting && !(best && best.delivery.attempt <= waiting.delivery.attempt)) best = waiting;
    }
    return this.takeOut((waiting) => waiting === best)[0];
  }

  #replace(entries: (Entry | undefined)[]): void {
    this.#entries = entries;
    this.#first = 0;
    this.#bytes = entries.reduce((sum, one) => sum + (one ? bytesOf(one) : 0), 0);
  }
}

function bytesOf({ waiting }: Entry): number {
  return waiting.delivery.event.data?.length ?? 0;
}
