import { ByteReader } from './byte-reader.ts';

/*
 * OffsetFetch in version 7 (Kafka 2.5 and later; kafkajs ends at 4), for one flag: `require_stable`. Without it the
 * group coordinator of Kafka 4 answers out of what it knows to be replicated, which for a moment after it has taken
 * over from another broker is less than what was acknowledged: commits of minutes ago may be missing from the answer,
 * and a group that committed long since looks as if it never had. With it the answer waits until nothing is missing
 * (apache/kafka, KAFKA-14499).
 */

export const offsetFetchVersion = 7;

export interface OffsetFetchRequest {
  readonly groupId: string;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number }[];
  }[];
}

export interface OffsetFetchAnswer {
  readonly errorCode: number;
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly offset: string;
      readonly metadata: string | null;
      readonly errorCode: number;
    }[];
  }[];
}

/** The request from behind the client's name in its header on. */
export function encodeOffsetFetch({ groupId, topics }: OffsetFetchRequest): Buffer {
  const parts: Buffer[] = [noTags, compactString(groupId), unsignedVarint(topics.length + 1)];
  for (const { topic, partitions } of topics) {
    parts.push(compactString(topic), unsignedVarint(partitions.length + 1));
    for (const { partition } of partitions) parts.push(int32(partition));
    parts.push(noTags);
  }
  const requireStable = Buffer.from([1]);
  return Buffer.concat([...parts, requireStable, noTags]);
}

/** @param raw from behind the correlation id in its header on */
export function decodeOffsetFetch(raw: Buffer): OffsetFetchAnswer {
  const reader = new ByteReader(raw);
  reader.skipTags();
  reader.int32(); // throttled for so long
  const responses = reader.compactArray(() => {
    const topic = reader.compactString() ?? '';
    const partitions = reader.compactArray(() => {
      const partition = reader.int32();
      const offset = String(reader.bigint64());
      reader.int32(); // the leader's epoch
      const metadata = reader.compactString();
      const errorCode = reader.int16();
      reader.skipTags();
      return { partition, offset, metadata, errorCode };
    });
    reader.skipTags();
    return { topic, partitions };
  });
  return { errorCode: reader.int16(), responses };
}

const noTags = Buffer.from([0]);

function compactString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([unsignedVarint(bytes.length + 1), bytes]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function unsignedVarint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}
