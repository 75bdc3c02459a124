import t from 'tap';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import { startKafkaCluster } from '../support/kafka/cluster.ts';
import { startRefusingProxy } from '../support/kafka/refusing-proxy.ts';
import { silent } from '../support/silent.ts';
import { Collector } from './conformance/collector.ts';
import { eventually, makeTopic, numbered, uniqueName } from './conformance/harness.ts';

/** A cluster of our own of one node, which clients reach through a proxy alone. */
const proxy = await startRefusingProxy();
const cluster = await startKafkaCluster({
  properties: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}` },
});
proxy.forwardTo(Number(cluster.brokers[0]?.split(':')[1]));
t.teardown(async () => {
  await proxy.close();
  await cluster.stop();
});

// Seen after the kill of a coordinator: both members read on and sent heartbeats, and no commit worked for 67 s.
t.test('members that read on while every commit fails give their partitions up, and commit again', async (t) => {
  const group = uniqueName('group');
  const logs = await Promise.all([open(), open()]);
  const topic = await makeTopic(logs[0], 2);
  const members = logs.map(() => new Collector());
  for (const [index, member] of members.entries()) {
    await member.join(logs[index] ?? logs[0], { group, topics: [topic], startAt: 'earliest' });
  }
  await eventually(() => members.every(({ assignments }) => assignments.length === 1), 'each to have a partition');
  const commitAll = (): Promise<void>[] =>
    members.map((member) => {
      const [owned] = member.assignments;
      if (owned === undefined) return Promise.reject(new Error('owns nothing'));
      const { partition } = owned;
      const read = member.recordsOf(topic, partition).at(-1)?.offset ?? owned.offset - 1;
      return member.commit([{ topic, partition, offset: read + 1, metadata: '' }]);
    });
  const append = () => Promise.all([0, 1].map((partition) => logs[0].append(topic, partition, numbered(0, 5))));
  await append();
  await eventually(() => members.every(({ count }) => count === 5), 'the records to be read');
  await Promise.all(commitAll());

  proxy.refuseCommits();
  await append();
  await eventually(() => members.every(({ count }) => count === 10), 'more to be read while commits fail');
  const refused = await Promise.allSettled(commitAll());
  t.match(refused, [{ reason: /NOT_COORDINATOR/ }, { reason: /NOT_COORDINATOR/ }]);
  t.ok(proxy.refusedCommits > 2, 'each was tried again');
  t.ok(proxy.heartbeats > 10, 'the group took both members to be alive');

  const isHealed = async () => (await Promise.allSettled(commitAll())).every(({ status }) => status === 'fulfilled');
  await eventually(isHealed, 'the commits to work again');
  t.match(
    members.flatMap(({ disturbances }) => disturbances.map(({ message }) => message)),
    /no commit has worked for 3000 ms/,
  );
  await eventually(
    () => members.every(({ assignments }) => assignments.length === 1),
    'each to have a partition again',
  );
  const isRead = ({ assignments: [owned], count }: Collector) => owned !== undefined && owned.offset + count === 10;
  await eventually(() => members.every(isRead), 'each to have a partition again, and to have read it');
  await Promise.all(commitAll());
  const committed = await logs[0].committed(group, topic);
  t.same(
    committed.map(({ offset }) => offset),
    [10, 10],
  );
  await Promise.all(members.map((member) => member.close()));
  t.same(
    members.flatMap(({ violations }) => violations),
    [],
  );
});

async function open() {
  const log = await openKafkaLog({
    brokers: [`127.0.0.1:${proxy.port}`],
    replicationFactor: 1,
    logger: silent,
    ...{ sessionTimeoutMs: 1_500, heartbeatMs: 100 },
  });
  t.teardown(() => log.close());
  return log;
}
