import t from 'tap';
import { BacklogGauge, LagGauge } from '../../dispatcher/waiting-gauges.ts';
import { createMetrics } from '../../runtime/metrics.ts';

const position = (topic: string, partition: number, at: number, isDrained = false) => ({
  ...{ topic, partition, isDrained },
  position: at,
});

t.test('what another process has by now is shown by that one alone', async (t) => {
  const metrics = createMetrics();
  const asked: string[] = [];
  const log = {
    async ends(topic: string) {
      asked.push(topic);
      return [0, 1].map((partition) => ({ partition, offset: 10 }));
    },
  };
  let positions = [position('events', 0, 4), position('events', 1, 10)];
  const lanes = [{ group: 'group', topics: ['events'], lane: { positions: () => positions } }];
  const lag = new LagGauge({ log, metrics });
  const shown = async (name: string): Promise<string[]> => {
    const text = await metrics.registry.getSingleMetricAsString(name);
    return text.split('\n').filter((line) => !line.startsWith('#') && line !== '');
  };
  await lag.measure(lanes);
  t.strictSame(await shown('posthorn_lane_lag_records'), [
    'posthorn_lane_lag_records{group="group",topic="events",partition="0"} 6',
    'posthorn_lane_lag_records{group="group",topic="events",partition="1"} 0',
  ]);
  positions = [position('events', 1, 9)];
  await lag.measure(lanes);
  t.strictSame(await shown('posthorn_lane_lag_records'), [
    'posthorn_lane_lag_records{group="group",topic="events",partition="1"} 1',
  ]);

  let retries = [position('retry.gone', 0, 3), position('retry.a', 0, 3), position('retry.b', 0, 10, true)];
  const backlog = new BacklogGauge({ log, metrics }, 'default/default', 'retry.');
  const triggers = new Set(['a', 'b']);
  const measure = () => backlog.measure([{ positions: () => retries }], triggers);
  await measure();
  const a = 'posthorn_retry_backlog_records{broker="default/default",trigger="a"}';
  const b = 'posthorn_retry_backlog_records{broker="default/default",trigger="b"}';
  t.strictSame(await shown('posthorn_retry_backlog_records'), [`${a} 7`, `${b} 0`]);
  t.notOk(asked.includes('retry.b'), 'a topic in which nothing waits is not asked about');
  retries = [position('retry.a', 0, 10, true), position('retry.b', 0, 9)];
  await measure();
  t.strictSame(await shown('posthorn_retry_backlog_records'), [`${a} 0`, `${b} 1`]);
  retries = [position('retry.b', 0, 10, true)];
  await measure();
  t.strictSame(await shown('posthorn_retry_backlog_records'), [`${b} 0`]);

  retries = [position('retry.b', 0, 9)];
  await measure();
  metrics.forgetTrigger('default/default', 'b');
  await measure();
  t.strictSame(await shown('posthorn_retry_backlog_records'), [`${b} 1`], 'of one that was made anew');

  retries = [position('retry.b', 0, 4, true)];
  asked.length = 0;
  for (let minute = 0; minute < 12; minute++) await measure();
  t.strictSame(asked, ['retry.b'], 'once a minute all the same: it may be that it can not be read');
});
