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

  async ensure(topic: string, spec: TopicSpec): Promise<'created' | 'existed'> {
    const outcome = await this.#cluster.ask(`making topic ${topic}`, () => this.#create(topic, spec));
    await this.#cluster.ask(`waiting for topic ${topic}`, async () => {
      const partitions = (await this.#cluster.freshPartitions([topic])).get(topic) ?? [];
      if (partitions.length === 0) throw new KafkaCodeError(code.unknownTopicOrPartition, `topic ${topic}`);
      await listOffsets(this.#cluster, [{ topic, partitions }], latest);
    });
    return outcome;
  }

  async #create(topic: string, spec: TopicSpec): Promise<'created' | 'existed'> {
    const { topicMetadata } = await this.#cluster.metadata([topic]);
    if (topicMetadata.some((one) => one.topic === topic && one.topicErrorCode === code.none)) return 'existed';
    const answer = await this.#createWith(topic, spec, this.#replicationFactor);
    if (answer !== code.invalidReplicationFactor) return answer;
    // Only where Kafka refuses it: a broker that is down just now is not in the count, but can be given replicas.
    const fewer = Math.max(1, Math.min(this.#replicationFactor, this.#cluster.brokerCount));
    this.#warnOfReplication(fewer);
    const second = await this.#createWith(topic, spec, fewer);
    if (typeof second === 'number') throw new KafkaCodeError(second, `topic ${topic} with ${fewer} replicas`);
    return second;
  }

  async #createWith(
    topic: string,
    spec: TopicSpec,
    replicationFactor: number,
  ): Promise<'created' | 'existed' | typeof code.invalidReplicationFactor> {
    const { topicErrors } = await this.#cluster.toController('CreateTopics', {
      topics: [
        {
          topic,
          numPartitions: spec.partitions,
          replicationFactor,
          configEntries: configOf(spec, replicationFactor),
        },
      ],
      timeout: controllerTimeoutMs,
    });
    const answer = topicErrors.find((one) => one.topic === topic);
    if (answer?.errorCode === code.topicAlreadyExists) return 'existed';
    if (answer?.errorCode === code.invalidReplicationFactor) return code.invalidReplicationFactor;
    requireNone(answer?.errorCode ?? code.unknownServerError, answer?.errorMessage ?? `topic ${topic}`);
    if (replicationFactor < 3) this.#warnOfReplication(replicationFactor);
    return 'created';
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
