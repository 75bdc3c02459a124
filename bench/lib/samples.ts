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

  /**
   * How many times the other's: the median of each round's own ratio, since the machine is slower for minutes at times,
   * for both of them.
   */
  ratio(key: Key, to: Key, figure: Figure): number {
    const reference = this.of(to, figure);
    return median(this.of(key, figure).map((one, round) => one / (reference[round] ?? Number.NaN)));
  }

  /** In the order of the rounds. */
  of(key: Key, figure: Figure): number[] {
    return (this.#all.get(key) ?? []).map((one) => one[figure]);
  }
}
