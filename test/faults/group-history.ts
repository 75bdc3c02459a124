import { decodeAssignment } from '../../broker/log/kafka/assign.ts';
import type { LogRecord } from '../../broker/log/log.ts';

/*
 * What a Kafka keeps of consumer groups in its topic __consumer_offsets, as long as nothing was compacted: every commit
 * and every generation, in their order. Formats: OffsetCommitKey, OffsetCommitValue, GroupMetadataKey and
 * GroupMetadataValue of Kafka's group coordinator.
 */

export type GroupEntry = CommitEntry | GenerationEntry;

export interface CommitEntry {
  readonly kind: 'commit';
  readonly group: string;
  /** By the broker's clock, milliseconds since 1970. */
  readonly atMs: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
}

export interface GenerationEntry {
  readonly kind: 'generation';
  readonly group: string;
  readonly atMs: number;
  readonly members: readonly GroupMember[];
}

export interface GroupMember {
  readonly memberId: string;
  /** The address from which it joined, as `127.0.0.1`. */
  readonly host: string;
  /** Its partitions by topic. */
  readonly assignment: Readonly<Record<string, readonly number[]>>;
}

/** @returns null for what is neither a commit nor a generation of a group: deletions, other kinds of record */
export function groupEntryOf({ key, value, timestampMs }: LogRecord): GroupEntry | null {
  if (key === null || value === null) return null;
  const name = new Fields(key);
  const kind = name.int16();
  const group = name.text() ?? '';
  const fields = new Fields(value);
  const version = fields.int16();
  if (kind === 0 || kind === 1) {
    if (version < 1 || version > 4) throw new Error(`a commit in version ${version}, which is not known here`);
    const [topic, partition] = [name.text() ?? '', name.int32()];
    const offset = fields.int64();
    if (version >= 3) fields.int32(); // the leader's epoch
    const metadata = (version >= 4 ? fields.compactText() : fields.text()) ?? '';
    return { kind: 'commit', group, atMs: timestampMs, topic, partition, offset, metadata };
  }
  if (kind !== 2) return null;
  if (version !== 3) throw new Error(`a generation in version ${version}, which is not known here`);
  fields.text(); // the kind of protocol
  fields.int32(); // the generation
  fields.text(); // the assignor
  fields.text(); // the leader
  fields.int64(); // since when
  const members = Array.from({ length: fields.int32() }, () => readMember(fields));
  return { kind: 'generation', group, atMs: timestampMs, members };
}

function readMember(fields: Fields): GroupMember {
  const memberId = fields.text() ?? '';
  fields.text(); // its static name
  fields.text(); // the client's name
  const host = (fields.text() ?? '').replace(/^\//, '');
  fields.int32(); // the time for rebalances
  fields.int32(); // the time of its session
  fields.bytes(); // what it subscribes to
  return { memberId, host, assignment: decodeAssignment(fields.bytes()) };
}

/** Reads what Kafka's own records are made of. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  int64(): number {
    this.#at += 8;
    return Number(this.#bytes.readBigInt64BE(this.#at - 8));
  }

  text(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.#take(length).toString();
  }

  /** Its length plus 1 as a varint without sign before it; 0 for null. */
  compactText(): string | null {
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes.readUInt8(this.#at++);
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return length === 0 ? null : this.#take(length - 1).toString();
  }

  bytes(): Buffer {
    return this.#take(Math.max(0, this.int32()));
  }

  #take(length: number): Buffer {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
