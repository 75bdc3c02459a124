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

interface Measured {
  readonly position: number;
  readonly backlog: number;
}

/** How much waits in the retry topics of a broker's triggers; only those that this process has. */
export class BacklogGauge {
  readonly #options: GaugeOptions;
  readonly #broker: string;
  readonly #retryPrefix: string;
  /** By retry topic, what was found when it was last asked about. */
  #measured = new Map<string, Measured>();

  /** @param broker `namespace/name` */
  constructor(options: GaugeOptions, broker: string, retryPrefix: string) {
    this.#options = options;
    this.#broker = broker;
    this.#retryPrefix = retryPrefix;
  }

  /** @param triggers those that there are, by name @throws what the log throws */
  async measure(lanes: readonly Pick<LaneReader, 'positions'>[], triggers: ReadonlySet<string>): Promise<void> {
    const { log, metrics } = this.#options;
    const measured = new Map<string, Measured>();
    for (const { topic, position } of lanes.flatMap((lane) => lane.positions())) {
      // A topic on which nothing moves and nothing waits is not asked about: there may be thousands.
      const known = this.#measured.get(topic);
      const isQuiet = known?.position === position && known.backlog === 0;
      const backlog = isQuiet ? 0 : Math.max(0, ((await log.ends(topic))[0]?.offset ?? position) - position);
      measured.set(topic, { position, backlog });
      const labels = this.#labelsOf(topic);
      if (!isQuiet && triggers.has(labels.trigger)) metrics.retryBacklogRecords.set(labels, backlog);
    }
    for (const topic of this.#measured.keys()) {
      if (!measured.has(topic)) metrics.retryBacklogRecords.remove(this.#labelsOf(topic));
    }
    this.#measured = measured;
  }

  #labelsOf(topic: string): { readonly broker: string; readonly trigger: string } {
    return { broker: this.#broker, trigger: topic.slice(this.#retryPrefix.length) };
  }
}
