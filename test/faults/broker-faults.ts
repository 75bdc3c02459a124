import { Kafka, logLevel } from 'kafkajs';
import type { BrokerTopics } from '../../broker/topics.ts';
import type { KafkaCluster } from '../support/kafka/cluster.ts';
import { until } from '../support/until.ts';
import type { KeptSegments } from './kept-segments.ts';
import { type Action, type Actions, pick } from './stage.ts';

const offsetsTopic = '__consumer_offsets';

/** After a broker is back its replicas have caught up, in milliseconds: the next one is killed only then. */
const catchUpMs = 60_000;

/** The events topic grows so often in a run, at most. */
const growthMax = 4;

type Admin = ReturnType<Kafka['admin']>;

interface BrokerFaultsOptions {
  readonly cluster: KafkaCluster;
  readonly topics: BrokerTopics;
  readonly segments: Pick<KeptSegments, 'keep'>;
}

/** What can be done to the brokers of Kafka, one at a time. */
export class BrokerFaults {
  readonly #cluster: KafkaCluster;
  readonly #topics: BrokerTopics;
  readonly #segments: Pick<KeptSegments, 'keep'>;
  readonly #down = new Set<number>();
  #grown = 0;

  constructor({ cluster, topics, segments }: BrokerFaultsOptions) {
    this.#cluster = cluster;
    this.#topics = topics;
    this.#segments = segments;
  }

  actions(): Actions {
    return {
      'broker-kill': ({ dice }) => this.#kill(pick(dice[0], this.#cluster.brokers.length)),
      'coordinator-kill': async () => this.#kill(await this.#coordinator()),
      leaders: async () => ({ what: await this.#withAdmin((admin) => this.#rotateLeaders(admin)), end: () => {} }),
      partitions: async () => ({ what: await this.#withAdmin((admin) => this.#addPartition(admin)), end: () => {} }),
    };
  }

  async heal(): Promise<void> {
    for (const node of this.#down) await this.#restart(node);
  }

  async #kill(node: number): ReturnType<Action> {
    this.#down.add(node);
    await this.#cluster.kill(node);
    return { what: `broker ${node + 1}`, end: () => this.#restart(node) };
  }

  async #restart(node: number): Promise<void> {
    if (!this.#down.has(node)) return;
    this.#segments.keep(node);
    await this.#cluster.restart(node);
    this.#down.delete(node);
    await this.#withAdmin((admin) => until(() => isInSync(admin), 'all replicas have caught up', catchUpMs));
  }

  /** The index of the broker that coordinates the group of the shared lane. */
  async #coordinator(): Promise<number> {
    return this.#withAdmin(async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [offsetsTopic] });
      const partitions = topics[0]?.partitions ?? [];
      const its = javaHash(this.#topics.sharedGroup) % partitions.length;
      // Nodes are numbered from 1.
      return (partitions.find(({ partitionId }) => partitionId === its)?.leader ?? 1) - 1;
    });
  }

  /** The next replica of each partition becomes the first, to which Kafka moves the lead. */
  async #rotateLeaders(admin: Admin): Promise<string> {
    const names = (await admin.listTopics()).filter((name) => !name.startsWith('__') || name === offsetsTopic);
    const { topics } = await admin.fetchTopicMetadata({ topics: names });
    await admin.alterPartitionReassignments({
      topics: topics.map(({ name, partitions }) => ({
        topic: name,
        partitionAssignment: partitions.map(({ partitionId, replicas: [first, ...rest] }) => ({
          partition: partitionId,
          replicas: [...rest, first ?? 1],
        })),
      })),
    });
    return `of ${topics.length} topics`;
  }

  async #addPartition(admin: Admin): Promise<string> {
    if (this.#grown >= growthMax) return 'not again: it has grown enough';
    this.#grown++;
    const { topics } = await admin.fetchTopicMetadata({ topics: [this.#topics.events] });
    const count = (topics[0]?.partitions.length ?? 0) + 1;
    await admin.createPartitions({ topicPartitions: [{ topic: this.#topics.events, count }] });
    return `now ${count}`;
  }

  async #withAdmin<T>(use: (admin: Admin) => Promise<T>): Promise<T> {
    const kafka = new Kafka({ clientId: 'faults', brokers: [...this.#cluster.brokers], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await use(admin);
    } finally {
      await admin.disconnect();
    }
  }
}

async function isInSync(admin: Admin): Promise<boolean> {
  try {
    const { topics } = await admin.fetchTopicMetadata();
    return topics.every(({ partitions }) => partitions.every(({ isr, replicas }) => isr.length === replicas.length));
  } catch {
    return false; // asked again
  }
}

/** As Java's String.hashCode, made positive as Kafka does. */
function javaHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash & 0x7fffffff;
}
