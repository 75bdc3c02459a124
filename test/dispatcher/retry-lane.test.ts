import t from 'tap';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import { RetryLane } from '../../dispatcher/lane/retry.ts';
import { toRetryRecord } from '../../dispatcher/retry.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord } from '../support/scripted-log.ts';

async function startLane(triggers: readonly Trigger[]) {
  const double = new LaneDouble(triggers);
  const { clock, script, topics, delivered, abandoned } = double;
  const lane = new RetryLane({ ...double.options, group: topics.retryGroup(0) });
  await lane.start(triggers.map((trigger) => topics.retry(trigger.name)));
  script.assign(triggers.map((trigger) => ({ topic: topics.retry(trigger.name) })));
  let offset = 0;
  return {
    ...{ clock, script, delivered, abandoned, lane },
    ids: () => delivered.map((one) => one.id),
    /** A delivery is in the trigger's retry topic, due this much after now. */
    offer(trigger: Trigger, id: string, inMs: number, attempt = 2): void {
      const next = { atMs: clock.now() + inMs, attempt, reason: 'status 503' };
      const record = toRetryRecord(testDelivery(trigger, testEvent({ id })), next);
      script.offer([asLogRecord(record, offset++)], { topic: topics.retry(trigger.name) });
    },
    setTriggers(now: readonly Trigger[]): void {
      double.setTriggers(now);
      lane.refresh();
    },
    setFresh: (isFresh: boolean) => double.setFresh(isFresh),
    setFull: (trigger: Trigger, isFull: boolean) => double.setFull(trigger, isFull),
  };
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
