import { Kafka, logLevel } from 'kafkajs';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Cluster } from '../../broker/log/kafka/cluster.ts';
import { KafkaConsumer } from '../../broker/log/kafka/consumer.ts';
import type { FetchAnswer } from '../../broker/log/kafka/fetch-answer.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import { Outage } from '../../broker/log/kafka/outage.ts';
import type { ConsumeOptions, Log } from '../../broker/log/log.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { Collector } from './conformance/collector.ts';
import { counting, eventually, makeTopic, numbered, rangeOf, readAll, uniqueName } from './conformance/harness.ts';

const brokers = await kafkaBrokers();
const silent = pino({ level: 'silent' });

/** All that Node warned of while this file ran: it warns once of a kind. */
const warnings: Error[] = [];
process.on('warning', (warning) => warnings.push(warning));

async function open(options: Partial<KafkaLogOptions> = {}): Promise<Log> {
  const log = await openKafkaLog({ brokers, replicationFactor: 1, logger: silent, ...options });
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
  await log.ensureTopics([topic], { partitions: 2, retentionMs: null, maxMessageBytes: 1_000_000 });
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

for (const point of ['JoinGroup', 'SyncGroup'] as const) {
  t.test(`a consumer that closes while ${point} is answered is gone at once, and hands out nothing`, async (t) => {
    const log = await open();
    const topic = await makeTopic(log, 2);
    await log.append(topic, 0, numbered(0, 3));
    const group = uniqueName('group');
    // With its starts committed the group has nothing left that Kafka would refuse to one who has left.
    const before = new Collector();
    await before.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => before.assignments.length === 2, 'the starts are committed');
    await before.close();
    const handler = new Collector();
    const { consumer, own } = newConsumer({ group, topics: [topic], startAt: 'earliest', handler }, systemClock);
    let closing: Promise<void> | null = null;
    const toCoordinator = own.toCoordinator.bind(own);
    own.toCoordinator = async (group, api, payload) => {
      const answer = await toCoordinator(group, api, payload);
      if (api === point) closing ??= consumer.close();
      return answer;
    };
    const beganMs = performance.now();
    consumer.start();
    await eventually(() => closing !== null, 'the consumer closes');
    await closing;
    t.strictSame(handler.assignedLists, [[]]);
    const next = new Collector();
    await next.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => next.count === 3, 'the next consumer has the partitions');
    t.ok(performance.now() - beganMs < 10_000, 'nobody waited for a session to time out');
    await next.close();
    t.strictSame(handler.assignedLists, [[]]);
  });
}

t.test('a member that has not heard from its group for the session timeout hands out nothing', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 1);
  const { handler, consumer, cutOff, comeBack, fetches } = startCutOffable(t, topic);
  await log.append(topic, 0, numbered(0, 1));
  await eventually(() => handler.count === 1, 'the first record has come');

  await cutOff();
  fetches.bytes = 0;
  await log.append(topic, 0, numbered(1, 1));
  await eventually(() => fetches.bytes > 0, 'the second record is fetched');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(handler.count, 1);

  comeBack();
  await eventually(() => handler.count === 2, 'it comes, since the group had us as a member after all');
  await consumer.close();
  t.strictSame(handler.violations, []);
});

t.test('nor does it tell that records are lost: their next owner may have settled them', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 1);
  const { handler, consumer, cutOff, comeBack, fetches } = startCutOffable(t, topic);
  // Before it is assigned, so that nothing is fetched of it.
  consumer.pause([{ topic, partition: 0 }]);
  await eventually(() => handler.assignments.length === 1, 'the partition is assigned');
  await log.append(topic, 0, numbered(0, 3));
  await log.trim(topic, 0, 2);
  await eventually(async () => (await rangeOf(log, topic, 0)).start === 2, 'the records are gone');
  await cutOff();
  consumer.resume([{ topic, partition: 0 }]);
  await eventually(() => fetches.outOfRange > 1, 'it was told twice that its position is not in the log');
  t.strictSame(handler.lostRanges, []);

  comeBack();
  await eventually(() => handler.count === 1, 'what is left has come');
  t.strictSame(handler.lostRanges, [{ topic, partition: 0, from: 0, to: 2 }]);
  await consumer.close();
  t.strictSame(handler.violations, []);
});

/** A consumer that can be cut off from its group, as by SIGSTOP and SIGCONT: a minute passes, no heartbeat is answered. */
function startCutOffable(t: Test, topic: string) {
  const handler = new Collector();
  const options: ConsumeOptions = { group: uniqueName('group'), topics: [topic], startAt: 'earliest', handler };
  let passedMs = 0;
  const { consumer, own } = newConsumer(options, {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + passedMs,
  });
  const heartbeats = Promise.withResolvers<void>();
  let isCutOff = false;
  let heldBack = 0;
  const toCoordinator = own.toCoordinator.bind(own);
  own.toCoordinator = async (group, api, payload) => {
    if (isCutOff && api === 'Heartbeat') {
      heldBack++;
      await heartbeats.promise;
    }
    return toCoordinator(group, api, payload);
  };
  const fetches = { bytes: 0, outOfRange: 0 };
  const toNode = own.toNode.bind(own);
  own.toNode = async (node, api, ...request) => {
    const answer = await toNode(node, api, ...request);
    if (api !== 'Fetch') return answer;
    for (const { recordSet, errorCode } of (answer as unknown as FetchAnswer).partitions) {
      fetches.bytes += recordSet?.length ?? 0;
      if (errorCode === 1) fetches.outOfRange++;
    }
    return answer;
  };
  consumer.start();
  t.teardown(() => consumer.close());
  return {
    ...{ handler, consumer, fetches },
    cutOff: async () => {
      isCutOff = true;
      await eventually(() => heldBack === 1, 'a heartbeat waits');
      passedMs = 60_000;
    },
    comeBack: () => {
      isCutOff = false;
      heartbeats.resolve();
    },
  };
}

t.test('where nothing has come for a while and nothing is paused, a fetch waits longer at the broker', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 2);
  const handler = new Collector();
  const options: ConsumeOptions = { group: uniqueName('group'), topics: [topic], startAt: 'earliest', handler };
  let passedMs = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passedMs };
  const { consumer, own } = newConsumer(options, clock);
  let waitMs = 0;
  const toNode = own.toNode.bind(own);
  own.toNode = (node, api, payload, ...more) => {
    waitMs = (payload as { maxWaitTime: number }).maxWaitTime;
    return toNode(node, api, payload, ...more);
  };
  consumer.start();
  await eventually(() => waitMs === 250, 'it begins to fetch');
  passedMs = 10_000;
  await eventually(() => waitMs === 1_000, 'it is idle');
  await log.append(topic, 0, numbered(0, 1));
  await eventually(() => handler.count === 1 && waitMs === 250, 'a record has come');
  consumer.pause([{ topic, partition: 1 }]);
  passedMs = 20_000;
  await log.append(topic, 0, numbered(1, 1));
  await eventually(() => handler.count === 2, 'another has come');
  passedMs = 30_000;
  consumer.resume([{ topic, partition: 1 }]);
  await eventually(() => waitMs === 1_000, 'it is idle again');
  consumer.pause([{ topic, partition: 1 }]);
  await eventually(() => waitMs === 250, 'what is resumed is not to wait long');
  await consumer.close();
  t.strictSame(handler.violations, []);
});

t.test('where more waits than a fetch brings, no partition waits until others are read to their end', async (t) => {
  const log = await open();
  const partitions = 20;
  const topic = await makeTopic(log, partitions);
  // A batch each, of which two fit what is asked for of a partition.
  const records = [{ key: null, value: Buffer.alloc(100_000), headers: {} }];
  for (let partition = 0; partition < partitions; partition++) {
    for (let batch = 0; batch < 8; batch++) await log.append(topic, partition, records);
  }
  const handler = new Collector();
  let firstEndedAfter = 0;
  const begun = new Set<number>();
  handler.take = ({ partition, records, nextOffset }) => {
    if (firstEndedAfter === 0) begun.add(partition);
    if (nextOffset === 8 && firstEndedAfter === 0) firstEndedAfter = begun.size;
    return records.length;
  };
  await handler.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => handler.count === 8 * partitions, 'all has come');
  t.equal(firstEndedAfter, partitions);
  await handler.close();
  t.strictSame(handler.violations, []);
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

/** Not started. @returns own the connections on which it joins, stays alive and fetches, to be tampered with */
function newConsumer(options: ConsumeOptions, clock: Clock): { consumer: KafkaConsumer; own: Cluster } {
  const outage = new Outage(clock, silent);
  const newCluster = (): Cluster =>
    new Cluster(
      brokers.map((broker) => ({ host: broker.split(':')[0] ?? '', port: Number(broker.split(':')[1]) })),
      { clientId: 'test', ssl: null, sasl: null, connectTimeoutMs: 3_000, requestTimeoutMs: 10_000 },
      clock,
      silent,
      outage,
    );
  const [own, shared] = [newCluster(), newCluster()];
  t.teardown(() => shared.close());
  const consumer = new KafkaConsumer({
    ...{ ...options, own, shared, logger: silent, clock, outage },
    ...{ sessionTimeoutMs: 15_000, heartbeatMs: 100, growthCheckMs: 10_000 },
  });
  return { consumer, own };
}
