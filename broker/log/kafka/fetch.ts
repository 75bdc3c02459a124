import type { ReadResult } from '../log.ts';
import type { Cluster, PartitionQuestion } from './cluster.ts';
import { decodeFetchAnswer, type FetchAnswer, type FetchedPartition } from './fetch-answer.ts';
import type { FetchPosition, FetchSession, SessionQuestion } from './fetch-session.ts';
import { code, KafkaCodeError, requireNone } from './kafka-error.ts';
import { earliest, listOffsets, offsetOf } from './offsets.ts';
import { decodeRecordSet } from './record-batch.ts';

export interface FetchLimits {
  /** How long the broker waits for a first record, in milliseconds. */
  readonly maxWaitMs: number;
  /** Of one partition; a single larger batch comes whole. */
  readonly partitionBytesMax: number;
  readonly bytesMax: number;
}

/**
 * Fetches from partitions that one broker leads. What has nothing to tell may be missing in the answer.
 * @param positions all that is wanted, by a key of each
 * @throws KafkaCodeError and what breaks connections
 */
export async function fetchInSession(
  cluster: Cluster,
  nodeId: number,
  session: FetchSession,
  positions: ReadonlyMap<string, FetchPosition>,
  limits: FetchLimits,
): Promise<readonly FetchedPartition[]> {
  for (;;) {
    const question = session.next(positions);
    try {
      const answer = await fetchFrom(cluster, nodeId, question, limits);
      // It was not used for long, or the broker has started anew.
      if (sessionErrors.has(answer.errorCode) && question.sessionEpoch !== 0) {
        session.lost();
        continue;
      }
      requireNone(answer.errorCode, 'fetching');
      session.answered(answer.sessionId);
      return answer.partitions;
    } catch (error) {
      session.lost();
      throw error;
    }
  }
}

const sessionErrors = new Set<number>([code.fetchSessionIdNotFound, code.invalidFetchSessionEpoch]);

async function fetchFrom(
  cluster: Cluster,
  nodeId: number,
  { sessionId, sessionEpoch, changed, forgotten }: SessionQuestion,
  limits: FetchLimits,
): Promise<FetchAnswer> {
  const payload = {
    replicaId: -1,
    isolationLevel: 1,
    maxWaitTime: limits.maxWaitMs,
    minBytes: 1,
    maxBytes: limits.bytesMax,
    sessionId,
    sessionEpoch,
    topics: byTopic(changed, ({ partition, offset }) => ({
      partition,
      fetchOffset: String(offset),
      maxBytes: limits.partitionBytesMax,
    })),
    forgottenTopics: byTopic(forgotten, ({ partition }) => partition),
  } as const;
  return (await cluster.toNode(nodeId, 'Fetch', payload, decodeFetchAnswer)) as FetchAnswer;
}

function byTopic<P extends PartitionQuestion, T>(
  partitions: readonly P[],
  told: (partition: P) => T,
): { topic: string; partitions: T[] }[] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, its]) => ({
    topic,
    partitions: its.map(told),
  }));
}

/** A fetch of which the broker remembers nothing. */
const alone = { sessionId: 0, sessionEpoch: -1, forgotten: [] } as const;

/** One read without a group, as `Log.read` promises it. @throws KafkaCodeError and what breaks connections */
export async function readOnce(
  cluster: Cluster,
  { topic, partition, offset }: FetchPosition,
  bytesMax: number,
): Promise<ReadResult> {
  const limits = { maxWaitMs: 0, partitionBytesMax: bytesMax, bytesMax };
  for (let at = offset; ; ) {
    const leader = await cluster.leader(topic, partition);
    const question = { ...alone, changed: [{ topic, partition, offset: at }] };
    const fetched = await fetchFrom(cluster, leader, question, limits).catch((error: unknown) => {
      cluster.forgetTopic(topic);
      throw error;
    });
    requireNone(fetched.errorCode, 'fetching');
    const [answer] = fetched.partitions;
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
