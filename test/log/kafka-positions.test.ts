import t from 'tap';
import { Cluster } from '../../broker/log/kafka/cluster.ts';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import type { Membership } from '../../broker/log/kafka/membership.ts';
import { Outage } from '../../broker/log/kafka/outage.ts';
import { readPositions } from '../../broker/log/kafka/positions.ts';
import { systemClock } from '../../runtime/clock.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { silent } from '../support/silent.ts';
import { Collector } from './conformance/collector.ts';
import { eventually, makeTopic, numbered, uniqueName } from './conformance/harness.ts';

/** Where the partitions of an assignment go on, of which a member of the group that is not its leader has two. */

const brokers = await kafkaBrokers();

async function startGroup() {
  const log = await openKafkaLog({ brokers, replicationFactor: 1, logger: silent });
  t.teardown(() => log.close());
  const topic = await makeTopic(log, 3);
  const group = uniqueName('group');
  for (const partition of [0, 1, 2]) await log.append(topic, partition, numbered(0, 5));
  const before = new Collector();
  await before.join(log, { group, topics: [topic], startAt: 'earliest' });
  await eventually(() => before.count === 15, 'all has come');
  await before.commit([0, 1, 2].map((partition) => ({ topic, partition, offset: 4, metadata: '' })));
  await before.close();

  const addresses = brokers.map((broker) => new URL(`kafka://${broker}`));
  const cluster = new Cluster(
    addresses.map(({ hostname, port }) => ({ host: hostname, port: Number(port) })),
    { clientId: 'test', ssl: null, sasl: null, connectTimeoutMs: 3_000, requestTimeoutMs: 10_000 },
    systemClock,
    silent,
    new Outage(systemClock, silent),
  );
  t.teardown(() => cluster.close());
  const generation = { generationId: 1, memberId: 'member', assignment: { [topic]: [1, 2] }, leads: null, syncedMs: 0 };
  // Only a leader needs it.
  const membership = undefined as unknown as Membership;
  const read = async () => {
    const { assignments } = await readPositions({ cluster, membership, group, generation, startAt: 'earliest' });
    return assignments.map(({ partition, offset }) => ({ partition, offset }));
  };
  return { cluster, read };
}

const committed = [
  { partition: 1, offset: 4 },
  { partition: 2, offset: 4 },
];

t.test('they go on where the group has committed', async (t) => {
  const { read } = await startGroup();
  t.strictSame(await read(), committed);
});

t.test('nor do they begin anew because another question makes the leaders forgotten as they are learned', async (t) => {
  const { cluster, read } = await startGroup();
  const metadata = cluster.metadata.bind(cluster);
  cluster.metadata = async (topics) => {
    const answer = await metadata(topics);
    for (const topic of topics) cluster.forgetTopic(topic);
    return answer;
  };
  t.strictSame(await read(), committed);
});

t.test('nor because a broker has not heard of the newest partition yet', async (t) => {
  const { cluster, read } = await startGroup();
  cluster.partitions = async () => [0, 1];
  t.strictSame(await read(), committed);
});

t.test('nor because an answer lacks a partition: it is asked again', async (t) => {
  const { cluster, read } = await startGroup();
  const toCoordinator = cluster.toCoordinator.bind(cluster);
  cluster.toCoordinator = async (group, api, payload) => {
    const answer = await toCoordinator(group, api, payload);
    if (api !== 'OffsetFetch') return answer;
    const { responses } = answer as { responses: readonly { partitions: readonly { partition: number }[] }[] };
    const without = responses.map((one) => ({
      ...one,
      partitions: one.partitions.filter(({ partition }) => partition !== 2),
    }));
    return { ...(answer as object), responses: without } as typeof answer;
  };
  await t.rejects(read(), { message: /lacks the commit of .*\[2\]/ });
});
