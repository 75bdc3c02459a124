import { hash } from 'node:crypto';
import type { CloudEvent } from '../../event/event.ts';

/** What stands for the source and the id of an event: 128 bits in 16 bytes. */
export type EventId = Buffer;

/**
 * Two events among 1,048,576 have the same by chance once in 10^26 times, and SHA-256 leaves nobody a way to make
 * another's.
 */
export function eventIdOf({ attributes: { source, id } }: CloudEvent): EventId {
  // Neither has a line break in it, so that no two events have the same text.
  return hash('sha256', `${source}\n${id}`, 'buffer').subarray(0, 16);
}

/** Room for this many at first; it doubles as it is filled. */
const firstCapacity = 1_024;

/**
 * The ids of the last events, with when each came: at most `idsMax`, then the oldest is forgotten for each that comes.
 * One takes 32 bytes, in arrays that the garbage collector need not look into.
 *
 *   ring of hashes and times, oldest first   <-  slots: open addressing by the first word of the hash
 */
export class RecentIds {
  readonly #idsMax: number;
  #ring: Ring;

  /** @param idsMax a power of two */
  constructor(idsMax: number) {
    this.#idsMax = idsMax;
    this.#ring = new Ring(Math.min(firstCapacity, idsMax));
  }

  get size(): number {
    return this.#ring.count;
  }

  has(id: EventId): boolean {
    return this.#ring.has(id);
  }

  /**
   * Remembers an id that it does not have.
   * @param atMs not before that of the last one
   * @returns whether another had to be forgotten for it
   */
  add(id: EventId, atMs: number): boolean {
    if (this.#ring.count === this.#ring.capacity && this.#ring.capacity < this.#idsMax) {
      this.#ring = this.#ring.doubled();
    }
    const isFull = this.#ring.count === this.#ring.capacity;
    if (isFull) this.#ring.shift();
    this.#ring.push(id, atMs);
    return isFull;
  }

  /** Forgets those that came before this time. */
  forgetBefore(timeMs: number): void {
    while (this.#ring.count > 0 && this.#ring.firstMs < timeMs) this.#ring.shift();
  }
}

/** Words of 32 bits of an id. */
const idWords = 4;

class Ring {
  /** A power of two. */
  readonly capacity: number;
  count = 0;
  /** Index of the oldest. */
  #first = 0;
  readonly #hashes: Uint32Array;
  readonly #times: Float64Array;
  /** Index + 1 of an entry, or 0. Half of them are empty at least. */
  readonly #slots: Int32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#hashes = new Uint32Array(capacity * idWords);
    this.#times = new Float64Array(capacity);
    this.#slots = new Int32Array(capacity * 2);
  }

  get firstMs(): number {
    return this.#times[this.#first] ?? 0;
  }

  has(id: EventId): boolean {
    for (let slot = this.#homeOf(id.readUInt32LE(0)); ; slot = this.#after(slot)) {
      const index = (this.#slots[slot] ?? 0) - 1;
      if (index < 0) return false;
      if (this.#is(index, id)) return true;
    }
  }

  /** There has to be room. */
  push(id: EventId, atMs: number): void {
    const index = (this.#first + this.count) & (this.capacity - 1);
    for (let word = 0; word < idWords; word++) this.#hashes[index * idWords + word] = id.readUInt32LE(word * 4);
    this.#times[index] = atMs;
    this.#enter(index);
    this.count++;
  }

  /** Removes the oldest. */
  shift(): void {
    let slot = this.#home(this.#first);
    while (this.#slots[slot] !== this.#first + 1) slot = this.#after(slot);
    this.#empty(slot);
    this.#first = (this.#first + 1) & (this.capacity - 1);
    this.count--;
  }

  /** The same with twice the capacity. */
  doubled(): Ring {
    const larger = new Ring(this.capacity * 2);
    for (; larger.count < this.count; larger.count++) {
      const index = (this.#first + larger.count) & (this.capacity - 1);
      const words = this.#hashes.subarray(index * idWords, (index + 1) * idWords);
      larger.#hashes.set(words, larger.count * idWords);
      larger.#times[larger.count] = this.#times[index] ?? 0;
      larger.#enter(larger.count);
    }
    return larger;
  }

  #enter(index: number): void {
    let slot = this.#home(index);
    while (this.#slots[slot] !== 0) slot = this.#after(slot);
    this.#slots[slot] = index + 1;
  }

  /** Empties a slot, and moves those behind it up that would not be found any more (Knuth 6.4, algorithm R). */
  #empty(emptied: number): void {
    let hole = emptied;
    for (let slot = this.#after(hole); this.#slots[slot] !== 0; slot = this.#after(slot)) {
      const home = this.#home((this.#slots[slot] ?? 0) - 1);
      if (this.#distance(home, slot) < this.#distance(hole, slot)) continue;
      this.#slots[hole] = this.#slots[slot] ?? 0;
      hole = slot;
    }
    this.#slots[hole] = 0;
  }

  #is(index: number, id: EventId): boolean {
    for (let word = 0; word < idWords; word++) {
      if (this.#hashes[index * idWords + word] !== id.readUInt32LE(word * 4)) return false;
    }
    return true;
  }

  /** Where the search for the entry begins. */
  #home(index: number): number {
    return this.#homeOf(this.#hashes[index * idWords] ?? 0);
  }

  #homeOf(firstWord: number): number {
    return firstWord & (this.#slots.length - 1);
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  #distance(from: number, to: number): number {
    return (to - from) & (this.#slots.length - 1);
  }
}
