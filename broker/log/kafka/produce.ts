import type { HeaderValue, NewRecord, RecordHeaders } from '../log.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter, varintLength } from './byte-writer.ts';
import { crc32c } from './crc32c.ts';

/*
 * Produce in version 7 (Kafka 2.1 and later), written in one piece. kafkajs makes a buffer of its own for each header
 * and each record and has its CRC in JavaScript, which was a third of what the ingress took, and more than half with batches.
 */

export const produceVersion = 7;

export interface ProduceRequest {
  /** All replicas that are in sync. */
  readonly acks: -1;
  /** How long the leader may wait for them, in milliseconds. */
  readonly timeout: number;
  readonly topic: string;
  readonly partition: number;
  /** As `encodeRecordBatch` makes it. */
  readonly batch: Buffer;
}

export interface ProduceAnswer {
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly errorCode: number;
    /** -1 with an error. */
    readonly baseOffset: number;
  }[];
  /** The broker's quota is used up for so long, in milliseconds; kafkajs's queue sends nothing meanwhile. */
  readonly clientSideThrottleTime: number;
}

/** The request from behind the client's name in its header on. */
export function encodeProduce({ acks, timeout, topic, partition, batch }: ProduceRequest): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const writer = new ByteWriter(2 + 2 + 4 + 4 + 2 + topicBytes + 4 + 4 + 4 + batch.length);
  writer.int16(-1); // no transaction
  writer.int16(acks);
  writer.int32(timeout);
  writer.int32(1);
  writer.int16(topicBytes);
  writer.text(topic);
  writer.int32(1);
  writer.int32(partition);
  writer.int32(batch.length);
  writer.raw(batch);
  return writer.bytes;
}

/** @param raw from behind the correlation id in its header on */
export function decodeProduce(raw: Buffer): ProduceAnswer {
  const reader = new ByteReader(raw);
  const partitions: ProduceAnswer['partitions'][number][] = [];
  for (let topics = reader.int32(); topics > 0; topics--) {
    const topic = reader.string();
    for (let left = reader.int32(); left > 0; left--) {
      partitions.push({
        topic,
        partition: reader.int32(),
        errorCode: reader.int16(),
        baseOffset: reader.int64(),
      });
      reader.skip(16); // the time of the append where the log gives one, and the start of the log
    }
  }
  return { partitions, clientSideThrottleTime: reader.int32() };
}

/** Where in a batch the length counts from, the checksum stands, what it covers begins, and the records do. */
const at = { counted: 12, checksum: 17, checked: 21, records: 61 };

/**
 * A record batch of format v2 (Kafka's documentation, "Record Batch"), not compressed, of no idempotent producer.
 * @param nowMs the time of records that have none, milliseconds since 1970
 */
export function encodeRecordBatch(records: readonly NewRecord[], nowMs: number): Buffer {
  const times = records.map(({ timestampMs }) => Math.trunc(timestampMs ?? nowMs));
  const [firstMs = nowMs] = times;
  const lengths = records.map((record, index) => recordLength(record, index, (times[index] ?? nowMs) - firstMs));
  const length = lengths.reduce((sum, one) => sum + varintLength(one) + one, at.records);
  const writer = new ByteWriter(length);
  writer.int64(0); // the first offset: the broker's to say
  writer.int32(length - at.counted);
  writer.int32(0); // the leader's epoch, so too
  writer.int8(2);
  writer.int32(0); // the checksum
  writer.int16(0);
  writer.int32(records.length - 1);
  writer.int64(firstMs);
  writer.int64(times.reduce((latest, one) => Math.max(latest, one), firstMs));
  writer.int64(-1); // producer, its epoch, its sequence
  writer.int16(-1);
  writer.int32(-1);
  writer.int32(records.length);
  for (const [index, record] of records.entries()) {
    writer.varint(lengths[index] ?? 0);
    writeRecord(writer, record, index, (times[index] ?? nowMs) - firstMs);
  }
  if (writer.position !== length) throw new Error(`a batch of ${length} bytes was filled to ${writer.position}`);
  writer.bytes.writeUInt32BE(crc32c(writer.bytes.subarray(at.checked)), at.checksum);
  return writer.bytes;
}

function recordLength({ key, value, headers }: NewRecord, index: number, deltaMs: number): number {
  let length = 1 + varintLength(deltaMs) + varintLength(index) + bytesLength(key) + bytesLength(value);
  let count = 0;
  forEachHeader(headers, (name, one) => {
    const nameBytes = Buffer.byteLength(name);
    const valueBytes = Buffer.byteLength(one);
    length += varintLength(nameBytes) + nameBytes + varintLength(valueBytes) + valueBytes;
    count++;
  });
  return length + varintLength(count);
}

function writeRecord(writer: ByteWriter, { key, value, headers }: NewRecord, index: number, deltaMs: number): void {
  writer.int8(0);
  writer.varint(deltaMs);
  writer.varint(index);
  writeBytes(writer, key);
  writeBytes(writer, value);
  let count = 0;
  forEachHeader(headers, () => count++);
  writer.varint(count);
  forEachHeader(headers, (name, one) => {
    writer.varint(Buffer.byteLength(name));
    writer.text(name);
    writer.varint(Buffer.byteLength(one));
    if (typeof one === 'string') writer.text(one);
    else writer.raw(one);
  });
}

function bytesLength(bytes: Buffer | null): number {
  return bytes === null ? varintLength(-1) : varintLength(bytes.length) + bytes.length;
}

function writeBytes(writer: ByteWriter, bytes: Buffer | null): void {
  writer.varint(bytes?.length ?? -1);
  if (bytes !== null) writer.raw(bytes);
}

/** A name that has several values stands there once for each. */
function forEachHeader(headers: RecordHeaders, call: (name: string, value: HeaderValue) => void): void {
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    if (typeof value === 'string' || Buffer.isBuffer(value)) call(name, value);
    else for (const one of value) call(name, one);
  }
}
