import t from 'tap';
import { BacklogGauge, LagGauge } from '../../dispatcher/waiting-gauges.ts';
import { createMetrics } from '../../runtime/metrics.ts';

const position = (topic: string, partition: number, at: number) => ({ topic, partition, position: at });

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

  let retries = [position('retry.a', 0, 3), position('retry.b', 0, 10), position('retry.gone', 0, 3)];
  const backlog = new BacklogGauge({ log, metrics }, 'default/default', 'retry.');
  const triggers = new Set(['a', 'b']);
  await backlog.measure([{ positions: () => retries }], triggers);
  const a = 'posthorn_retry_backlog_records{broker="default/default",trigger="a"} 7';
  const b = 'posthorn_retry_backlog_records{broker="default/default",trigger="b"} 0';
  t.strictSame(await shown('posthorn_retry_backlog_records'), [a, b]);
  asked.length = 0;
  await backlog.measure([{ positions: () => retries }], triggers);
  t.strictSame(await shown('posthorn_retry_backlog_records'), [a, b]);
  t.notOk(asked.includes('retry.b'), 'a quiet topic is not asked about');
  retries = [position('retry.b', 0, 10)];
  await backlog.measure([{ positions: () => retries }], triggers);
  t.strictSame(await shown('posthorn_retry_backlog_records'), [b]);
});
