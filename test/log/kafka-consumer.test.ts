import { Kafka, logLevel } from 'kafkajs';
import { pino } from 'pino';
import t from 'tap';
import { type KafkaLogOptions, openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { Collector } from './conformance/collector.ts';
import { counting, eventually, makeTopic, numbered, rangeOf, readAll, uniqueName } from './conformance/harness.ts';

const brokers = await kafkaBrokers();

async function open(options: Partial<KafkaLogOptions> = {}): Promise<Log> {
  const log = await openKafkaLog({ brokers, replicationFactor: 1, logger: pino({ level: 'silent' }), ...options });
  t.teardown(() => log.close());
  return log;
}

t.test('partitions that are added to a topic are read from their beginning', async (t) => {
  const log = await open({ growthCheckMs: 200, heartbeatMs: 100 });
  const topic = await makeTopic(log, 1);
  const group = uniqueName('group');
  const [first, second] = [new Collector(), new Collector()];
  await first.join(log, { group, topics: [topic], startAt: 'latest' });
  await eventually(() => first.assignments.length === 1, 'the partition is assigned');
  await second.join(log, { group, topics: [topic], startAt: 'latest' });

  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
  await admin.disconnect();
  // Appended before the group knows of it, and read nevertheless, although the group began at the end.
  await log.append(topic, 2, numbered(0, 5));
  await eventually(() => first.assignments.length + second.assignments.length === 3, 'all partitions are assigned');
  await eventually(() => first.count + second.count === 5, 'the records of the new partition have come');
  await first.close();
  await second.close();
  t.strictSame([first.violations, second.violations], [[], []]);
});

t.test('a topic that comes after its consumer is read', async () => {
  const log = await open({ growthCheckMs: 200, heartbeatMs: 100 });
  const topic = uniqueName('topic');
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignedLists.length > 0, 'the group is joined');
  await log.ensureTopic(topic, { partitions: 2, retentionMs: null, maxMessageBytes: 1_000_000 });
  await log.append(topic, 1, numbered(0, 3));
  await eventually(() => collector.count === 3, 'the records have come');
  await collector.close();
});

t.test('records that are trimmed away before a reader that runs are reported as lost', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 1);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  // Before it is assigned, so that nothing is fetched of it.
  collector.pause([{ topic, partition: 0 }]);
  await eventually(() => collector.assignments.length === 1, 'the partition is assigned');
  await log.append(topic, 0, numbered(0, 10));
  await log.trim(topic, 0, 6);
  await eventually(async () => (await rangeOf(log, topic, 0)).start === 6, 'the records are gone');
  collector.resume([{ topic, partition: 0 }]);
  await eventually(() => collector.count === 4, 'the records that are left have come');
  t.strictSame(collector.lostRanges, [{ topic, partition: 0, from: 0, to: 6 }]);
  t.strictSame(collector.valuesOf(topic, 0), counting(6, 4));
  await collector.close();
  t.strictSame(collector.violations, []);
});

t.test('commit metadata above what Kafka keeps is refused whole, before anything is sent', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 2);
  const group = uniqueName('group');
  const collector = new Collector();
  await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignments.length === 2, 'the partitions are assigned');
  await log.append(topic, 0, numbered(0, 2));
  const commit = { topic, partition: 0, offset: 1, metadata: 'x'.repeat(4_096) };
  await collector.commit([commit]);
  t.equal((await log.committed(group, topic))[0]?.metadata.length, 4_096);
  const tooLong = { topic, partition: 1, offset: 0, metadata: 'x'.repeat(4_097) };
  await t.rejects(collector.commit([{ ...commit, offset: 2 }, tooLong]), RangeError);
  t.equal((await log.committed(group, topic))[0]?.offset, 1);
  await collector.close();
});

t.test('members that come and go lose no record', async (t) => {
  const logs = [await open({ heartbeatMs: 100 }), await open({ heartbeatMs: 100 })];
  const [log] = logs;
  if (log === undefined) return;
  const topic = await makeTopic(log, 6);
  const group = uniqueName('group');
  const seen = new Set<string>();
  const leaving: Promise<void>[] = [];

  const join = async (one: Log): Promise<Collector> => {
    const collector = new Collector();
    // Commits what it took, at once, under the epoch in which it took it; a refusal means that it comes again.
    collector.take = (batch) => {
      for (const { value } of batch.records) seen.add(`${batch.partition}/${value}`);
      const commit = { topic, partition: batch.partition, offset: batch.nextOffset, metadata: '' };
      collector.commit([commit]).catch(() => {});
      return batch.records.length;
    };
    await collector.join(one, { group, topics: [topic], startAt: 'earliest' });
    return collector;
  };
  const members = await Promise.all(logs.map(join));
  const count = 200;
  for (let i = 0; i < count; i += 10) {
    await Promise.all([0, 1, 2, 3, 4, 5].map((partition) => log.append(topic, partition, numbered(i, 10))));
    if (i % 40 !== 0) continue;
    const leaver = members.shift();
    if (leaver !== undefined) leaving.push(leaver.close());
    const other = logs[(i / 40) % 2] ?? log;
    members.push(await join(other));
  }
  await eventually(() => seen.size === 6 * count, 'every record was seen');
  await Promise.all([...leaving, ...members.map((member) => member.close())]);
  t.strictSame(
    members.flatMap(({ violations }) => violations),
    [],
  );
});

t.test('a consumer that closes while it joins is gone at once, at whatever point', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 2);
  const group = uniqueName('group');
  const beganMs = performance.now();
  for (let turns = 0; turns < 80; turns += 4) {
    const collector = new Collector();
    await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    await collector.close();
    t.strictSame(collector.violations, []);
  }
  const next = new Collector();
  await next.join(log, { group, topics: [topic], startAt: 'earliest' });
  await eventually(() => next.assignments.length === 2, 'the next consumer has the partitions');
  t.ok(performance.now() - beganMs < 10_000, 'no member was waited for until its session timed out');
  await next.close();
});

t.test('an append that follows its topic to new partitions is read like any other', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 1);
  await log.append(topic, 0, numbered(0, 1));
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] });
  await admin.disconnect();
  await log.append(topic, 1, numbered(0, 3));
  t.equal((await readAll(log, topic, 1)).length, 3);
});

t.test('an idle log warns of nothing and keeps the processor idle', async (t) => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const log = await open({ heartbeatMs: 100 });
  const topic = await makeTopic(log, 4);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignments.length === 4, 'the partitions are assigned');
  const before = process.cpuUsage();
  const beganMs = performance.now();
  await eventually(() => performance.now() - beganMs > 1_000, 'a second has passed');
  const { user, system } = process.cpuUsage(before);
  t.comment(
    `${((user + system) / 10_000 / ((performance.now() - beganMs) / 1_000)).toFixed(1)} % of a core, polling of the test included`,
  );
  await collector.close();
  t.strictSame(warnings, []);
});
