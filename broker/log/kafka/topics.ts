import type { Logger } from 'pino';
import type { Clock } from '../../../runtime/clock.ts';
import { LogUnavailableError } from '../errors.ts';
import type { TopicInfo, TopicSpec } from '../log.ts';
import type { Cluster } from './cluster.ts';
import { code, KafkaCodeError, requireNone } from './kafka-error.ts';
import { latest, listOffsets } from './offsets.ts';

/** How long the controller may take, in milliseconds. Below the request timeout. */
const controllerTimeoutMs = 8_000;

/** A topic's settings change by hand, if at all. */
const infoMaxAgeMs = 5_000;

/** In one request; as many requests as topics take Kafka 40 ms a topic, one of 500 takes 150 ms. */
const topicsMadeAtOnce = 500;

const topicResource = 2;

/** Makes, lists, describes and deletes topics. */
export class Topics {
  readonly #cluster: Cluster;
  readonly #replicationFactor: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #infos = new Map<string, { info: TopicInfo; readAtMs: number }>();
  #warnedOfReplication = false;

  /** @param replicationFactor of the topics that we make, where there are as many brokers */
  constructor(cluster: Cluster, replicationFactor: number, clock: Clock, logger: Logger) {
    this.#cluster = cluster;
    this.#replicationFactor = replicationFactor;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** As `Log.ensureTopics`. */
  async ensure(topics: readonly string[], spec: TopicSpec): Promise<ReadonlySet<string>> {
    const all = [...new Set(topics)];
    const made = new Set<string>();
    for (let from = 0; from < all.length; from += topicsMadeAtOnce) {
      const some = all.slice(from, from + topicsMadeAtOnce);
      const what = some.length === 1 ? `topic ${some[0]}` : `${some.length} topics, ${some[0]} and more`;
      for (const topic of await this.#cluster.ask(`making ${what}`, () => this.#create(some, spec))) made.add(topic);
      await this.#cluster.ask(`waiting for ${what}`, () => this.#reach(some));
    }
    return made;
  }

  async #reach(topics: readonly string[]): Promise<void> {
    const partitionsOf = await this.#cluster.freshPartitions(topics);
    const all = topics.map((topic) => ({ topic, partitions: partitionsOf.get(topic) ?? [] }));
    const lacking = all.find(({ partitions }) => partitions.length === 0);
    if (lacking) throw new KafkaCodeError(code.unknownTopicOrPartition, `topic ${lacking.topic}`);
    await listOffsets(this.#cluster, all, latest);
  }

  /** @returns those that were not there */
  async #create(topics: readonly string[], spec: TopicSpec): Promise<readonly string[]> {
    const { topicMetadata } = await this.#cluster.metadata(topics);
    const known = new Set(topicMetadata.filter((one) => one.topicErrorCode === code.none).map(({ topic }) => topic));
    const missing = topics.filter((topic) => !known.has(topic));
    if (missing.length === 0) return [];
    const { made, refused } = await this.#createWith(missing, spec, this.#replicationFactor);
    if (refused.length === 0) return made;
    // Only where Kafka refuses it: a broker that is down just now is not in the count, but can be given replicas.
    const fewer = Math.max(1, Math.min(this.#replicationFactor, this.#cluster.brokerCount));
    this.#warnOfReplication(fewer);
    const second = await this.#createWith(refused, spec, fewer);
    const [stillRefused] = second.refused;
    if (stillRefused !== undefined) {
      throw new KafkaCodeError(code.invalidReplicationFactor, `topic ${stillRefused} with ${fewer} replicas`);
    }
    return [...made, ...second.made];
  }

  /** @returns what was made, and what was refused for so many replicas; what is in neither was there */
  async #createWith(
    topics: readonly string[],
    spec: TopicSpec,
    replicationFactor: number,
  ): Promise<{ readonly made: readonly string[]; readonly refused: readonly string[] }> {
    const configEntries = configOf(spec, replicationFactor);
    const { topicErrors } = await this.#cluster.toController('CreateTopics', {
      topics: topics.map((topic) => ({ topic, numPartitions: spec.partitions, replicationFactor, configEntries })),
      timeout: controllerTimeoutMs,
    });
    const answers = new Map(topicErrors.map((one) => [one.topic, one]));
    const made: string[] = [];
    const refused: string[] = [];
    for (const topic of topics) {
      const { errorCode = code.unknownServerError, errorMessage } = answers.get(topic) ?? {};
      if (errorCode === code.topicAlreadyExists) continue;
      if (errorCode === code.invalidReplicationFactor) refused.push(topic);
      else {
        requireNone(errorCode, errorMessage ?? `topic ${topic}`);
        made.push(topic);
      }
    }
    if (made.length > 0 && replicationFactor < 3) this.#warnOfReplication(replicationFactor);
    return { made, refused };
  }

  #warnOfReplication(replicas: number): void {
    if (this.#warnedOfReplication) return;
    this.#warnedOfReplication = true;
    this.#logger.warn(
      { replicas },
      'topics are made with fewer than 3 replicas: an event that is accepted can be lost with a broker',
    );
  }

  async list(prefix: string): Promise<string[]> {
    const { topicMetadata } = await this.#cluster.ask('listing topics', () => this.#cluster.metadata([]));
    return topicMetadata
      .filter((one) => !one.isInternal && one.topicErrorCode !== code.unknownTopicOrPartition)
      .map((one) => one.topic)
      .filter((topic) => topic.startsWith(prefix))
      .sort();
  }

  async describe(topic: string): Promise<TopicInfo> {
    const cached = this.#infos.get(topic);
    if (cached !== undefined && this.#clock.monotonic() - cached.readAtMs < infoMaxAgeMs) return cached.info;
    const info = await this.#cluster.ask(`describing topic ${topic}`, () => this.#describe(topic), { topic });
    this.#infos.set(topic, { info, readAtMs: this.#clock.monotonic() });
    return info;
  }

  async #describe(topic: string): Promise<TopicInfo> {
    const partitions = (await this.#cluster.freshPartitions([topic])).get(topic);
    if (partitions === undefined) throw new KafkaCodeError(code.unknownTopicOrPartition, `topic ${topic}`);
    const configNames = ['retention.ms', 'max.message.bytes'];
    const { resources } = await this.#cluster.toAny('DescribeConfigs', {
      resources: [{ type: topicResource, name: topic, configNames }],
    });
    const answer = resources.find(({ resourceName }) => resourceName === topic);
    requireNone(answer?.errorCode ?? code.unknownServerError, `the settings of topic ${topic}`);
    const setting = (name: string): number =>
      Number(answer?.configEntries.find(({ configName }) => configName === name)?.configValue);
    const retentionMs = setting('retention.ms');
    return {
      partitions: partitions.length,
      retentionMs: retentionMs < 0 ? null : retentionMs,
      maxMessageBytes: setting('max.message.bytes'),
    };
  }

  async delete(topic: string): Promise<void> {
    this.#infos.delete(topic);
    await this.#cluster.ask(`deleting topic ${topic}`, async () => {
      const { topicErrors } = await this.#cluster.toController('DeleteTopics', {
        topics: [topic],
        timeout: controllerTimeoutMs,
      });
      const errorCode = topicErrors.find((one) => one.topic === topic)?.errorCode ?? code.unknownServerError;
      if (errorCode !== code.unknownTopicOrPartition) requireNone(errorCode, `topic ${topic}`);
    });
    await this.#cluster.ask(`waiting for topic ${topic} to go`, async () => {
      const { topicMetadata } = await this.#cluster.metadata([topic]);
      const isThere = topicMetadata.some((one) => one.topic === topic && one.topicErrorCode === code.none);
      if (isThere) throw new Error(`topic ${topic} is still there`);
    });
    this.#infos.delete(topic);
  }

  /** Deletes what is below an offset. */
  async trim(topic: string, partition: number, beforeOffset: number): Promise<void> {
    const what = `trimming ${topic}[${partition}]`;
    await this.#cluster.ask(
      what,
      async () => {
        const { topics } = await this.#cluster.toLeader({ topic, partition }, 'DeleteRecords', {
          topics: [{ topic, partitions: [{ partition, offset: String(beforeOffset) }] }],
          timeout: controllerTimeoutMs,
        });
        const errorCode = topics.flatMap((one) => one.partitions)[0]?.errorCode ?? code.unknownServerError;
        if (errorCode === code.offsetOutOfRange) {
          throw new LogUnavailableError(`${what} to ${beforeOffset}: that is beyond the end`);
        }
        if (errorCode !== code.none) this.#cluster.forgetTopic(topic);
        requireNone(errorCode, what);
      },
      { topic },
    );
  }
}

function configOf(spec: TopicSpec, replicationFactor: number): { name: string; value: string }[] {
  const settings = {
    'cleanup.policy': 'delete',
    'retention.ms': spec.retentionMs ?? -1,
    'max.message.bytes': spec.maxMessageBytes,
    'min.insync.replicas': replicationFactor >= 3 ? 2 : 1,
    'unclean.leader.election.enable': 'false',
  };
  return Object.entries(settings).map(([name, value]) => ({ name, value: String(value) }));
}
