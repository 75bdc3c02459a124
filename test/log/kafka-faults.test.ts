import { pino } from 'pino';
import t from 'tap';
import { LogUnavailableError } from '../../broker/log/errors.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { startKafkaCluster } from '../support/kafka/cluster.ts';
import { startProxy } from '../support/kafka/proxy.ts';
import { until } from '../support/until.ts';
import { Collector } from './conformance/collector.ts';
import { eventually, makeTopic, readAll, record, uniqueName, valuesOf } from './conformance/harness.ts';

/** A cluster of our own of one node, which clients reach through a proxy alone. */
const proxy = await startProxy();
const cluster = await startKafkaCluster({
  properties: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}` },
});
proxy.forwardTo(Number(cluster.brokers[0]?.split(':')[1]));
t.teardown(async () => {
  await proxy.close();
  await cluster.stop();
});

async function open(options: Partial<KafkaLogOptions> = {}): Promise<Log> {
  const brokers = [`127.0.0.1:${proxy.port}`];
  const log = await openKafkaLog({ brokers, replicationFactor: 1, logger: pino({ level: 'silent' }), ...options });
  t.teardown(() => log.close());
  return log;
}

t.test('appends whose answers are lost with the connection are in the log, and in order', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 2);
  const count = 120;
  const appends = [0, 1].map(async (partition) => {
    for (let i = 0; i < count; i++) {
      if (i % 20 === 10) {
        proxy.mode('swallow');
        setImmediate(() => {
          proxy.mode('pass');
          proxy.cut();
        });
      }
      await log.append(topic, partition, [record(String(i))]);
    }
  });
  await Promise.all(appends);
  for (const partition of [0, 1]) {
    const values = valuesOf(await readAll(log, topic, partition)).map(Number);
    t.equal(new Set(values).size, count, 'every record is there');
    t.ok(
      values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0)),
      'none is behind a later one',
    );
    t.comment(`${values.length - count} of ${count} are there twice`);
  }
});

t.test('a member whose heartbeats are not answered gives its partitions up, and comes back by itself', async (t) => {
  const log = await open({ sessionTimeoutMs: 1_500, heartbeatMs: 100 });
  const topic = await makeTopic(log, 2);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignments.length === 2, 'the partitions are assigned');
  const epoch = collector.epoch;

  proxy.mode('freeze');
  await eventually(() => collector.assignments.length === 0, 'the partitions are given up');
  t.ok(collector.disturbances.length > 0, 'with a reason');
  t.ok(collector.epoch > epoch);
  proxy.mode('pass');
  await eventually(() => collector.assignments.length === 2, 'the partitions are assigned again');
  await log.append(topic, 1, [record('after')]);
  await eventually(() => collector.valuesOf(topic, 1).includes('after'), 'the record from after has come');
  await collector.close();
  t.strictSame(collector.violations, []);
});

t.test('an outage is one line, whatever reads and appends in it, and one when it is over', async (t) => {
  const topic = await makeTopic(await open(), 8);
  const lines: { msg: string; affected?: string; lastedMs?: number }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const log = await open({ sessionTimeoutMs: 3_000, heartbeatMs: 100, logger });
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignments.length === 8, 'the partitions are assigned');

  proxy.mode('freeze');
  const appends = [0, 1, 2, 3, 4, 5, 6, 7].map((partition) => log.append(topic, partition, [record('during')]));
  await eventually(() => lines.length > 0 && collector.disturbances.length > 0, 'it is told');
  t.match(lines, [{ msg: 'Kafka fails, trying on', affected: /group/ }]);
  proxy.mode('pass');
  await Promise.all(appends);
  await eventually(() => collector.count >= 8, 'the records have come');
  await eventually(() => lines.length > 1, 'its end is told');
  t.match(lines.slice(1), [{ msg: 'Kafka works again' }]);
  t.ok((lines[1]?.lastedMs ?? 0) >= 5_000);
  t.match([...new Set(collector.disturbances.map((error) => (error as LogUnavailableError).isOutage))], [true]);
  await collector.close();
});

t.test('a wall clock that is set back does not change how long Kafka may be silent', async (t) => {
  const log = await open({ sessionTimeoutMs: 1_500, heartbeatMs: 100 });
  const topic = await makeTopic(log, 1);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignments.length === 1, 'the partition is assigned');

  const { now } = Date;
  t.teardown(() => {
    Date.now = now;
  });
  proxy.mode('freeze');
  // It runs back all the time, so that it does while a request is in flight, whenever that is.
  const [wallMs, startMs] = [now(), performance.now()];
  Date.now = () => Math.round(wallMs - (performance.now() - startMs) * 1_000);
  await until(() => collector.assignments.length === 0, 'the partition is given up in time');
  proxy.mode('pass');
  await eventually(() => collector.assignments.length === 1, 'the partition is assigned again');
  await collector.close();
});

t.test('a member whose commits keep failing gives its partitions up, and comes back by itself', async (t) => {
  const log = await open({ sessionTimeoutMs: 1_500, heartbeatMs: 100 });
  const topic = await makeTopic(log, 1);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.assignments.length === 1, 'the partition is assigned');
  // Kafka takes no commit on a topic that it does not have, and the driver can't know that none will come.
  const commit = { topic: uniqueName('nowhere'), partition: 0, offset: 0, metadata: '' };
  await t.rejects(collector.commit([commit]), LogUnavailableError);
  await eventually(() => collector.assignedLists.some((list) => list.length === 0), 'the partition is given up');
  t.match(collector.disturbances.at(-1)?.message, /no commit has worked/);
  await eventually(() => collector.assignments.length === 1, 'the partition is assigned again');
  await collector.close();
});

t.test('a broker that is killed and started again is all that appends and consumers need', async (t) => {
  const log = await open();
  const topic = await makeTopic(log, 3);
  const group = uniqueName('group');
  const collector = new Collector();
  await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
  await log.append(topic, 0, [record('before')]);
  await eventually(() => collector.count === 1, 'the record from before has come');
  await collector.commit([{ topic, partition: 0, offset: 1, metadata: 'kept' }]);

  await cluster.kill(0);
  const appends = [0, 1, 2].map((partition) => log.append(topic, partition, [record(`during ${partition}`)]));
  await cluster.restart(0);
  await Promise.all(appends);
  const seen = (): string[] =>
    [0, 1, 2].flatMap((partition) => valuesOf(collector.recordsOf(topic, partition)).map(String));
  await eventually(
    () => [0, 1, 2].every((partition) => seen().includes(`during ${partition}`)),
    'the records have come',
  );
  await eventually(async () => {
    const { epoch } = collector;
    await collector.commit([{ topic, partition: 1, offset: 1, metadata: '' }]).catch(() => {});
    return (
      epoch === collector.epoch &&
      (await log.committed(group, topic)).some((one) => one.partition === 1 && one.offset === 1)
    );
  }, 'commits work again');
  await collector.close();
  t.strictSame(collector.violations, []);
});

t.test('a user name and a password are used, and wrong ones are told at once', async (t) => {
  const guarded = await startKafkaCluster({
    properties: {
      'listener.security.protocol.map': 'PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
      'inter.broker.listener.name': 'PLAINTEXT',
      'sasl.enabled.mechanisms': 'PLAIN',
      'sasl.mechanism.inter.broker.protocol': 'PLAIN',
      'listener.name.plaintext.plain.sasl.jaas.config':
        'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
        'username="broker" password="own" user_broker="own" user_posthorn="secret";',
    },
  });
  t.teardown(() => guarded.stop());
  const login = async (password: string): Promise<Log> => {
    const log = await openKafkaLog({
      brokers: guarded.brokers,
      sasl: { mechanism: 'plain', username: 'posthorn', password },
      replicationFactor: 1,
      logger: pino({ level: 'silent' }),
    });
    t.teardown(() => log.close());
    return log;
  };
  await t.rejects(login('guessed'), { name: 'LogUnavailableError', message: /[Aa]uthentication/ });
  const log = await login('secret');
  const topic = await makeTopic(log, 1);
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics: [topic], startAt: 'earliest' });
  await log.append(topic, 0, [record('let in')]);
  await eventually(() => collector.count === 1, 'the record has come');
  await collector.close();
});
