import { addHeader, type ReadHeaders } from '../headers.ts';
import type { LogRecord, RecordHeaders } from '../log.ts';
import { ByteReader } from './byte-reader.ts';
import { decompress } from './compression.ts';

/** A partition holds what this driver can't read: reading on would lose it, so the partition stands still. */
export class UnreadableRecordsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnreadableRecordsError';
  }
}

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

export interface DecodedRecords {
  readonly records: LogRecord[];
  /** Where reading goes on; `fromOffset` if there was not one whole batch. */
  readonly nextOffset: number;
}

/** What stands before `partition leader epoch` in a batch: its first offset and its length. */
const lengthBytes = 12;
/** Up to and with the number of records. */
const headerBytes = 61;

const codecMask = 0x07;
const logAppendTimeFlag = 0x08;
const transactionalFlag = 0x10;
const controlFlag = 0x20;

/**
 * Decodes the record set of a fetch answer (record batch format v2, in Kafka since 0.11): the visible records at and
 * above `fromOffset`. Control records and those of aborted transactions are left out, and `nextOffset` is behind them,
 * also behind batches that compaction emptied. A batch that is cut off at the end of the set is left for the next fetch.
 *
 * @throws UnreadableRecordsError
 */
export async function decodeRecordSet(
  set: Buffer,
  fromOffset: number,
  aborted: readonly AbortedTransaction[],
): Promise<DecodedRecords> {
  const records: LogRecord[] = [];
  const ahead = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const abortedProducers = new Set<bigint>();
  let nextOffset = fromOffset;
  for (let at = 0; at + headerBytes <= set.length; ) {
    const end = at + lengthBytes + set.readInt32BE(at + 8);
    if (end > set.length) break;
    const batch = readHeader(set.subarray(at, end));
    at = end;
    if (batch.lastOffset < fromOffset) continue;

    for (let first = ahead[0]; first !== undefined && first.firstOffset <= batch.lastOffset; first = ahead[0]) {
      abortedProducers.add(first.producerId);
      ahead.shift();
    }
    nextOffset = batch.lastOffset + 1;
    if (batch.isControl) {
      if (isAbortMarker(batch)) abortedProducers.delete(batch.producerId);
      continue;
    }
    if (batch.isTransactional && abortedProducers.has(batch.producerId)) continue;
    await readRecords(batch, fromOffset, records);
  }
  return { records, nextOffset };
}

interface Batch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly codec: number;
  /** Of all records, where the log gave them its own time; null where each has that of its producer. */
  readonly appendTimeMs: number | null;
  readonly firstTimestampMs: number;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  readonly producerId: bigint;
  readonly count: number;
  /** Still compressed. */
  readonly body: Buffer;
}

function readHeader(batch: Buffer): Batch {
  const magic = batch.readInt8(16);
  const firstOffset = Number(batch.readBigInt64BE(0));
  if (magic !== 2) {
    throw new UnreadableRecordsError(
      `the records at offset ${firstOffset} are in Kafka's format v${magic} from before 0.11, which can't be read`,
    );
  }
  const attributes = batch.readInt16BE(21);
  return {
    firstOffset,
    lastOffset: firstOffset + batch.readInt32BE(23),
    codec: attributes & codecMask,
    appendTimeMs: (attributes & logAppendTimeFlag) === 0 ? null : Number(batch.readBigInt64BE(35)),
    firstTimestampMs: Number(batch.readBigInt64BE(27)),
    isTransactional: (attributes & transactionalFlag) !== 0,
    isControl: (attributes & controlFlag) !== 0,
    producerId: batch.readBigInt64BE(43),
    count: batch.readInt32BE(57),
    body: batch.subarray(headerBytes),
  };
}

/** The key of a control record is its version and its type: 0 aborts, 1 commits. */
function isAbortMarker({ count, body }: Batch): boolean {
  if (count === 0) return false;
  const reader = new ByteReader(body);
  reader.varint();
  reader.skip(1);
  reader.varint();
  reader.varint();
  const key = reader.varBytes();
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}

async function readRecords(batch: Batch, fromOffset: number, into: LogRecord[]): Promise<void> {
  if (batch.count === 0) return;
  const body = await decompress(batch.codec, batch.body);
  const reader = new ByteReader(body);
  for (let i = 0; i < batch.count; i++) {
    const length = reader.varint();
    const end = reader.position + length;
    reader.skip(1);
    const timestampMs = batch.firstTimestampMs + reader.varint();
    const offset = batch.firstOffset + reader.varint();
    if (offset >= fromOffset) {
      const key = reader.varBytes();
      const value = reader.varBytes();
      into.push({ offset, timestampMs: batch.appendTimeMs ?? timestampMs, key, value, headers: readHeaders(reader) });
    }
    reader.position = end;
  }
}

function readHeaders(reader: ByteReader): RecordHeaders {
  const headers: ReadHeaders = {};
  const count = reader.varint();
  // Kafka tells a null from an empty value; nothing above needs to.
  for (let i = 0; i < count; i++) addHeader(headers, reader.varHeaderName(), reader.varHeaderValue());
  return headers;
}
