import { median } from './figures.ts';

/** Figures of what is compared, of several rounds. */
export class Samples<Key, Figure extends string> {
  readonly #all = new Map<Key, Record<Figure, number>[]>();

  add(key: Key, figures: Record<Figure, number>): void {
    const its = this.#all.get(key);
    if (its) its.push(figures);
    else this.#all.set(key, [figures]);
  }

  /** The median over the rounds; NaN if there are none. */
  median(key: Key, figure: Figure): number {
    return median(this.of(key, figure));
  }

  /** In the order of the rounds. */
  of(key: Key, figure: Figure): number[] {
    return (this.#all.get(key) ?? []).map((one) => one[figure]);
  }
}
