import type { ReadResult } from '../log.ts';
import type { Cluster, PartitionQuestion } from './cluster.ts';
import { decodeFetchAnswer, type FetchAnswer, type FetchedPartition } from './fetch-answer.ts';
import { code, KafkaCodeError, requireNone } from './kafka-error.ts';
import { earliest, listOffsets, offsetOf } from './offsets.ts';
import { decodeRecordSet } from './record-batch.ts';

export interface FetchPosition extends PartitionQuestion {
  readonly offset: number;
}

export interface FetchLimits {
  /** How long the broker waits for a first record, in milliseconds. */
  readonly maxWaitMs: number;
  /** Of one partition; a single larger batch comes whole. */
  readonly partitionBytesMax: number;
  readonly bytesMax: number;
}

/** Fetches from partitions that one broker leads. */
export async function fetchFrom(
  cluster: Cluster,
  nodeId: number,
  positions: readonly FetchPosition[],
  limits: FetchLimits,
): Promise<readonly FetchedPartition[]> {
  const topics = [...Map.groupBy(positions, ({ topic }) => topic)].map(([topic, its]) => ({
    topic,
    partitions: its.map(({ partition, offset }) => ({
      partition,
      fetchOffset: String(offset),
      maxBytes: limits.partitionBytesMax,
    })),
  }));
  const payload = {
    replicaId: -1,
    isolationLevel: 1,
    maxWaitTime: limits.maxWaitMs,
    minBytes: 1,
    maxBytes: limits.bytesMax,
    topics,
  } as const;
  const answer = (await cluster.toNode(nodeId, 'Fetch', payload, decodeFetchAnswer)) as FetchAnswer;
  requireNone(answer.errorCode, 'fetching');
  return answer.partitions;
}

/** One read without a group, as `Log.read` promises it. @throws KafkaCodeError and what breaks connections */
export async function readOnce(
  cluster: Cluster,
  { topic, partition, offset }: FetchPosition,
  bytesMax: number,
): Promise<ReadResult> {
  const limits = { maxWaitMs: 0, partitionBytesMax: bytesMax, bytesMax };
  for (let at = offset; ; ) {
    const leader = await cluster.leader(topic, partition);
    const fetched = await fetchFrom(cluster, leader, [{ topic, partition, offset: at }], limits).catch(
      (error: unknown) => {
        cluster.forgetTopic(topic);
        throw error;
      },
    );
    const [answer] = fetched;
    if (answer === undefined) throw new Error(`the answer lacks ${topic}[${partition}]`);
    if (answer.errorCode === code.offsetOutOfRange) {
      const start = offsetOf(
        await listOffsets(cluster, [{ topic, partitions: [partition] }], earliest),
        topic,
        partition,
      );
      // Above the end, where there is nothing to read.
      if (at >= start) return { records: [], nextOffset: at };
      at = start;
      continue;
    }
    if (answer.errorCode !== code.none) {
      cluster.forgetTopic(topic);
      throw new KafkaCodeError(answer.errorCode, `reading ${topic}[${partition}]`);
    }
    const { records, nextOffset } = await decodeRecordSet(answer.recordSet, at, answer.aborted);
    if (records.length > 0 || nextOffset >= answer.lastStableOffset || nextOffset === at)
      return { records, nextOffset };
    at = nextOffset;
  }
}
