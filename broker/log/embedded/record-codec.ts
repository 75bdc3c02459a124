import { addHeader, headerNameAt, headerValueAt, type ReadHeaders } from '../headers.ts';
import type { HeaderValue, LogRecord, NewRecord } from '../log.ts';
import type { StoredBatches } from './protocol.ts';

/*
 * A record as it is stored, little-endian:
 *
 *   u32 bytes in all | f64 time | i32 key length | i32 value length | u32 headers | key | value | headers
 *   a header: u32 name length | u32 value length | name | value
 *
 * A length of -1 is null. A header that occurs more than once is stored as often. Offsets are not stored: the
 * records of a batch follow each other.
 */
const recordHeadBytes = 24;
const headerHeadBytes = 8;

/** Bytes that the record takes when it is stored. Pure. */
export function storedBytes(record: NewRecord): number {
  let bytes = recordHeadBytes + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const name in record.headers) {
    const value = record.headers[name];
    if (value === undefined) continue;
    const nameBytes = Buffer.byteLength(name) + headerHeadBytes;
    if (typeof value === 'string' || Buffer.isBuffer(value)) bytes += nameBytes + Buffer.byteLength(value);
    else for (const one of value) bytes += nameBytes + Buffer.byteLength(one);
  }
  return bytes;
}

/** Writes the record into `target` at `at` and returns where it ends. */
export function writeRecord(target: Buffer, at: number, record: NewRecord, nowMs: number): number {
  const { key, value, headers } = record;
  target.writeDoubleLE(Math.trunc(record.timestampMs ?? nowMs), at + 4);
  target.writeInt32LE(key === null ? -1 : key.length, at + 12);
  target.writeInt32LE(value === null ? -1 : value.length, at + 16);
  let end = at + recordHeadBytes;
  if (key !== null) end += key.copy(target, end);
  if (value !== null) end += value.copy(target, end);
  let headerCount = 0;
  for (const name in headers) {
    const header = headers[name];
    if (header === undefined) continue;
    if (typeof header === 'string' || Buffer.isBuffer(header)) {
      end = writeHeader(target, end, name, header);
      headerCount++;
    } else {
      for (const one of header) end = writeHeader(target, end, name, one);
      headerCount += header.length;
    }
  }
  target.writeUInt32LE(headerCount, at + 20);
  target.writeUInt32LE(end - at, at);
  return end;
}

function writeHeader(target: Buffer, at: number, name: string, value: HeaderValue): number {
  const nameAt = at + headerHeadBytes;
  const nameBytes = target.write(name, nameAt);
  const valueAt = nameAt + nameBytes;
  const valueBytes = typeof value === 'string' ? target.write(value, valueAt) : value.copy(target, valueAt);
  target.writeUInt32LE(nameBytes, at);
  target.writeUInt32LE(valueBytes, at + 4);
  return valueAt + valueBytes;
}

export interface DecodedRecords {
  readonly records: LogRecord[];
  /** Where to go on. */
  readonly nextOffset: number;
}

/** The records at and above `stored.from`: at least one if there is one, at most about `maxBytes`. Pure. */
export function decodeBatches(stored: StoredBatches, maxBytes: number): DecodedRecords {
  const data = Buffer.from(stored.data.buffer, stored.data.byteOffset, stored.data.byteLength);
  const records: LogRecord[] = [];
  let nextOffset = stored.from;
  let bytes = 0;
  let at = 0;
  for (const { baseOffset, count } of stored.batches) {
    for (let offset = baseOffset; offset < baseOffset + count; offset++) {
      const end = at + data.readUInt32LE(at);
      if (offset >= stored.from) {
        if (records.length > 0 && bytes + end - at > maxBytes) return { records, nextOffset };
        records.push(readRecord(data, at, offset));
        bytes += end - at;
        nextOffset = offset + 1;
      }
      at = end;
    }
  }
  return { records, nextOffset };
}

function readRecord(data: Buffer, start: number, offset: number): LogRecord {
  const keyLength = data.readInt32LE(start + 12);
  const valueLength = data.readInt32LE(start + 16);
  const headerCount = data.readUInt32LE(start + 20);
  const keyAt = start + recordHeadBytes;
  const valueAt = keyAt + Math.max(0, keyLength);
  let at = valueAt + Math.max(0, valueLength);
  const headers: ReadHeaders = {};
  for (let i = 0; i < headerCount; i++) {
    const nameAt = at + headerHeadBytes;
    const headerAt = nameAt + data.readUInt32LE(at);
    const end = headerAt + data.readUInt32LE(at + 4);
    addHeader(headers, headerNameAt(data, nameAt, headerAt), headerValueAt(data, headerAt, end));
    at = end;
  }
  return {
    offset,
    timestampMs: data.readDoubleLE(start + 4),
    key: keyLength < 0 ? null : data.subarray(keyAt, valueAt),
    value: valueLength < 0 ? null : data.subarray(valueAt, valueAt + valueLength),
    headers,
  };
}

/** The index of the first record whose time is `timestampMs` or later, or -1. Pure. */
export function firstRecordAt(stored: Uint8Array, count: number, skip: number, timestampMs: number): number {
  const data = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (i >= skip && data.readDoubleLE(at + 4) >= timestampMs) return i;
    at += data.readUInt32LE(at);
  }
  return -1;
}
