import type { Logger } from 'pino';
import type { Clock } from '../../../runtime/clock.ts';
import { type Address, Brokers } from './brokers.ts';
import { code, KafkaCodeError, persist, requireNone } from './kafka-error.ts';
import type { ConnectionOptions, Decode } from './kafkajs.ts';
import type { Api } from './kafkajs-api.ts';
import type { Outage } from './outage.ts';

/** A leader that has moved is found when a request is refused; this bounds how long a topic's growth is not seen. */
const metadataMaxAgeMs = 30_000;

/** How long a question to Kafka is asked again, in milliseconds: a broker that restarts takes 3 to 20 s. */
const questionTimeoutMs = 30_000;

/** The part of a topic and partition that a question is about, in questions that go to the partition's leader. */
export interface PartitionQuestion {
  readonly topic: string;
  readonly partition: number;
}

interface CachedTopic {
  /** The leader of each partition; -1 where there is none at the moment. */
  readonly leaders: ReadonlyMap<number, number>;
  readonly readAtMs: number;
}

/** What we know of a cluster: its brokers, who leads which partition, who coordinates which group. */
export class Cluster {
  readonly #brokers: Brokers;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #outage: Outage;
  readonly #topics = new Map<string, CachedTopic>();
  readonly #coordinators = new Map<string, number>();
  #controller = -1;

  constructor(bootstrap: readonly Address[], options: ConnectionOptions, clock: Clock, logger: Logger, outage: Outage) {
    this.#brokers = new Brokers(bootstrap, options, logger);
    this.#clock = clock;
    this.#logger = logger;
    this.#outage = outage;
  }

  /** How many brokers there are, as far as known. */
  get brokerCount(): number {
    return this.#brokers.size;
  }

  /** As `persist`, with the patience that a question deserves. */
  ask<T>(
    what: string,
    attempt: () => Promise<T>,
    { topic, timeoutMs = questionTimeoutMs, signal }: { topic?: string; timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<T> {
    const deadlineMs = this.#clock.monotonic() + timeoutMs;
    const persistence = { what, deadlineMs, clock: this.#clock, logger: this.#logger, outage: this.#outage };
    return persist(
      { ...persistence, ...(topic === undefined ? {} : { topic }), ...(signal === undefined ? {} : { signal }) },
      attempt,
    );
  }

  /** Asks for topics, all if none is named. Their error codes are the caller's to see. */
  async metadata(topics: readonly string[]): Promise<Api['Metadata']['response']> {
    const answer = await this.#brokers.sendToAny('Metadata', { topics, allowAutoTopicCreation: false });
    this.#brokers.learn(answer.brokers);
    this.#controller = answer.controllerId;
    const readAtMs = this.#clock.monotonic();
    for (const one of answer.topicMetadata) {
      if (one.topicErrorCode !== code.none) this.#topics.delete(one.topic);
      else this.#topics.set(one.topic, { leaders: leadersIn(one), readAtMs });
    }
    return answer;
  }

  /** The partitions of a topic, ascending. @throws KafkaCodeError */
  async partitions(topic: string): Promise<number[]> {
    return [...(await this.#leaders(topic)).keys()].sort((a, b) => a - b);
  }

  /** As `partitions`, asked anew: another process may have added some. */
  async freshPartitionsOf(topic: string): Promise<number[]> {
    this.forgetTopic(topic);
    return this.partitions(topic);
  }

  /** The partitions of topics, as many as exist of them, asked anew. */
  async freshPartitions(topics: readonly string[]): Promise<Map<string, number[]>> {
    const partitions = new Map<string, number[]>();
    if (topics.length === 0) return partitions;
    const { topicMetadata } = await this.metadata(topics);
    for (const { topic, topicErrorCode, partitionMetadata } of topicMetadata) {
      if (topicErrorCode === code.unknownTopicOrPartition) continue;
      requireNone(topicErrorCode, `topic ${topic}`);
      const ids = partitionMetadata.map(({ partitionId }) => partitionId).sort((a, b) => a - b);
      partitions.set(topic, ids);
    }
    return partitions;
  }

  /** The leader as far as known, without asking; whoever finds that it has moved calls `forgetTopic`. */
  leaderIfKnown(topic: string, partition: number): number | undefined {
    const leader = this.#topics.get(topic)?.leaders.get(partition);
    return leader === undefined || leader < 0 ? undefined : leader;
  }

  /** @throws KafkaCodeError where the partition does not exist or has no leader at the moment */
  async leader(topic: string, partition: number): Promise<number> {
    const leader = (await this.#leaders(topic)).get(partition);
    if (leader === undefined || leader < 0) {
      this.forgetTopic(topic);
      const reason = leader === undefined ? code.unknownTopicOrPartition : code.leaderNotAvailable;
      throw new KafkaCodeError(reason, `${topic}[${partition}]`);
    }
    return leader;
  }

  /** Whatever went wrong with the topic may be due to a leader that has moved: the next question asks who leads. */
  forgetTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  async toLeader<N extends keyof Api>(
    { topic, partition }: PartitionQuestion,
    api: N,
    payload: Api[N]['request'],
    decode?: Decode,
  ): Promise<Api[N]['response']> {
    const leader = await this.leader(topic, partition);
    try {
      return await this.#brokers.send(leader, api, payload, decode);
    } catch (error) {
      this.forgetTopic(topic);
      throw error;
    }
  }

  toNode<N extends keyof Api>(
    nodeId: number,
    api: N,
    payload: Api[N]['request'],
    decode?: Decode,
  ): Promise<Api[N]['response']> {
    return this.#brokers.send(nodeId, api, payload, decode);
  }

  toAny<N extends keyof Api>(api: N, payload: Api[N]['request']): Promise<Api[N]['response']> {
    return this.#brokers.sendToAny(api, payload);
  }

  async toController<N extends keyof Api>(api: N, payload: Api[N]['request']): Promise<Api[N]['response']> {
    if (this.#controller < 0) await this.metadata(['_']);
    const controller = this.#controller;
    this.#controller = -1; // asked anew each time: these requests are rare
    return this.#brokers.send(controller, api, payload);
  }

  /** Sends to the coordinator of a group; where it turns out to be another by now, the next call asks who it is. */
  async toCoordinator<N extends keyof Api>(
    group: string,
    api: N,
    payload: Api[N]['request'],
  ): Promise<Api[N]['response']> {
    let coordinator = this.#coordinators.get(group);
    if (coordinator === undefined) {
      const request = { coordinatorKey: group, groupId: group, coordinatorType: 0 } as const;
      const answer = await this.#brokers.sendToAny('GroupCoordinator', request);
      requireNone(answer.errorCode, `the coordinator of group ${group}`);
      this.#brokers.learnOne(answer.coordinator);
      coordinator = answer.coordinator.nodeId;
      this.#coordinators.set(group, coordinator);
    }
    try {
      return await this.#brokers.send(coordinator, api, payload);
    } catch (error) {
      this.#coordinators.delete(group);
      throw error;
    }
  }

  /** @throws KafkaCodeError unless the code is 0; a coordinator that says it is none (any more) is forgotten. */
  requireCoordinated(group: string, errorCode: number, what: string): void {
    if (notTheCoordinator.has(errorCode)) this.#coordinators.delete(group);
    requireNone(errorCode, what);
  }

  /** Drops all connections and what we know. */
  reset(): void {
    this.#brokers.reset();
    this.#topics.clear();
    this.#coordinators.clear();
  }

  close(): Promise<void> {
    return this.#brokers.close();
  }

  async #leaders(topic: string): Promise<ReadonlyMap<number, number>> {
    const cached = this.#topics.get(topic);
    if (cached !== undefined && this.#clock.monotonic() - cached.readAtMs < metadataMaxAgeMs) return cached.leaders;
    const { topicMetadata } = await this.metadata([topic]);
    const answer = topicMetadata.find((one) => one.topic === topic);
    requireNone(answer?.topicErrorCode ?? code.unknownTopicOrPartition, `topic ${topic}`);
    // Not what is kept: another question may have made it forget the topic by now.
    return answer === undefined ? new Map() : leadersIn(answer);
  }
}

function leadersIn({ partitionMetadata }: Api['Metadata']['response']['topicMetadata'][number]): Map<number, number> {
  return new Map(partitionMetadata.map(({ partitionId, leader }) => [partitionId, leader]));
}

const notTheCoordinator = new Set<number>([
  code.coordinatorLoadInProgress,
  code.coordinatorNotAvailable,
  code.notCoordinator,
]);
