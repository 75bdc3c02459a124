import t from 'tap';
import type { LogRecord } from '../../broker/log/log.ts';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import type { Target } from '../../dispatcher/fate.ts';
import { RetryLane } from '../../dispatcher/lane/retry.ts';
import type { WindowLimits } from '../../dispatcher/lane/window.ts';
import { toRetryRecord } from '../../dispatcher/retry.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord } from '../support/scripted-log.ts';

async function startLane(triggers: readonly Trigger[], window?: WindowLimits) {
  const double = new LaneDouble(triggers);
  const { clock, script, topics, delivered, abandoned } = double;
  const lane = new RetryLane({ ...double.options, ...(window && { window }), group: topics.retryGroup(0) });
  await lane.start(triggers.map((trigger) => topics.retry(trigger.name)));
  script.assign(triggers.map((trigger) => ({ topic: topics.retry(trigger.name) })));
  let offset = 0;
  let untaken: { readonly record: LogRecord; readonly topic: string }[] = [];
  const offerAll = (records: typeof untaken): void => {
    untaken = [...untaken, ...records];
    while (untaken[0] && script.offer([untaken[0].record], { topic: untaken[0].topic }) === 1)
      untaken = untaken.slice(1);
  };
  return {
    ...{ clock, script, delivered, abandoned, lane, postponed: double.postponed },
    roomWaiters: () => double.roomWaiters,
    revokedDrops: () => double.revokedDrops,
    /** What was not taken is offered again. */
    offerAgain: () => offerAll([]),
    ids: () => delivered.map((one) => one.id),
    /** A delivery is in the trigger's retry topic, due this much after now. */
    offer(
      trigger: Trigger,
      id: string,
      inMs: number,
      attempt = 2,
      more: Record<string, string> = {},
      target: Target = toSubscriber,
    ): void {
      const next = { atMs: clock.now() + inMs, attempt, reason: 'status 503' };
      const record = toRetryRecord(testDelivery(trigger, testEvent({ id, ...more }), { target }), next);
      offerAll([{ record: asLogRecord(record, offset++), topic: topics.retry(trigger.name) }]);
    },
    /** A delivery waits for the `deliverat` of its event. */
    offerDelayed(trigger: Trigger, id: string, inMs: number): void {
      this.offer(trigger, id, inMs, 1, { deliverat: new Date(clock.now() + inMs).toISOString() });
    },
    /** As `offer`; what is not taken is not offered again. */
    offerHeld(trigger: Trigger, id: string, inMs = 0): void {
      const next = { atMs: clock.now() + inMs, attempt: 2, reason: 'status 503' };
      const record = toRetryRecord(testDelivery(trigger, testEvent({ id })), next);
      script.offer([asLogRecord(record, offset++)], { topic: topics.retry(trigger.name) });
    },
    setTriggers(now: readonly Trigger[]): void {
      double.setTriggers(now);
      lane.refresh();
    },
    setFresh: (isFresh: boolean) => double.setFresh(isFresh),
    setFull: (trigger: Trigger, isFull: boolean) => double.setFull(trigger, isFull),
    setOpen: (trigger: Trigger) => double.setOpen(trigger),
    setPaused: (trigger: Trigger) => double.setPaused(trigger),
  };
}

const toSubscriber: Target = { kind: 'subscriber' };
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

t.test('a deleted uid is not taken for a trigger that this process has not heard of yet', async (t) => {
  const lane = await startLane([one]);
  const unheard = testTrigger('http://127.0.0.1:1', { name: 'one', uid: 'made a moment ago' });
  lane.setFresh(false);
  lane.offer(unheard, 'early', 0);
  await lane.clock.advance(0);
  t.same(lane.abandoned, []);
  lane.setTriggers([unheard]);
  t.same(lane.ids(), ['early']);
});

t.test('what waits of a partition that was revoked is not delivered here', async (t) => {
  const lane = await startLane([one, other]);
  lane.offer(one, 'revoked', 1_000);
  lane.offer(other, 'kept', 1_000);
  lane.script.assign([{ topic: 'posthorn.default.default._retry.other' }], 2);
  await lane.clock.advance(1_000);
  t.same(lane.ids(), ['kept']);
  t.equal(lane.revokedDrops(), 1, 'what waits for its turn is let go too');
});

t.test('a clock that was set back does not put off what waits', async (t) => {
  const lane = await startLane([one]);
  lane.offer(one, 'soon', 2_000);
  lane.clock.jump(-86_400_000);
  await lane.clock.advance(2_000 + defaultDelivery.backoffMaxMs * (1 + defaultDelivery.jitter));
  t.same(lane.ids(), ['soon']);
});

t.test('behind a full window of late deliveries, one that is due is found', async (t) => {
  const lane = await startLane([one]);
  for (let index = 0; index < 100; index++) lane.offer(one, `late ${index}`, 3_000_000);
  lane.offer(one, 'due', 0);
  await lane.clock.advance(0);
  t.same(lane.ids(), [], 'the trigger has its part of the window full');
  await lane.clock.advance(2_000);
  t.equal(lane.postponed.length, 100);
  lane.offerAgain();
  await lane.clock.advance(0);
  t.same(lane.ids(), ['due']);
});

t.test(
  'retry topics are trimmed up to the commit before the last: who takes over may have read that one',
  async (t) => {
    const lane = await startLane([one]);
    const settleOne = async (): Promise<void> => {
      lane.offer(one, 'done', 0);
      await lane.clock.advance(0);
      lane.delivered.shift()?.hold.settle();
      await lane.clock.advance(100);
    };
    await settleOne();
    t.match(lane.script.commits.at(-1), [{ offset: 1 }]);
    t.same(lane.script.trims, []);
    await settleOne();
    t.match(lane.script.commits.at(-1), [{ offset: 2 }]);
    t.same(lane.script.trims, [{ topic: 'posthorn.default.default._retry.one', partition: 0, before: 1 }]);
  },
);

t.test('a trigger is asked for room by one callback a topic, however often triggers change', async (t) => {
  const lane = await startLane([one]);
  lane.setFull(one, true);
  lane.offer(one, 'waits', 0);
  await lane.clock.advance(0);
  for (let change = 0; change < 50; change++) lane.setTriggers([one]);
  t.equal(lane.roomWaiters(), 1);
});

const dayMs = 86_400_000;

t.test('a deliverat is kept to the millisecond however far off, whatever the policy and the clock do', async (t) => {
  const lane = await startLane([one]);
  const start = lane.clock.now();
  lane.offerDelayed(one, 'in a year', 365 * dayMs);
  lane.setTriggers([{ ...one, delivery: { ...defaultDelivery, backoffMaxMs: 1_000 } }]);
  lane.clock.jump(-dayMs);
  await lane.clock.advance(2 * dayMs);
  t.same(lane.ids(), []);
  lane.clock.jump(364 * dayMs - 10_000);
  await lane.clock.advance(9_999);
  t.same(lane.ids(), []);
  await lane.clock.advance(1);
  t.match(lane.delivered, [{ id: 'in a year', attempt: 1, atMs: start + 365 * dayMs }]);
});

t.test('the failed attempt of a delayed event is clamped like any other', async (t) => {
  const lane = await startLane([one]);
  const deliverat = new Date(lane.clock.now() + 365 * dayMs).toISOString();
  lane.offer(one, 'clock had jumped', 365 * dayMs, 2, { deliverat });
  await lane.clock.advance(defaultDelivery.backoffMaxMs * (1 + defaultDelivery.jitter));
  t.same(lane.ids(), ['clock had jumped']);
});

t.test('delayed events make room in a full window as late retries do, and keep their time', async (t) => {
  const lane = await startLane([one]);
  const dueAtMs = lane.clock.now() + 30 * dayMs;
  for (let index = 0; index < 100; index++) lane.offerDelayed(one, `delayed ${index}`, 30 * dayMs);
  lane.offer(one, 'due', 0);
  await lane.clock.advance(2_000);
  t.equal(lane.postponed.length, 100);
  for (const one of lane.postponed) t.match(one, { attempt: 1, dueAtMs });
  lane.offerAgain();
  await lane.clock.advance(0);
  t.same(lane.ids(), ['due']);
});

t.test('what waits long does not keep what comes after it from being trimmed', async (t) => {
  const lane = await startLane([one]);
  lane.offerDelayed(one, 'in a month', 30 * dayMs);
  lane.offer(one, 'in a minute', 59_000);
  for (let count = 0; count < 9_998; count++) {
    lane.offer(one, 'now', 0);
    if (count % 50 !== 0) continue;
    await lane.clock.advance(1);
    for (const { hold } of lane.delivered.splice(0)) hold.settle();
  }
  await lane.clock.advance(100);
  t.same(lane.postponed, [], 'not for a few');
  lane.offer(one, 'now', 0);
  await lane.clock.advance(0);
  for (const { hold } of lane.delivered.splice(0)) hold.settle();
  await lane.clock.advance(200);
  t.match(lane.postponed, [{ id: 'in a month' }]);
  t.equal(lane.postponed.length, 1, 'what is due soon stays');
  t.match(lane.script.commits.at(-1), [{ offset: 1 }]);
});

t.test(
  'while the breaker is open those with the fewest attempts are the candidates, of these the one due first',
  async (t) => {
    const lane = await startLane([one]);
    lane.setFull(one, true);
    lane.setOpen(one);
    lane.offer(one, 'last attempt', 0, 16);
    lane.offer(one, 'third', 2, 3);
    lane.offer(one, 'second', 1, 1);
    lane.offer(one, 'first', 0, 1);
    lane.offer(one, 'not due', 10_000, 1);
    await lane.clock.advance(10);
    t.same(lane.ids(), []);
    lane.setFull(one, false);
    t.same(lane.ids(), ['first', 'second', 'third', 'last attempt']);
  },
);

t.test('a dead letter for the sink does not wait for the subscriber', async (t) => {
  const lane = await startLane([one]);
  const failure = {
    ...{ reason: 'status 400', attempts: 1, firstAttemptAtMs: 1, lastAttemptAtMs: 1, status: 400 },
    body: Buffer.alloc(0),
  };
  lane.setFull(one, true);
  lane.offer(one, 'for the subscriber', 0);
  lane.offer(one, 'for the sink', 0, 2, {}, { kind: 'deadLetterSink', failure });
  await lane.clock.advance(0);
  t.same(lane.ids(), ['for the sink']);
});

t.test('triggers that are down or paused with a long backlog leave the window to the others', async (t) => {
  const window = { recordsMax: 5_000, bytesMax: 100_000_000, partitionRecordsMax: 1_000 };
  const held = Array.from({ length: 10 }, (_, index) => testTrigger('http://127.0.0.1:1', { name: `held-${index}` }));
  const lane = await startLane([one, ...held], window);
  for (const [index, trigger] of held.entries()) {
    lane.setPaused(trigger);
    if (index % 2 === 0) lane.setOpen(trigger);
    for (let count = 0; count < 600; count++) lane.offerHeld(trigger, `${trigger.name} ${count}`);
  }
  for (let count = 0; count < 400; count++) lane.offer(one, `${count}`, 0);
  await lane.clock.advance(0);
  t.equal(lane.delivered.length, 400);
});

t.test('what waits of a paused trigger is not written again and again', async (t) => {
  const lane = await startLane([one, other]);
  lane.setPaused(one);
  for (let index = 0; index < 101; index++) lane.offerHeld(one, `late ${index}`, 3_000_000);
  lane.offer(other, 'late, and nothing behind it', 3_000_000);
  await lane.clock.advance(60_000);
  t.same(lane.postponed, []);
});

t.test('of one that is down only until a candidate for the probe is found', async (t) => {
  const lane = await startLane([one]);
  lane.setFull(one, true);
  lane.setOpen(one);
  for (let index = 0; index < 101; index++) lane.offer(one, `late ${index}`, 3_000_000);
  await lane.clock.advance(1_000);
  t.equal(lane.postponed.length, 100);
  lane.offerAgain();
  lane.offer(one, 'due', 0);
  for (let index = 0; index < 200; index++) lane.offerHeld(one, `late as well ${index}`, 3_000_000);
  await lane.clock.advance(60_000);
  t.equal(lane.postponed.length, 100);
});
