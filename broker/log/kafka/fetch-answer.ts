import { ByteReader } from './byte-reader.ts';
import type { AbortedTransaction } from './record-batch.ts';

/** What a fetch brought of one partition, its records not decoded yet. */
export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Up to where records are visible: none of an open transaction is. */
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly recordSet: Buffer;
}

export interface FetchAnswer {
  readonly errorCode: number;
  /** Of the session that the broker goes on with; 0: none. */
  readonly sessionId: number;
  readonly partitions: readonly FetchedPartition[];
  /** How long the broker asks us to stay away, in milliseconds. Read by kafkajs. */
  readonly clientSideThrottleTime: number;
}

/** In Kafka since 2.3; the latest that kafkajs can ask for. */
const fetchVersion = 11;

/**
 * Decodes the answer to Fetch v11. Ours, not kafkajs's, which loses the end of batches without records (a partition
 * would stand still before them), and fails a whole answer where one partition has an error.
 */
export function decodeFetchAnswer(raw: Buffer, apiVersion: number): FetchAnswer {
  if (apiVersion !== fetchVersion) throw new Error(`Kafka 2.3 or later is needed (Fetch v${apiVersion})`);
  const reader = new ByteReader(raw);
  const clientSideThrottleTime = reader.int32();
  const errorCode = reader.int16();
  const sessionId = reader.int32();
  const partitions: FetchedPartition[] = [];
  for (let topics = reader.int32(); topics > 0; topics--) {
    const topic = reader.string();
    for (let count = reader.int32(); count > 0; count--) partitions.push(readPartition(reader, topic));
  }
  return { errorCode, sessionId, partitions, clientSideThrottleTime };
}

function readPartition(reader: ByteReader, topic: string): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  reader.skip(8); // the high watermark
  const lastStableOffset = reader.int64();
  reader.skip(8); // the log's start
  const aborted: AbortedTransaction[] = [];
  for (let count = reader.int32(); count > 0; count--) {
    aborted.push({ producerId: reader.bigint64(), firstOffset: reader.int64() });
  }
  reader.skip(4); // the preferred replica: without a rack it is always the leader
  return { topic, partition, errorCode, lastStableOffset, aborted, recordSet: reader.bytes() };
}
