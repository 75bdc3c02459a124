/**
 * A set of numbers whose least member and whose order are at hand. Cheap where numbers are added in ascending order,
 * as offsets are; a JavaScript Set would walk over all that was deleted at its front to find the first that is left.
 */
export class AscendingSet {
  readonly #members: Set<number>;
  /** The members, ascending, and among them numbers that were deleted. */
  #order: number[];
  /** Index in `#order`: all before it were deleted. */
  #head = 0;

  /** @param ascending the first members, in order, none of them twice */
  constructor(ascending: readonly number[] = []) {
    this.#members = new Set(ascending);
    this.#order = [...ascending];
  }

  get size(): number {
    return this.#members.size;
  }

  has(number: number): boolean {
    return this.#members.has(number);
  }

  /** The least member. */
  get first(): number | undefined {
    for (; this.#head < this.#order.length; this.#head++) {
      const number = this.#order[this.#head];
      if (number !== undefined && this.#members.has(number)) return number;
    }
    return undefined;
  }

  add(number: number): void {
    if (this.#members.has(number)) return;
    this.#members.add(number);
    let index = this.#order.length;
    while (index > this.#head && (this.#order[index - 1] ?? 0) > number) index--;
    // One that was deleted may still stand in its place.
    if (index > this.#head && this.#order[index - 1] === number) return;
    if (index === this.#order.length) this.#order.push(number);
    else this.#order.splice(index, 0, number);
    if (this.#order.length > 64 + 2 * this.#members.size) this.#clearAway();
  }

  delete(number: number): boolean {
    return this.#members.delete(number);
  }

  /** All members, ascending. Not to be changed, and good until the next change. */
  ascending(): readonly number[] {
    this.#clearAway();
    return this.#order;
  }

  #clearAway(): void {
    // Moves the head past all that was deleted at the front.
    void this.first;
    if (this.#head > 0) this.#order = this.#order.slice(this.#head);
    this.#head = 0;
    if (this.#order.length > this.#members.size) this.#order = this.#order.filter((one) => this.#members.has(one));
  }
}
