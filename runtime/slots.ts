/**
 * A bag of what comes and goes thousands of times a second; each has a number, which is given again after it. Not a Map
 * or a Set: those replace their table again and again where as much goes as comes, and V8 has each old table hold on to
 * the next one and to what was in it. Once one of them is among the old generation, all that is put in later gets old,
 * too, and lies there dead until a major collection.
 */
export class Slots<T> {
  readonly #values: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#values.length - this.#free.length;
  }

  /** @returns its number */
  add(value: T): number {
    const number = this.#free.pop() ?? this.#values.length;
    this.#values[number] = value;
    return number;
  }

  /** Removes it; undefined if there is none of this number. */
  take(number: number): T | undefined {
    const value = this.#values[number];
    if (value === undefined) return undefined;
    this.#values[number] = undefined;
    this.#free.push(number);
    return value;
  }

  /** All that are in, in no order. */
  values(): T[] {
    return this.#values.filter((value) => value !== undefined);
  }
}
