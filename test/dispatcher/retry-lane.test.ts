import t from 'tap';
import type { LogRecord } from '../../broker/log/log.ts';
import { brokerTopics } from '../../broker/topics.ts';
import type { Registry, RegistrySnapshot } from '../../broker/trigger/registry.ts';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import type { Delivery, GivenUp, Hold } from '../../dispatcher/fate.ts';
import { RetryLane } from '../../dispatcher/lane/retry.ts';
import type { Pipeline } from '../../dispatcher/pipeline.ts';
import { toRetryRecord } from '../../dispatcher/retry.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedLog } from '../support/scripted-log.ts';
import { silent } from '../support/silent.ts';

const name = { namespace: 'default', name: 'default' };
const topics = brokerTopics('posthorn', name);

/** A retry lane on a log and a registry that the test plays; what it hands to the pipeline is recorded. */
async function startLane(triggers: readonly Trigger[]) {
  const clock = new ManualClock();
  const script = new ScriptedLog();
  const delivered: { id: string; atMs: number; attempt: number; hold: Hold }[] = [];
  const abandoned: GivenUp[] = [];
  let snapshot = snapshotOf(triggers);
  let isFresh = true;
  const waiters: (() => void)[] = [];
  const full = new Set<string>();
  const registry = {
    name,
    snapshot: () => snapshot,
    topics: () => topics,
    isFresh: () => isFresh,
    whenFresh: () => new Promise<void>((resolve) => waiters.push(resolve)),
  } as unknown as Registry;
  const roomWaiters: (() => void)[] = [];
  const pipeline = {
    limitOf: (trigger: Trigger) => ({
      get hasRoom() {
        return !full.has(trigger.name);
      },
      onceRoom: (callback: () => void) => roomWaiters.push(callback),
    }),
    deliver: (delivery: Delivery, hold: Hold) =>
      delivered.push({
        id: delivery.event.attributes.id,
        atMs: clock.now(),
        attempt: delivery.attempt,
        hold,
      }),
    abandon: (delivery: GivenUp, hold: Hold) => {
      abandoned.push(delivery);
      hold.settle();
    },
    unreadable: (_record: LogRecord, _origin: unknown, _reason: string, hold: Hold) => hold.settle(),
  } as unknown as Pipeline;
  const lane = new RetryLane({
    ...{ log: script.log, registry, pipeline, clock, logger: silent, metrics: createMetrics() },
    group: topics.retryGroup(0),
    window: { recordsMax: 1_000, bytesMax: 10_000_000, partitionRecordsMax: 100 },
  });
  await lane.start(triggers.map((trigger) => topics.retry(trigger.name)));
  script.assign(triggers.map((trigger) => ({ topic: topics.retry(trigger.name) })));
  let offset = 0;
  return {
    ...{ clock, delivered, abandoned, lane, script },
    ids: () => delivered.map((one) => one.id),
    /** A delivery is in the trigger's retry topic, due this much after now. */
    offer(trigger: Trigger, id: string, inMs: number, attempt = 2): void {
      const next = { atMs: clock.now() + inMs, attempt, reason: 'status 503' };
      const record = toRetryRecord(testDelivery(trigger, testEvent({ id })), next);
      const headers = Object.fromEntries(
        Object.entries(record.headers).map(([header, value]) => [header, Buffer.from(String(value))]),
      );
      script.offer([{ offset: offset++, timestampMs: 0, key: record.key, value: record.value, headers }], {
        topic: topics.retry(trigger.name),
      });
    },
    setTriggers(now: readonly Trigger[]): void {
      snapshot = snapshotOf(now);
      lane.refresh();
    },
    setFresh(fresh: boolean): void {
      isFresh = fresh;
      if (fresh) for (const resolve of waiters.splice(0)) resolve();
    },
    setFull(trigger: Trigger, isFull: boolean): void {
      if (isFull) full.add(trigger.name);
      else {
        full.delete(trigger.name);
        for (const callback of roomWaiters.splice(0)) callback();
      }
    },
  };
}

function snapshotOf(triggers: readonly Trigger[]): RegistrySnapshot {
  const byUid = new Map(triggers.map((trigger) => [trigger.uid, trigger]));
  return { triggers: byUid, unreadable: new Set(), discarded: new Set() } as unknown as RegistrySnapshot;
}

const one = testTrigger('http://127.0.0.1:1', { name: 'one' });
const other = testTrigger('http://127.0.0.1:1', { name: 'other' });

t.test('deliveries go out at their due times, in the order of these', async (t) => {
  const { offer, clock, delivered } = await startLane([one, other]);
  offer(one, 'third', 3_000);
  offer(other, 'second', 2_000);
  offer(one, 'first', 1_000);
  offer(other, 'at once', 0);
  const start = clock.now();
  await clock.advance(10_000);
  t.same(
    delivered.map(({ id, atMs }) => [id, atMs - start]),
    [
      ['at once', 0],
      ['first', 1_000],
      ['second', 2_000],
      ['third', 3_000],
    ],
  );
});

t.test('a due time that no delay explains is brought within the longest delay', async (t) => {
  const { offer, clock, delivered } = await startLane([one]);
  offer(one, 'far off', 365 * 86_400_000);
  await clock.advance(defaultDelivery.backoffMaxMs * (1 + defaultDelivery.jitter));
  t.equal(delivered.length, 1);
});

t.test('after the wall clock was set forward, what is due by it goes out within a second', async (t) => {
  const { offer, clock, delivered } = await startLane([one]);
  offer(one, 'due later', 1_800_000);
  clock.jump(1_800_000);
  await clock.advance(1_000);
  t.equal(delivered.length, 1);
});

t.test('a trigger without room holds up its own deliveries only', async (t) => {
  const { offer, clock, ids, setFull } = await startLane([one, other]);
  setFull(one, true);
  offer(one, 'waits', 0);
  offer(other, 'goes', 0);
  await clock.advance(0);
  t.same(ids(), ['goes']);
  setFull(one, false);
  t.same(ids(), ['goes', 'waits']);
});

t.test('what a deleted trigger left is given up at once, due or not', async (t) => {
  const { offer, clock, abandoned, setTriggers } = await startLane([one, other]);
  offer(one, 'waiting', 600_000, 4);
  setTriggers([other]);
  offer(one, 'read later', 600_000);
  await clock.advance(0);
  t.match(abandoned, [
    {
      event: { attributes: { id: 'waiting' } },
      attempt: 4,
      trigger: { uid: one.uid, name: 'one', namespace: 'default' },
    },
    { event: { attributes: { id: 'read later' } } },
  ]);
});

t.test('a trigger that a stale registry does not know may be a new one: its deliveries wait', async (t) => {
  const { offer, clock, abandoned, ids, setTriggers, setFresh } = await startLane([one, other]);
  setTriggers([other]);
  setFresh(false);
  offer(one, 'of a new trigger', 0);
  await clock.advance(1_000);
  t.same(abandoned, []);
  setTriggers([one, other]);
  setFresh(true);
  await clock.advance(0);
  t.same(ids(), ['of a new trigger']);
});

t.test('closing lets go of what is not under way', async (t) => {
  const { offer, clock, delivered, lane, script } = await startLane([one]);
  offer(one, 'under way', 0);
  offer(one, 'waiting', 60_000);
  await clock.advance(0);
  const closing = lane.close(new AbortController().signal);
  delivered[0]?.hold.settle();
  await closing;
  t.match(script.commits.at(-1), [{ offset: 1 }], 'the waiting one is read again after the next start');
});
