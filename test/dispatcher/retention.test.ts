import { pino } from 'pino';
import t from 'tap';
import { TriggerIndex } from '../../broker/filter/trigger-index.ts';
import type { Log, LogRecord } from '../../broker/log/log.ts';
import type { RegistrySnapshot } from '../../broker/trigger/registry.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import { type LaneOptions, reportingOf } from '../../dispatcher/lane/lane.ts';
import { RetentionWatch, type WatchedLane } from '../../dispatcher/retention.ts';
import { toRecord } from '../../event/kafka.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { asLogRecord } from '../support/scripted-log.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A watch over one topic, in which each partition has one record at its position. */
function startWatch(triggers: readonly Trigger[], retentionMs: number | null = 7 * dayMs) {
  const clock = new ManualClock();
  const metrics = createMetrics();
  const lines: Record<string, unknown>[] = [];
  const records = new Map<number, LogRecord>();
  const idle = new Set<string>();
  let reads = 0;
  const log = {
    describeTopic: async () => ({ partitions: 8, retentionMs, maxMessageBytes: 1_000_000 }),
    ranges: async () => [...records.keys()].map((partition) => ({ partition, start: 0, end: 100 })),
    read: async (_topic: string, partition: number) => {
      reads++;
      const record = records.get(partition);
      return { records: record ? [record] : [], nextOffset: 100 };
    },
  } as unknown as Log;
  const snapshot = {
    broker: null,
    triggers: new Map(triggers.map((one) => [one.uid, one])),
    index: new TriggerIndex(triggers),
  } as unknown as RegistrySnapshot;
  const watch = new RetentionWatch({
    ...{ log, clock, metrics, broker: 'default/default' },
    registry: { name: { namespace: 'default', name: 'default' }, snapshot: () => snapshot },
    isIdle: ({ name }) => idle.has(name),
    logger: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });
  const positions = () => [...records.keys()].map((partition) => ({ topic: 'events', partition, position: 40 }));
  return {
    ...{ clock, lines, records, idle },
    reads: () => reads,
    /** An undelivered event of this type stands in the partition, of which so much time is left. */
    put(partition: number, leftMs: number, type = 'any', more: Partial<LogRecord> = {}): void {
      const record = asLogRecord(toRecord(testEvent({ id: `of ${partition}`, type })), 40);
      records.set(partition, { ...record, timestampMs: clock.now() + leftMs - (retentionMs ?? 0), ...more });
    },
    look: (triggerUid: string | null = null, others: readonly WatchedLane[] = []) =>
      watch.look([{ topics: ['events'], lane: { positions }, triggerUid }, ...others]),
    /** What the metric shows, by trigger. */
    async left(): Promise<Record<string, number>> {
      const text = await metrics.registry.metrics();
      const found = text.matchAll(
        /^posthorn_trigger_retention_left_seconds\{broker="default\/default",trigger="(.*)"\} (.*)$/gm,
      );
      return Object.fromEntries([...found].map(([, name = '', value]) => [name, Number(value)]));
    },
    warned: () => lines.map((line) => line.trigger),
  };
}

function typed(name: string, type: string): Trigger {
  return testTrigger('http://127.0.0.1:1', { name, filters: [{ dialect: 'exact', attributes: { type } }] });
}

const one = typed('one', 'a');
const two = typed('two', 'b');

t.test('the last tenth of the retention is a warning with the trigger, the time and what is left', async (t) => {
  const watch = startWatch([one, two]);
  watch.put(0, 5 * hourMs, 'a');
  watch.put(1, 6 * hourMs, 'a');
  watch.put(2, 17 * hourMs, 'b');
  await watch.look();
  t.strictSame(await watch.left(), { one: 5 * 3_600, two: 17 * 3_600 });
  const appendedAt = new Date(watch.clock.now() - 7 * dayMs + 5 * hourMs).toISOString();
  t.strictSame(
    watch.lines.map(({ time: _, ...line }) => line),
    [
      {
        level: 40,
        broker: 'default/default',
        trigger: 'one',
        topic: 'events',
        partition: 0,
        offset: 40,
        event: 'of 0',
        source: '/test',
        appendedAt,
        leftSeconds: 18_000,
        msg: `the oldest undelivered event of trigger one, appended ${appendedAt}, is deleted by the topic's retention in 5h`,
      },
    ],
  );
});

t.test(
  'of the triggers that an event matches, those are named whose data filter it passes or can not answer',
  async (t) => {
    const filtered = (name: string, dataFilter: string): Trigger => ({ ...typed(name, 'a'), dataFilter });
    const triggers = [filtered('passes', 'data.n == 1'), filtered('fails', 'data.n == 2'), filtered('always', 'true')];
    const watch = startWatch(triggers);
    const put = (partition: number, json: string): void => {
      const event = testEvent({ id: '1', type: 'a', datacontenttype: 'application/json' }, Buffer.from(json));
      const { value, headers } = asLogRecord(toRecord(event), 40);
      watch.put(partition, hourMs, 'a', { value, headers });
    };
    put(0, '{"n": 1}');
    await watch.look();
    t.strictSame(Object.keys(await watch.left()).sort(), ['always', 'passes']);
    put(0, '{"n"');
    await watch.clock.advance(60_000);
    await watch.look();
    t.strictSame(Object.keys(await watch.left()).sort(), ['always', 'fails', 'passes']);
  },
);

t.test('it looks once a minute, and warns of a trigger once in ten', async (t) => {
  const watch = startWatch([one]);
  watch.put(0, 5 * hourMs, 'a');
  for (let seconds = 0; seconds < 1_200; seconds += 5) {
    await watch.look();
    await watch.clock.advance(5_000);
  }
  t.equal(watch.reads(), 20);
  t.equal(watch.lines.length, 2);
});

t.test('a lane that is read from a moment later on is not looked at a minute later', async (t) => {
  const watch = startWatch([one]);
  await watch.look();
  watch.put(0, 5 * hourMs, 'a');
  await watch.look();
  t.equal(watch.lines.length, 1);
});

t.test('past its retention an event may go at any moment', async (t) => {
  const watch = startWatch([one]);
  watch.put(0, -1_500, 'a');
  await watch.look();
  t.match(watch.lines, [{ leftSeconds: -2, msg: /past the topic's retention: it may be deleted at any moment/ }]);
  t.strictSame(await watch.left(), { one: 0 });
});

t.test('what is delivered is not shown any more', async (t) => {
  const watch = startWatch([one, two]);
  watch.put(0, dayMs, 'a');
  watch.put(1, dayMs, 'b');
  await watch.look();
  t.same(Object.keys(await watch.left()), ['one', 'two']);
  watch.records.delete(0);
  await watch.clock.advance(60_000);
  await watch.look();
  t.same(Object.keys(await watch.left()), ['two']);
});

t.test(
  'of the triggers of a shared lane those are named that the event is for, and of these the busy ones',
  async (t) => {
    const all = testTrigger('http://127.0.0.1:1', { name: 'all' });
    const own = testTrigger('http://127.0.0.1:1', {
      name: 'own',
      lane: 'own',
      laneSpans: [{ group: 'own', from: [] }],
    });
    const watch = startWatch([one, two, all, own]);
    const named = async (): Promise<string[]> => {
      await watch.clock.advance(60_000);
      await watch.look();
      return Object.keys(await watch.left()).sort();
    };
    watch.put(0, dayMs, 'a');
    t.same(await named(), ['all', 'one']);
    watch.idle.add('all');
    t.same(await named(), ['one']);
    watch.idle.add('one');
    t.same(await named(), ['all', 'one'], 'none is busy: one request may be out for long');
    watch.put(0, dayMs, 'nobody wants it', { headers: {} });
    t.same(await named(), ['two'], 'who holds the lane, where the record is for none');
    watch.idle.add('two');
    t.same(await named(), ['all', 'one', 'two']);
  },
);

t.test('an own lane is its trigger; topics without retention, and records without time, are left alone', async (t) => {
  const own = startWatch([one, two]);
  own.put(0, hourMs, 'b');
  await own.look(one.uid);
  t.same(own.warned(), ['one']);
  const endless = startWatch([one], null);
  endless.put(0, -dayMs, 'a');
  await endless.look();
  const timeless = startWatch([one]);
  timeless.put(0, 0, 'a', { timestampMs: -1 });
  await timeless.look();
  t.same([...endless.lines, ...timeless.lines], []);
  t.same(await timeless.left(), {});
});

t.test('of very many triggers the most urgent are warned of first, the others later', async (t) => {
  const triggers = Array.from({ length: 50 }, (_, n) => typed(`trigger-${n}`, `type-${n}`));
  const watch = startWatch(triggers);
  for (const [n] of triggers.entries()) watch.put(n, (60 + n) * 60_000, `type-${n}`);
  await watch.look();
  t.same(
    watch.warned(),
    Array.from({ length: 20 }, (_, n) => `trigger-${n}`),
  );
  for (let minute = 0; minute < 2; minute++) {
    await watch.clock.advance(60_000);
    await watch.look();
  }
  t.equal(new Set(watch.warned()).size, 50);
  t.equal(watch.lines.length, 50);
});

t.test('a lost range is an error that names the lane and its triggers, and is counted', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const metrics = createMetrics();
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const registry = { name: { namespace: 'shop', name: 'orders' } };
  const names = Array.from({ length: 22 }, (_, n) => `t${n}`);
  const { onLost } = reportingOf({ logger, metrics, registry } as unknown as LaneOptions, 'the.group', () => names);
  onLost({ topic: 'the.topic', partition: 3, from: 5, to: 9 });
  t.match(lines, [
    {
      level: 50,
      ...{ broker: 'shop/orders', group: 'the.group', topic: 'the.topic', partition: 3, from: 5, to: 9 },
      triggers: names.slice(0, 20),
      msg: /^LOST: the log deleted 4 records of the\.topic \(partition 3, offsets 5 to 8\) .* t19 and 2 more$/,
    },
  ]);
  t.match(
    await metrics.registry.metrics(),
    /^posthorn_lost_records_total\{group="the\.group",topic="the\.topic",partition="3"\} 4$/m,
  );
});
