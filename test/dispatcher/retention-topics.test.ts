import t from 'tap';
import { TriggerIndex } from '../../broker/filter/trigger-index.ts';
import type { Log } from '../../broker/log/log.ts';
import type { RegistrySnapshot } from '../../broker/trigger/registry.ts';
import { RetentionWatch } from '../../dispatcher/retention.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { brokerOf } from '../support/brokers.ts';
import { testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { logRecord } from '../support/scripted-log.ts';
import { silent } from '../support/silent.ts';

t.test(
  'of several topics each has its own retention, and its plain records name the triggers they are for',
  async (t) => {
    const clock = new ManualClock();
    const metrics = createMetrics();
    const triggers = ['page', 'user'].map((type) =>
      testTrigger('http://127.0.0.1:1', { name: type, filters: [{ dialect: 'exact', attributes: { type } }] }),
    );
    const kept = {
      'eqiad.pages': { retentionMs: 100_000, type: 'page' },
      'codfw.pages': { retentionMs: 900_000, type: 'user' },
    };
    const of = (topic: string) => kept[topic as keyof typeof kept];
    const log = {
      describeTopic: async (topic: string) => ({
        partitions: 1,
        maxMessageBytes: 1,
        retentionMs: of(topic).retentionMs,
      }),
      ranges: async () => [{ partition: 0, start: 0, end: 9 }],
      read: async (topic: string) => {
        const value = Buffer.from(JSON.stringify({ kind: of(topic).type }));
        return { records: [{ ...logRecord(4), headers: {}, value, timestampMs: clock.now() - 40_000 }], nextOffset: 9 };
      },
    } as unknown as Log;
    const snapshot = {
      broker: brokerOf(Object.keys(kept), 'type: /kind'),
      triggers: new Map(triggers.map((one) => [one.uid, one])),
      index: new TriggerIndex(triggers),
    } as unknown as RegistrySnapshot;
    const watch = new RetentionWatch({
      ...{ log, clock, metrics, logger: silent, broker: 'default/pages', isIdle: () => false },
      registry: { name: { namespace: 'default', name: 'pages' }, snapshot: () => snapshot },
    });
    const positions = () => Object.keys(kept).map((topic) => ({ topic, partition: 0, position: 4 }));
    await watch.look([{ topics: Object.keys(kept), lane: { positions }, triggerUid: null }]);
    const text = await metrics.registry.metrics();
    const left = text.matchAll(/^posthorn_trigger_retention_left_seconds\{.*trigger="(.*)"\} (.*)$/gm);
    t.strictSame(Object.fromEntries([...left].map(([, name, seconds]) => [name, seconds])), {
      page: '60',
      user: '860',
    });
  },
);
