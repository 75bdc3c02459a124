import type { Registry } from 'prom-client';
import { type DemandedSample, onDemand } from './on-demand.ts';

/**
 * Counts of values by size, as Prometheus has them. prom-client's own histogram builds and looks up a string of the
 * labels for each value, which costs more than all other counts of a delivery together.
 */
export class Buckets {
  readonly #bounds: readonly number[];
  /** Of each bound the values up to it and above the one before; the last is of those above all bounds. */
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let i = 0;
    while (i < this.#bounds.length && value > (this.#bounds[i] ?? 0)) i++;
    this.#counts[i] = (this.#counts[i] ?? 0) + 1;
    this.#sum += value;
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  /** For each bound, and for +Inf, how many values are up to it. */
  *cumulative(): Generator<[le: number | '+Inf', count: number]> {
    let below = 0;
    for (const [i, bound] of this.#bounds.entries()) {
      below += this.#counts[i] ?? 0;
      yield [bound, below];
    }
    yield ['+Inf', this.#count];
  }
}

/** A histogram whose values are read when `/metrics` is asked for; series without a value are left out. */
export function observed(
  registry: Registry,
  name: string,
  help: string,
  series: () => Iterable<[labels: Record<string, string>, buckets: Buckets]>,
): void {
  const samples = function* (): Generator<DemandedSample> {
    for (const [labels, buckets] of series()) {
      if (buckets.count === 0) continue;
      for (const [le, value] of buckets.cumulative())
        yield { labels: { le, ...labels }, value, metricName: `${name}_bucket` };
      yield { labels, value: buckets.sum, metricName: `${name}_sum` };
      yield { labels, value: buckets.count, metricName: `${name}_count` };
    }
  };
  onDemand(registry, { name, help, type: 'histogram', aggregator: 'sum' }, samples);
}
