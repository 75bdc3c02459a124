import type { Log } from '../broker/log/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { LaneReader } from './lane/reader.ts';

interface GaugeOptions {
  readonly log: Pick<Log, 'ends'>;
  readonly metrics: Pick<Metrics, 'laneLagRecords' | 'lostRecords' | 'retryBacklogRecords'>;
}

/** A lane that reads events topics, with its consumer group. */
interface MeasuredLane {
  readonly group: string;
  readonly topics: readonly string[];
  readonly lane: Pick<LaneReader, 'positions'>;
}

/** How far the lanes of a broker are behind, partition by partition; only those that this process has. */
export class LagGauge {
  readonly #options: GaugeOptions;
  #shown = new Map<string, LagLabels>();

  constructor(options: GaugeOptions) {
    this.#options = options;
  }

  /** @throws what the log throws */
  async measure(lanes: readonly MeasuredLane[]): Promise<void> {
    const { log, metrics } = this.#options;
    const shown = new Map<string, LagLabels>();
    for (const { group, topics, lane } of lanes) {
      const ends = new Map(await Promise.all(topics.map(async (topic) => [topic, await log.ends(topic)] as const)));
      for (const { topic, partition, position } of lane.positions()) {
        const end = ends.get(topic)?.find((end) => end.partition === partition)?.offset ?? position;
        const labels = { group, topic, partition: String(partition) };
        metrics.laneLagRecords.set(labels, Math.max(0, end - position));
        // There from the start, at 0: an alert on an increase would miss a first one that came out of nothing.
        metrics.lostRecords.inc(labels, 0);
        shown.set(Object.values(labels).join(' '), labels);
      }
    }
    // Another process has them by now, and shows how far it is.
    for (const [key, labels] of this.#shown) if (!shown.has(key)) metrics.laneLagRecords.remove(labels);
    this.#shown = shown;
  }
}

interface LagLabels extends Partial<Record<string, string>> {
  readonly group: string;
  readonly topic: string;
  readonly partition: string;
}

/** How much waits in the retry topics of a broker's triggers; only those that this process has. */
export class BacklogGauge {
  readonly #options: GaugeOptions;
  readonly #broker: string;
  readonly #retryPrefix: string;
  /** Retry topics. */
  #shown: ReadonlySet<string> = new Set();
  /** Counts the measures. */
  #turn = 0;

  /** @param broker `namespace/name` */
  constructor(options: GaugeOptions, broker: string, retryPrefix: string) {
    this.#options = options;
    this.#broker = broker;
    this.#retryPrefix = retryPrefix;
  }

  /** @param triggers those that there are, by name @throws what the log throws */
  async measure(lanes: readonly Pick<LaneReader, 'positions'>[], triggers: ReadonlySet<string>): Promise<void> {
    const { log, metrics } = this.#options;
    const shown = new Set<string>();
    const positions = lanes.flatMap((lane) => lane.positions());
    const asked = this.#turn++ % Math.max(positions.length, turnsMin);
    for (const [index, { topic, position, isDrained }] of positions.entries()) {
      const labels = this.#labelsOf(topic);
      if (!triggers.has(labels.trigger)) continue;
      // Only where something waits is the log asked, for there may be thousands of topics; and of the others one in
      // turn, since what can't be read is not known to wait.
      const isAsked = !isDrained || index === asked;
      const end = isAsked ? ((await log.ends(topic))[0]?.offset ?? position) : position;
      metrics.retryBacklogRecords.set(labels, Math.max(0, end - position));
      shown.add(topic);
    }
    for (const topic of this.#shown) if (!shown.has(topic)) metrics.retryBacklogRecords.remove(this.#labelsOf(topic));
    this.#shown = shown;
  }

  #labelsOf(topic: string): { readonly broker: string; readonly trigger: string } {
    return { broker: this.#broker, trigger: topic.slice(this.#retryPrefix.length) };
  }
}

/** Measures, which are 5 s apart, after which a topic in which nothing seems to wait is asked about again, at least. */
const turnsMin = 12;
