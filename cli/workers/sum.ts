import { AggregatorRegistry, type Registry } from 'prom-client';

/** As prom-client's `getMetricsAsJSON` has it, whose type leaves the values out. */
export interface MetricObject {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly object[];
}

export async function readMetrics(registry: Registry): Promise<MetricObject[]> {
  return (await registry.getMetricsAsJSON()) as unknown as MetricObject[];
}

/** One set of metrics of several processes: sums, but where a metric says otherwise (`aggregator`). */
export function sum(processes: readonly (readonly MetricObject[])[]): MetricObject[] {
  return aggregated(processes).getMetricsAsArray() as unknown as MetricObject[];
}

/** `sum`, in the text format of Prometheus. */
export function textOf(processes: readonly (readonly MetricObject[])[]): Promise<string> {
  return aggregated(processes).metrics();
}

function aggregated(processes: readonly (readonly MetricObject[])[]): Registry {
  return AggregatorRegistry.aggregate(processes.map((metrics) => [...metrics]));
}

/** What is left of a process that has ended: its counts, without which the sums would fall. */
export function countsOf(metrics: readonly MetricObject[]): MetricObject[] {
  return metrics.filter(
    ({ name, type }) => (type === 'counter' || type === 'histogram') && name.startsWith('posthorn_'),
  );
}
