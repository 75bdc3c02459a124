/** Where a record lies, and when it was appended, in milliseconds since 1970. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
}

/** Counts records that come in no order of time, and keeps the places of the newest. */
export class Newest {
  readonly #max: number;
  #places: Place[] = [];
  count = 0;

  /** @param max how many are kept */
  constructor(max: number) {
    this.#max = max;
  }

  add(place: Place): void {
    this.count += 1;
    const oldest = this.#places[0];
    if (this.#places.length === this.#max && (oldest === undefined || place.timestampMs < oldest.timestampMs)) return;
    const after = this.#places.findLastIndex((other) => other.timestampMs <= place.timestampMs);
    this.#places.splice(after + 1, 0, place);
    if (this.#places.length > this.#max) this.#places.shift();
  }

  /** Newest last. */
  get places(): readonly Place[] {
    return this.#places;
  }
}
