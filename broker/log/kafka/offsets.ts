import type { Commit, PartitionOffset } from '../log.ts';
import type { Cluster } from './cluster.ts';
import { code, KafkaCodeError } from './kafka-error.ts';

/** Times that Kafka reads as "the log's start" and "the offset that the next record gets". */
export const earliest = -2;
export const latest = -1;

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** Offsets by topic, then by partition. */
export type Offsets = ReadonlyMap<string, ReadonlyMap<number, number>>;

/**
 * For each partition the offset of the first record of `timestampMs` or later, -1 for none; or `earliest`, `latest`.
 * @throws KafkaCodeError of the first partition that could not be answered for, Error where the answer lacks one; ask again
 */
export async function listOffsets(
  cluster: Cluster,
  topics: readonly TopicPartitions[],
  timestampMs: number,
): Promise<Offsets> {
  const byLeader = new Map<number, Map<string, number[]>>();
  for (const { topic, partitions } of topics) {
    for (const partition of partitions) {
      const leader = await cluster.leader(topic, partition);
      const its = byLeader.get(leader) ?? new Map<string, number[]>();
      byLeader.set(leader, its);
      its.set(topic, [...(its.get(topic) ?? []), partition]);
    }
  }
  const offsets = new Map<string, Map<number, number>>();
  const timestamp = String(timestampMs);
  await Promise.all(
    [...byLeader].map(async ([leader, its]) => {
      const request = [...its].map(([topic, partitions]) => ({
        topic,
        partitions: partitions.map((partition) => ({ partition, timestamp })),
      }));
      const payload = { replicaId: -1, isolationLevel: 0, topics: request } as const;
      const forget = (): void => {
        for (const { topic } of request) cluster.forgetTopic(topic);
      };
      const answer = await cluster.toNode(leader, 'ListOffsets', payload).catch((error: unknown) => {
        forget();
        throw error;
      });
      for (const { topic, partitions } of answer.responses) {
        const known = offsets.get(topic) ?? new Map<number, number>();
        offsets.set(topic, known);
        for (const { partition, errorCode, offset } of partitions) {
          if (errorCode !== code.none) {
            forget();
            throw new KafkaCodeError(errorCode, `the offsets of ${topic}[${partition}]`);
          }
          known.set(partition, Number(offset));
        }
      }
      for (const { topic, partitions } of request) {
        const lacking = partitions.find(({ partition }) => offsets.get(topic)?.get(partition) === undefined);
        if (lacking === undefined) continue;
        forget();
        throw lackingError(topic, lacking.partition);
      }
    }),
  );
  return offsets;
}

export function offsetOf(offsets: Offsets, topic: string, partition: number): number {
  const offset = offsets.get(topic)?.get(partition);
  if (offset === undefined) throw lackingError(topic, partition);
  return offset;
}

function lackingError(topic: string, partition: number): Error {
  return new Error(`Kafka's answer lacks the offset of ${topic}[${partition}]`);
}

export function partitionOffsets(offsets: Offsets, topic: string): PartitionOffset[] {
  const entries = [...(offsets.get(topic) ?? [])].map(([partition, offset]) => ({ partition, offset }));
  return entries.sort((a, b) => a.partition - b.partition);
}

/**
 * What a group has committed on topics, all that was ever acknowledged; partitions without a commit are left out.
 * @throws KafkaCodeError, Error where the answer lacks a partition
 */
export async function fetchCommits(
  cluster: Cluster,
  group: string,
  topics: readonly TopicPartitions[],
): Promise<Map<string, Commit[]>> {
  const commits = new Map<string, Commit[]>();
  // Kafka reads a request for no topics as one for all of them.
  const request = topics.filter(({ partitions }) => partitions.length > 0);
  if (request.length === 0) return commits;
  const payload = {
    groupId: group,
    topics: request.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => ({ partition })),
    })),
  };
  const answer = await cluster.toCoordinator(group, 'OffsetFetch', payload);
  cluster.requireCoordinated(group, answer.errorCode ?? code.none, `the commits of group ${group}`);
  const answers = new Map(answer.responses.map(({ topic, partitions }) => [topic, partitions]));
  for (const { topic, partitions } of request) {
    const answered = answers.get(topic) ?? [];
    const lacking = partitions.find((partition) => !answered.some((one) => one.partition === partition));
    // Read as "no commit" it would be read from its beginning again.
    if (lacking !== undefined) throw new Error(`Kafka's answer lacks the commit of ${topic}[${lacking}]`);
  }
  for (const { topic, partitions } of answer.responses) {
    const known: Commit[] = [];
    for (const { partition, offset, metadata, errorCode } of partitions) {
      cluster.requireCoordinated(group, errorCode, `the commit of group ${group} on ${topic}[${partition}]`);
      if (Number(offset) >= 0) known.push({ partition, offset: Number(offset), metadata: metadata ?? '' });
    }
    commits.set(topic, known);
  }
  return commits;
}
