import type { Aggregator, Metric, Registry } from 'prom-client';

export interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What several processes have together. */
  readonly aggregator: Aggregator;
}

export interface DemandedSample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it differs from the metric's. */
  readonly metricName?: string;
}

/**
 * A metric whose values are read when `/metrics` is asked for. prom-client's own build and look up a string of the labels
 * for each value, which at 10,000 triggers is half of what a page costs.
 */
export function onDemand(registry: Registry, described: Described, samples: () => Iterable<DemandedSample>): void {
  const metric = { ...described, get: async () => ({ ...described, values: [...samples()] }) };
  // prom-client asks a metric for no more than this, though its types want the whole class.
  registry.registerMetric(metric as unknown as Metric);
}
