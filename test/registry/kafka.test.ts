import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { registryFreshMs } from '../../broker/trigger/registry.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { until } from '../support/until.ts';
import { applyTexts, brokerText, silent, startBrokers, summary, triggerText } from './setup.ts';

// An apply takes 3 s, and 6 s where it makes a broker.
t.setTimeout(120_000);

t.test('what one process applies on Kafka is known to the other before apply returns', async (t) => {
  const { here, there } = await twoProcesses(t);
  const beganMs = performance.now();
  await applyTexts(here, [triggerText('orders', { type: 'order.created' }), triggerText('all')]);
  t.ok(performance.now() - beganMs >= registryFreshMs, 'as long as an older state may be held for fresh');
  const [mine, theirs] = [here, there].map((one) => one.get('default', 'default'));
  t.equal(theirs?.isFresh(), true);
  t.strictSame([...(theirs?.snapshot().triggers.values() ?? [])], [...(mine?.snapshot().triggers.values() ?? [])]);
  t.equal(theirs?.snapshot().triggers.size, 2);

  const changed = await applyTexts(there, [triggerText('all', { uri: 'http://new.example/' })]);
  t.strictSame(summary(changed), ['Trigger default/all configured']);
  t.match(mine?.stored().triggers.get('all'), { generation: 2, trigger: { subscriberUri: 'http://new.example/' } });
  t.strictSame(summary(await applyTexts(here, [triggerText('all', { uri: 'http://new.example/' })])), [
    'Trigger default/all unchanged',
  ]);
});

t.test('a broker made in one process is served by the other before apply returns', async (t) => {
  const { here, there, prefix } = await twoProcesses(t);
  await applyTexts(here, [brokerText('shop'), triggerText('a', { broker: 'shop' })]);
  t.equal(there.get('default', 'shop')?.topics().events, `${prefix}.default.shop`);
  t.equal(there.get('default', 'shop')?.snapshot().triggers.size, 1);
});

t.test('of two processes that make the same trigger for two owners one is told that it lost', async (t) => {
  const { here, there } = await twoProcesses(t);
  const results = await Promise.allSettled([
    applyTexts(here, [triggerText('a')], { owner: 'here' }),
    applyTexts(there, [triggerText('a')], { owner: 'there' }),
  ]);
  const lost = results.filter((result) => result.status === 'rejected');
  t.match(lost, [{ reason: { code: /^APPLY_(CONFLICT|REFUSED)$/ } }]);
  const owners = [here, there].map((one) => one.get('default', 'default')?.stored().triggers.get('a')?.owner);
  t.equal(owners[0], owners[1]);
});

t.test('a registry on a Kafka that no longer answers stops being fresh', async (t) => {
  const { here, logs } = await twoProcesses(t);
  const registry = here.get('default', 'default');
  await registry?.whenFresh();
  await logs[0].close();
  await until(() => registry?.isFresh() === false, 'the registry is stale', 2 * registryFreshMs);
});

async function twoProcesses(t: Test) {
  const prefix = `test-${randomUUID()}`;
  const brokers = await kafkaBrokers();
  const open = (): Promise<Log> => openKafkaLog({ brokers, logger: silent, replicationFactor: 1 });
  const logs = [await open(), await open()] as const;
  t.teardown(async () => {
    for (const log of logs) await log.close();
  });
  const here = await startBrokers(t, logs[0], { prefix });
  const there = await startBrokers(t, logs[1], { prefix });
  return { here, there, logs, prefix };
}
