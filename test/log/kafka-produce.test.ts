import { createRequire } from 'node:module';
import fc from 'fast-check';
import t from 'tap';
import { crc32c, portableCrc32c } from '../../broker/log/kafka/crc32c.ts';
import { decodeProduce, encodeProduce, encodeRecordBatch } from '../../broker/log/kafka/produce.ts';
import { decodeRecordSet } from '../../broker/log/kafka/record-batch.ts';
import type { NewRecord } from '../../broker/log/log.ts';
import { propertyRuns } from '../support/property-runs.ts';

/*
 * kafkajs has an encoding of the same request, with which ours is compared byte by byte; and a real Kafka checks the
 * checksum of each batch that the other tests append.
 */
const require = createRequire(import.meta.url);
const { requests } = require('kafkajs/src/protocol/requests/index.js') as {
  requests: {
    Produce: {
      protocol(wanted: { version: 7 }): (payload: object) => {
        request: { encode(): Promise<{ buffer: Buffer }> };
      };
    };
  };
};

async function kafkajsEncodes(topic: string, partition: number, records: readonly NewRecord[]): Promise<Buffer> {
  const messages = records.map(({ timestampMs, ...record }) => ({ ...record, timestamp: String(timestampMs) }));
  const produce = requests.Produce.protocol({ version: 7 });
  const { request } = produce({
    // Of no idempotent producer, for which kafkajs has 0 by itself and Kafka's documentation -1.
    ...{ acks: -1, timeout: 8_000, producerEpoch: -1 },
    topicData: [{ topic, partitions: [{ partition, messages, firstSequence: -1 }] }],
  });
  return (await request.encode()).buffer;
}

const nowMs = Date.UTC(2026, 10, 22);
const text = fc.string({ unit: 'binary', maxLength: 200 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const header = fc.oneof(text, bytes, fc.array(fc.oneof(text, bytes), { maxLength: 3 }));
const headers = fc
  .array(fc.tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 70 }), header), { maxLength: 9 })
  .map((entries) => Object.fromEntries(entries));
const record = fc.record({ key: fc.option(bytes), value: fc.option(bytes), headers });
const batch = fc.array(record, { minLength: 1, maxLength: 70 });

t.test('the request is byte by byte that of kafkajs', async (t) => {
  const runs = propertyRuns(300, 20_000);
  await fc.assert(
    fc.asyncProperty(text, fc.nat(1_000), batch, fc.nat(5_000_000), async (topic, partition, records, stepMs) => {
      const timed = records.map((one, index) => ({ ...one, timestampMs: nowMs + index * stepMs }));
      const expected = await kafkajsEncodes(topic, partition, timed);
      const request = { acks: -1, timeout: 8_000, topic, partition, batch: encodeRecordBatch(timed, 0) } as const;
      return encodeProduce(request).equals(expected);
    }),
    { numRuns: runs },
  );
  t.pass(`${runs} requests`);
});

t.test(
  'records have the times that they were given, earlier than the first too, and else that of the append',
  async (t) => {
    const times = [nowMs, nowMs - 86_400_000, undefined, 0.5];
    const plain = { key: null, value: null, headers: {} };
    const encoded = encodeRecordBatch(
      times.map((timestampMs) => (timestampMs === undefined ? plain : { ...plain, timestampMs })),
      nowMs + 5,
    );
    const { records, nextOffset } = await decodeRecordSet(encoded, 0, []);
    t.strictSame(
      records.map(({ timestampMs }) => timestampMs),
      [nowMs, nowMs - 86_400_000, nowMs + 5, 0],
    );
    t.equal(nextOffset, 4);
    t.equal(Number(encoded.readBigInt64BE(35)), nowMs + 5, 'the latest one stands in the header of the batch');
  },
);

t.test('the answer has an error and the first offset for each partition, and how long to hold back', async (t) => {
  const partition = (number: number, error: number, offset: number): Buffer => {
    const bytes = Buffer.alloc(30);
    bytes.writeInt32BE(number);
    bytes.writeInt16BE(error, 4);
    bytes.writeBigInt64BE(BigInt(offset), 6);
    bytes.writeBigInt64BE(-1n, 14);
    bytes.writeBigInt64BE(3n, 22);
    return bytes;
  };
  const count = (number: number): Buffer => Buffer.from([0, 0, 0, number]);
  const answer = Buffer.concat([
    count(2),
    ...[Buffer.from('\0\x02ab'), count(2), partition(1, 0, 2 ** 40), partition(2, 6, -1)],
    ...[Buffer.from('\0\x01c'), count(0)],
    count(200),
  ]);
  t.strictSame(decodeProduce(answer), {
    partitions: [
      { topic: 'ab', partition: 1, errorCode: 0, baseOffset: 2 ** 40 },
      { topic: 'ab', partition: 2, errorCode: 6, baseOffset: -1 },
    ],
    clientSideThrottleTime: 200,
  });
  t.throws(() => decodeProduce(answer.subarray(0, 30)), RangeError, 'one that is cut short is refused');
});

t.test('the checksum is the same with and without machine code', async (t) => {
  t.not(crc32c, portableCrc32c, 'there is machine code for this platform');
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  await fc.assert(fc.asyncProperty(bytes, async (some) => crc32c(some) === portableCrc32c(some)));
});
