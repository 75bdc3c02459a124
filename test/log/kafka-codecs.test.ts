import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { pino } from 'pino';
import { compress as snap } from 'snappy';
import t from 'tap';
import { decompress } from '../../broker/log/kafka/compression.ts';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { Collector } from './conformance/collector.ts';
import { eventually, numbered, readAll, record, uniqueName, valuesOf } from './conformance/harness.ts';

const brokers = await kafkaBrokers();
const log = await openKafkaLog({ brokers, replicationFactor: 1, logger: pino({ level: 'silent' }) });
t.teardown(() => log.close());
const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING });

for (const codec of ['gzip', 'snappy', 'lz4', 'zstd', 'uncompressed']) {
  t.test(`records that the broker keeps in ${codec} are read and handed out`, async (t) => {
    const topic = uniqueName(codec);
    await createTopic(topic, [{ name: 'compression.type', value: codec }]);
    const small = numbered(0, 1_000).map((one) => ({ ...one, headers: { name: 'value' } }));
    await log.append(topic, 0, small);
    // Above what the codecs put into one block, and not to be compressed away.
    const large = record(Array.from({ length: 9_000 }, () => randomUUID()).join(''));
    await log.append(topic, 0, [large]);
    const values = [...small, large].map((one) => String(one.value));

    t.strictSame(valuesOf(await readAll(log, topic, 0)), values);
    t.strictSame(valuesOf(await readAll(log, topic, 0, 990)), values.slice(990), 'from within a batch');
    const collector = new Collector();
    await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
    await eventually(() => collector.count === values.length, 'all records were handed out');
    t.strictSame(collector.valuesOf(topic, 0), values);
    t.equal(String(collector.recordsOf(topic, 0)[0]?.headers.name), 'value');
    await collector.close();
  });
}

t.test('snappy is read with and without the frame that Java producers put around it', async (t) => {
  const text = Buffer.from('to be compressed, '.repeat(100));
  const block = Buffer.from(await snap(text));
  t.ok((await decompress(2, block)).equals(text));
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(block.length);
  const framed = Buffer.concat([header, length, block, length, block]);
  t.ok((await decompress(2, framed)).equals(Buffer.concat([text, text])));
});

t.test('of transactions the committed records are seen, the aborted are not, and positions cross both', async (t) => {
  const topic = uniqueName('transactions');
  await createTopic(topic, []);
  const producer = kafka.producer({ transactionalId: uniqueName('id'), idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const send = async (value: string, outcome: 'commit' | 'abort'): Promise<void> => {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value }, { value: `${value} again` }] });
    await transaction[outcome]();
  };
  await log.append(topic, 0, [record('plain')]);
  await send('aborted', 'abort');
  await send('committed', 'commit');

  const values = ['plain', 'committed', 'committed again'];
  t.strictSame(valuesOf(await readAll(log, topic, 0)), values);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.count === values.length, 'the visible records were handed out');
  await send('aborted at the end', 'abort');
  await producer.disconnect();
  const [end] = await log.ends(topic);
  t.equal(end?.offset, 1 + 3 * (2 + 1));
  await eventually(() => collector.positionOf(topic, 0) === end?.offset, 'what has no records is told as well');
  await log.append(topic, 0, [record('after')]);
  await eventually(() => collector.count === values.length + 1, 'the record after the marker was handed out');
  t.strictSame(collector.valuesOf(topic, 0), [...values, 'after']);
  await collector.close();
  t.strictSame(collector.violations, []);
});

async function createTopic(topic: string, configEntries: { name: string; value: string }[]): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: false });
  await admin.disconnect();
  await eventually(() => log.ranges(topic).then(() => true), `topic ${topic} is there`);
}
