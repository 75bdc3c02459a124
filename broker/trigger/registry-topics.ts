import { UnknownTopicError } from '../log/errors.ts';
import { encodedBytes, type Log, type NewRecord } from '../log/log.ts';
import { brokerTopics, revisionMaxBytes, type TopicSettings, type TopicSpecs, topicSpecs } from '../topics.ts';
import { brokerFromManifest } from './manifest.ts';
import type { Registry } from './registry.ts';
import { fullName, type PlannedRevision, recordOf } from './registry-plan.ts';
import type { BrokerName } from './trigger.ts';

/** What a batch takes beyond its records, with room to spare. */
const batchBytes = 1_024;

/** Makes the topics that a broker and its triggers need, and appends revisions. All of it throws what the log throws. */
export class RegistryTopics {
  readonly #log: Log;
  readonly #prefix: string;
  readonly #settings: TopicSettings;

  constructor(log: Log, prefix: string, settings: TopicSettings) {
    this.#log = log;
    this.#prefix = prefix;
    this.#settings = settings;
  }

  async ensureRegistry(broker: BrokerName): Promise<void> {
    await this.#log.ensureTopics([brokerTopics(this.#prefix, broker).triggers], topicSpecs(this.#settings).triggers);
  }

  async ensureBroker(broker: BrokerName, externalTopics: readonly string[]): Promise<TopicSpecs> {
    const topics = brokerTopics(this.#prefix, broker, externalTopics);
    const specs = await this.#specs(externalTopics);
    if (externalTopics.length === 0) await this.#log.ensureTopics([topics.events], specs.events);
    await this.#log.ensureTopics([topics.deadLetter], specs.deadLetter);
    return specs;
  }

  /** Topics come before the revision that needs them; a broker's registry comes last, by it the broker is found. */
  async ensureFor(
    revisions: readonly PlannedRevision[],
    registryOf: (name: BrokerName) => Registry | undefined,
  ): Promise<void> {
    const specsOf = new Map<string, TopicSpecs>();
    const retryTopics = new Map<TopicSpecs, string[]>();
    for (const { broker, revision, change } of revisions) {
      if (revision.manifest === null) continue;
      if (change.kind === 'Broker') {
        const { externalTopics } = brokerFromManifest(revision.manifest, broker.namespace);
        specsOf.set(fullName(broker), await this.ensureBroker(broker, externalTopics));
        await this.ensureRegistry(broker);
        continue;
      }
      const externalTopics = registryOf(broker)?.snapshot().broker?.externalTopics ?? [];
      const specs = specsOf.get(fullName(broker)) ?? (await this.#specs(externalTopics));
      specsOf.set(fullName(broker), specs);
      const topics = retryTopics.get(specs) ?? [];
      topics.push(brokerTopics(this.#prefix, broker).retry(change.name));
      retryTopics.set(specs, topics);
    }
    for (const [specs, topics] of retryTopics) await this.#log.ensureTopics(topics, specs.retry);
  }

  /** The revisions, with the ends of the events topics where a group begins to read there. */
  async withStarts(
    revisions: readonly PlannedRevision[],
    registryOf: (name: BrokerName) => Registry | undefined,
  ): Promise<PlannedRevision[]> {
    const ends = new Map<string, Promise<number[]>>();
    const withStart = async (planned: PlannedRevision): Promise<PlannedRevision> => {
      if (planned.beginsAtEnd === null) return planned;
      const broker = revisions.find(
        (one) => one.change.kind === 'Broker' && fullName(one.broker) === fullName(planned.broker),
      );
      const applied = broker?.revision.manifest;
      const external = applied && brokerFromManifest(applied, planned.broker.namespace).externalTopics;
      const known = registryOf(planned.broker)?.topics() ?? brokerTopics(this.#prefix, planned.broker);
      const topics = external && external.length > 0 ? external : known.eventTopics;
      for (const topic of topics) if (!ends.has(topic)) ends.set(topic, this.#ends(topic));
      const starts = await Promise.all(topics.map(async (topic) => [topic, (await ends.get(topic)) ?? []] as const));
      const laneSpan = { group: planned.beginsAtEnd, from: Object.fromEntries(starts) };
      return { ...planned, revision: { ...planned.revision, laneSpan } };
    };
    return Promise.all(revisions.map(withStart));
  }

  async #ends(topic: string): Promise<number[]> {
    const ends: number[] = [];
    for (const { partition, offset } of await this.#log.ends(topic)) ends[partition] = offset;
    return Array.from(ends, (end) => end ?? 0);
  }

  /** Revisions of one broker, in order. */
  async append(revisions: readonly PlannedRevision[]): Promise<void> {
    const [first] = revisions;
    if (!first) return;
    const topic = brokerTopics(this.#prefix, first.broker).triggers;
    for (const batch of batches(revisions.map(recordOf))) await this.#log.append(topic, 0, batch);
  }

  async #specs(externalTopics: readonly string[]): Promise<TopicSpecs> {
    if (externalTopics.length === 0) return topicSpecs(this.#settings);
    const infos = await Promise.all(externalTopics.map((topic) => this.#log.describeTopic(topic)));
    return topicSpecs(this.#settings, Math.max(...infos.map(({ maxMessageBytes }) => maxMessageBytes)));
  }
}

/**
 * Why a broker can't have these topics, or null.
 * @param registry of the broker where there is one already
 */
export async function refuseExternalTopics(
  log: Log,
  topics: readonly string[],
  registry: Registry | undefined,
): Promise<string | null> {
  for (const topic of topics) {
    try {
      await log.describeTopic(topic);
    } catch (error) {
      if (!(error instanceof UnknownTopicError)) throw error;
      return `the log has no topic ${topic}; make it first, Posthorn makes none that is not its own`;
    }
  }
  if (registry === undefined || topics.length === 0) return null;
  // default/default was there before its Broker: it may change its topic as long as nothing depends on the first.
  const own = registry.topics().events;
  const used = (await log.ranges(own)).some((range) => range.end > 0);
  if (!used && registry.stored().triggers.size === 0) return null;
  return `broker ${fullName(registry.name)} already uses its own topic ${own}; give ${topics.join()} a Broker of another name`;
}

function batches(records: readonly NewRecord[]): NewRecord[][] {
  const result: NewRecord[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const size = encodedBytes(record);
    bytes += size;
    if (bytes > revisionMaxBytes - batchBytes) {
      result.push([]);
      bytes = size;
    }
    result.at(-1)?.push(record);
  }
  return result;
}
