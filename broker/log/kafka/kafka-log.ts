import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { SASLOptions } from 'kafkajs';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../../../runtime/clock.ts';
import { messageOf, UsageError } from '../../../runtime/errors.ts';
import { LogUnavailableError, UnknownTopicError } from '../errors.ts';
import type {
  Commit,
  ConsumeOptions,
  Log,
  LogConsumer,
  NewRecord,
  PartitionOffset,
  PartitionRange,
  ReadResult,
  TopicInfo,
  TopicSpec,
} from '../log.ts';
import { Appender } from './append.ts';
import type { Address } from './brokers.ts';
import { Cluster } from './cluster.ts';
import { KafkaConsumer } from './consumer.ts';
import { readOnce } from './fetch.ts';
import { code } from './kafka-error.ts';
import type { ConnectionOptions } from './kafkajs.ts';
import { earliest, fetchCommits, latest, listOffsets, offsetOf, partitionOffsets } from './offsets.ts';
import { Outage } from './outage.ts';
import { Topics } from './topics.ts';

export interface KafkaLogOptions {
  /** `host:port` of some brokers; the others are learned from them. */
  readonly brokers: readonly string[];
  /** How the brokers' own logs and quotas name us. */
  readonly clientId?: string;
  /** null: no TLS. What node:tls takes; without `ca` the authorities that the system trusts. */
  readonly tls?: (Omit<TlsOptions, 'ca'> & { readonly ca?: TlsOptions['ca'] | null }) | null;
  /** null: no login. `mechanism`: plain, scram-sha-256 or scram-sha-512; or what kafkajs takes else. */
  readonly sasl?: SASLOptions | null;
  /** Of the topics that we make; fewer, with a warning, where there are not as many brokers. */
  readonly replicationFactor?: number;
  /** How long an append is tried again before LogUnavailableError. */
  readonly appendTimeoutMs?: number;
  /** A consumer that is silent for so long has left its group. */
  readonly sessionTimeoutMs?: number;
  /** How often a consumer asks its group whether to rebalance. */
  readonly heartbeatMs?: number;
  /** How often the leader of a group looks whether a topic has grown, or one that was missing has appeared. */
  readonly growthCheckMs?: number;
  readonly clock?: Clock;
  readonly logger: Logger;
  /** Ends the opening; to end an open log is to close it. */
  readonly signal?: AbortSignal;
}

const defaults = {
  clientId: 'posthorn',
  replicationFactor: 3,
  /** A broker that restarts is back after 3 to 20 s, its partitions have new leaders sooner. */
  appendTimeoutMs: 30_000,
  /** Kafka allows no less than 6 s. A process that dies holds its partitions for this long, a slow one keeps them. */
  sessionTimeoutMs: 10_000,
  /** A rebalance begins for a member at most this much later. */
  heartbeatMs: 1_000,
  growthCheckMs: 10_000,
};

/** A broker that does not take a connection, or says nothing, for so long is passed over. */
const connectTimeoutMs = 3_000;
const requestTimeoutMs = 10_000;

/**
 * Opens the log on a Kafka cluster (2.3 or later).
 * @throws UsageError for an address that is none, LogUnavailableError when no broker answers, the signal's reason
 */
export async function openKafkaLog({ signal, ...options }: KafkaLogOptions): Promise<Log> {
  const log = new KafkaLog(options);
  // Takes the sockets away from the attempt that is on its way.
  const abort = (): void => void log.close();
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    await log.connect();
    signal?.throwIfAborted();
  } catch (error) {
    await log.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  return log;
}

class KafkaLog implements Log {
  readonly sharedByProcesses = true;
  readonly failed = new Promise<never>(() => {});
  readonly #settings: Required<Omit<KafkaLogOptions, 'tls' | 'sasl' | 'signal'>>;
  readonly #bootstrap: readonly Address[];
  readonly #connection: ConnectionOptions;
  readonly #outage: Outage;
  readonly #cluster: Cluster;
  readonly #appendCluster: Cluster;
  readonly #appender: Appender;
  readonly #topics: Topics;
  readonly #consumers = new Set<KafkaConsumer>();
  #closed: Promise<void> | null = null;

  constructor({ tls, sasl, ...options }: Omit<KafkaLogOptions, 'signal'>) {
    this.#settings = { clock: systemClock, ...defaults, ...options };
    const { clock, logger, clientId, appendTimeoutMs, replicationFactor } = this.#settings;
    this.#bootstrap = options.brokers.map(parseAddress);
    this.#outage = new Outage(clock, logger);
    this.#connection = {
      ...{ clientId, connectTimeoutMs, requestTimeoutMs },
      ssl: tls ? withoutNullCa(tls) : null,
      sasl: sasl ?? null,
    };
    this.#cluster = this.#newCluster();
    this.#appendCluster = this.#newCluster();
    this.#topics = new Topics(this.#cluster, replicationFactor, clock, logger);
    this.#appender = new Appender({
      ...{ cluster: this.#appendCluster, appendTimeoutMs, clock, logger, outage: this.#outage },
      maxMessageBytes: async (topic) => (await this.#topics.describe(topic)).maxMessageBytes,
    });
  }

  #newCluster(timeoutMs = requestTimeoutMs): Cluster {
    const { clock, logger } = this.#settings;
    const options = { ...this.#connection, requestTimeoutMs: timeoutMs };
    return new Cluster(this.#bootstrap, options, clock, logger, this.#outage);
  }

  async connect(): Promise<void> {
    try {
      await this.#cluster.ask('connecting to Kafka', () => this.#cluster.metadata(['_']));
    } catch (error) {
      if (!(error instanceof LogUnavailableError)) throw error;
      const { brokers } = this.#settings;
      const reason = messageOf(error.cause ?? error).replace(/^Connection error: /, '');
      throw new LogUnavailableError(`can't connect to Kafka at ${brokers.join(', ')}: ${reason}`, { cause: error });
    }
  }

  ensureTopics(topics: readonly string[], spec: TopicSpec): Promise<ReadonlySet<string>> {
    return this.#topics.ensure(topics, spec);
  }

  listTopics(prefix: string): Promise<string[]> {
    return this.#topics.list(prefix);
  }

  describeTopic(topic: string): Promise<TopicInfo> {
    return this.#topics.describe(topic);
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#topics.delete(topic);
    this.#appendCluster.forgetTopic(topic);
  }

  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    return this.#appender.append(topic, partition, records);
  }

  ranges(topic: string): Promise<PartitionRange[]> {
    return this.#ask(topic, 'the ranges', async () => {
      const partitions = await this.#cluster.freshPartitionsOf(topic);
      const [starts, ends] = await Promise.all([
        listOffsets(this.#cluster, [{ topic, partitions }], earliest),
        listOffsets(this.#cluster, [{ topic, partitions }], latest),
      ]);
      return partitions.map((partition) => {
        const start = offsetOf(starts, topic, partition);
        // Asked at the same time: a trim may come between.
        return { partition, start, end: Math.max(start, offsetOf(ends, topic, partition)) };
      });
    });
  }

  ends(topic: string): Promise<PartitionOffset[]> {
    return this.#ask(topic, 'the ends', async () => {
      const partitions = await this.#cluster.freshPartitionsOf(topic);
      return partitionOffsets(await listOffsets(this.#cluster, [{ topic, partitions }], latest), topic);
    });
  }

  offsetsAt(topic: string, timestampMs: number): Promise<PartitionOffset[]> {
    return this.#ask(topic, 'the offsets at a time', async () => {
      const partitions = await this.#cluster.freshPartitionsOf(topic);
      // The ends first: a record that comes between is then found by its time.
      const ends = await listOffsets(this.#cluster, [{ topic, partitions }], latest);
      const offsets = await listOffsets(this.#cluster, [{ topic, partitions }], Math.max(0, Math.floor(timestampMs)));
      return partitionOffsets(offsets, topic).map(({ partition, offset }) => ({
        partition,
        offset: offset < 0 ? offsetOf(ends, topic, partition) : offset,
      }));
    });
  }

  read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<ReadResult> {
    const position = { topic, partition, offset: fromOffset };
    return this.#ask(topic, `reading partition ${partition}`, () => readOnce(this.#cluster, position, maxBytes));
  }

  trim(topic: string, partition: number, beforeOffset: number): Promise<void> {
    return this.#topics.trim(topic, partition, beforeOffset);
  }

  async committed(group: string, topic: string): Promise<Commit[]> {
    try {
      return await this.#ask(topic, `the commits of group ${group}`, async () => {
        const partitions = await this.#cluster.freshPartitionsOf(topic);
        return (await fetchCommits(this.#cluster, group, [{ topic, partitions }])).get(topic) ?? [];
      });
    } catch (error) {
      if (error instanceof UnknownTopicError) return [];
      throw error;
    }
  }

  async deleteGroup(group: string): Promise<void> {
    await this.#cluster.ask(`deleting group ${group}`, async () => {
      const { results } = await this.#cluster.toCoordinator(group, 'DeleteGroups', [group]);
      const errorCode = results.find(({ groupId }) => groupId === group)?.errorCode ?? code.unknownServerError;
      if (errorCode === code.groupIdNotFound) return;
      this.#cluster.requireCoordinated(group, errorCode, `group ${group}`);
    });
  }

  async consume(options: ConsumeOptions): Promise<LogConsumer> {
    if (this.#closed !== null) throw new LogUnavailableError('the log is closed');
    const { clock, logger, sessionTimeoutMs, heartbeatMs, growthCheckMs } = this.#settings;
    // Two heartbeats that are not answered fit into a session.
    const ownTimeoutMs = Math.min(requestTimeoutMs, sessionTimeoutMs / 2);
    const consumer = new KafkaConsumer({
      ...options,
      ...{ own: this.#newCluster(ownTimeoutMs), shared: this.#cluster },
      ...{ sessionTimeoutMs, heartbeatMs, growthCheckMs, clock, logger, outage: this.#outage },
    });
    this.#consumers.add(consumer);
    consumer.start();
    return {
      pause: (partitions) => consumer.pause(partitions),
      resume: (partitions) => consumer.resume(partitions),
      commit: (epoch, commits) => consumer.commit(epoch, commits),
      close: async () => {
        await consumer.close();
        this.#consumers.delete(consumer);
      },
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#appender.close();
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.all([this.#cluster.close(), this.#appendCluster.close()]);
  }

  #ask<T>(topic: string, what: string, attempt: () => Promise<T>): Promise<T> {
    return this.#cluster.ask(`${what} of topic ${topic}`, attempt, { topic });
  }
}

function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text.trim());
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port < 1 || port > 65_535) {
    throw new UsageError(`${JSON.stringify(text)} is no address of a Kafka broker; host:port is, such as kafka-1:9092`);
  }
  return { host, port };
}

function withoutNullCa({ ca, ...tls }: NonNullable<KafkaLogOptions['tls']>): TlsOptions {
  return ca === null || ca === undefined ? tls : { ...tls, ca };
}
