import t from 'tap';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import { OwnLane } from '../../dispatcher/lane/own.ts';
import { RepeatBound } from '../../dispatcher/repeat-bound.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord } from '../support/scripted-log.ts';

const trigger = testTrigger('http://127.0.0.1:1', {
  name: 'one',
  filters: [{ dialect: 'exact', attributes: { type: 'wanted' } }],
});

async function startLane({ isOrdered }: { isOrdered: boolean }, known: readonly Trigger[] = [trigger]) {
  const double = new LaneDouble(known);
  const { script, topics } = double;
  const lane = new OwnLane({
    ...double.options,
    ...{ triggerUid: trigger.uid, group: topics.ownGroup(trigger), topics: topics.eventTopics, isOrdered },
    startAt: [],
  });
  await lane.start();
  script.assign([{ topic: topics.events }, { topic: topics.events, partition: 1 }]);
  const offsets = [0, 0];
  return Object.assign(double, {
    lane,
    /** An event stands next in the log, named by its key and a number: `a1`. */
    offer: (id: string, { type = 'wanted', partition = 0, isKeyed = true, deliverat = '' } = {}) => {
      const partitionkey = id.slice(0, 1);
      const event = testEvent({ id, type, ...(isKeyed && { partitionkey }), ...(deliverat && { deliverat }) });
      const offset = offsets[partition] ?? 0;
      offsets[partition] = offset + 1;
      script.offer([asLogRecord(toRecord(event), offset)], { topic: topics.events, partition });
    },
    ids: () => double.delivered.map(({ id }) => id),
    holdOf: (id: string) => {
      const found = double.delivered.findLast((one) => one.id === id);
      if (!found) throw new Error(`${id} was not delivered`);
      return found;
    },
    position: async () => {
      await double.clock.advance(100);
      return script.commits.at(-1)?.find(({ partition }) => partition === 0)?.offset;
    },
  });
}

t.test('what does not match settles, what does is delivered, in any order', async (t) => {
  const { offer, ids, holdOf, position } = await startLane({ isOrdered: false });
  offer('x1', { type: 'other' });
  t.equal(await position(), 1);
  offer('a1');
  offer('a2');
  t.same(ids(), ['a1', 'a2'], 'the same key, at once');
  holdOf('a2').hold.settle();
  t.equal(await position(), 1);
  holdOf('a1').hold.settle();
  t.equal(await position(), 3);
});

t.test('a trigger that can take no more leaves the rest in the topic, and never spills', async (t) => {
  const lane = await startLane({ isOrdered: false });
  lane.setFull(trigger, true);
  lane.offer('a1');
  await lane.clock.advance(60_000);
  t.same(lane.ids(), []);
  t.same(lane.spilled, []);
  lane.setFull(trigger, false);
  t.same(lane.ids(), ['a1']);
});

t.test('nothing is matched while the registry is stale', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.setFresh(false);
  lane.offer('a1');
  await lane.clock.advance(10_000);
  t.same(lane.ids(), []);
  lane.setFresh(true);
  await lane.clock.advance(0);
  t.same(lane.ids(), ['a1']);
});

t.test('of a key one event is out at a time; other keys go on beside it', async (t) => {
  const { offer, ids, holdOf } = await startLane({ isOrdered: true });
  for (const id of ['a1', 'a2', 'b1', 'a3', 'b2']) offer(id);
  t.same(ids(), ['a1', 'b1']);
  holdOf('b1').hold.settle();
  t.same(ids(), ['a1', 'b1', 'b2']);
  holdOf('a1').hold.settle();
  holdOf('a2').hold.settle();
  t.same(ids(), ['a1', 'b1', 'b2', 'a2', 'a3']);
});

t.test('events without a key keep the order of their partition', async (t) => {
  const { offer, ids, holdOf } = await startLane({ isOrdered: true });
  offer('x1', { isKeyed: false });
  offer('x2', { isKeyed: false });
  offer('y1', { isKeyed: false, partition: 1 });
  t.same(ids(), ['x1', 'y1']);
  holdOf('x1').hold.settle();
  t.same(ids(), ['x1', 'y1', 'x2']);
});

t.test('an event that failed is tried again in its place when it is due, and holds its key alone', async (t) => {
  const lane = await startLane({ isOrdered: true });
  for (const id of ['a1', 'a2', 'b1']) lane.offer(id);
  const { hold, delivery } = lane.holdOf('a1');
  hold.retryInPlace?.({ ...delivery, attempt: 2 }, lane.clock.now() + 5_000);
  lane.holdOf('b1').hold.settle();
  lane.offer('b2');
  await lane.clock.advance(4_999);
  t.same(lane.ids(), ['a1', 'b1', 'b2']);
  await lane.clock.advance(1);
  t.match(lane.delivered.at(-1), { id: 'a1', attempt: 2 });
  lane.holdOf('a1').hold.settle();
  t.equal(lane.delivered.at(-1)?.id, 'a2');
});

t.test('a due time beyond any delay of the policy, by a clock that jumped, is brought near', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.offer('a1');
  const { hold, delivery } = lane.holdOf('a1');
  hold.retryInPlace?.({ ...delivery, attempt: 2 }, lane.clock.now() + 10 * 86_400_000);
  await lane.clock.advance(4_320_000);
  t.match(lane.delivered.at(-1), { id: 'a1', attempt: 2 });
});

t.test('a revoked partition takes everything of it along, and its requests in flight are cut', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.offer('a1');
  lane.offer('a2');
  lane.offer('c1');
  lane.offer('b1', { partition: 1 });
  lane.offer('b2', { partition: 1 });
  const failed = lane.holdOf('c1');
  failed.hold.retryInPlace?.({ ...failed.delivery, attempt: 2 }, lane.clock.now() + 1_000);
  lane.script.assign([{ topic: lane.topics.events, partition: 1, offset: 0 }], 2);
  t.equal(lane.cuts, 1);
  t.equal(lane.revokedDrops, 1, 'what waits for its turn there is let go too');
  lane.holdOf('a1').hold.drop();
  await lane.clock.advance(60_000);
  t.same(lane.ids(), ['a1', 'c1', 'b1'], 'neither what waited behind a1 nor the retry of c1');
  lane.holdOf('b1').hold.settle();
  t.equal(lane.delivered.at(-1)?.id, 'b2');
  t.equal(lane.lane.positions().length, 1);
  lane.offer('c2', { partition: 1 });
  t.equal(lane.delivered.at(-1)?.id, 'c2', 'the key of the retry is free');
});

t.test('an attempt that failed after its partition was revoked is not repeated here', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.offer('a1');
  lane.script.assign([{ topic: lane.topics.events, partition: 1 }], 2);
  const { hold, delivery } = lane.holdOf('a1');
  hold.retryInPlace?.({ ...delivery, attempt: 2 }, lane.clock.now() + 1_000);
  await lane.clock.advance(60_000);
  t.same(lane.ids(), ['a1']);
});

t.test('what comes back after a revocation is delivered again, in order, though the old is still out', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.offer('a1');
  lane.script.assign([{ topic: lane.topics.events, partition: 1 }], 2);
  const old = lane.holdOf('a1');
  old.hold.drop();
  lane.script.assign([{ topic: lane.topics.events }], 3);
  const event = (id: string) => toRecord(testEvent({ id, type: 'wanted', partitionkey: 'a' }));
  lane.script.offer([asLogRecord(event('a1'), 0), asLogRecord(event('a2'), 1)], { topic: lane.topics.events });
  t.same(lane.ids(), ['a1', 'a1']);
  lane.holdOf('a1').hold.settle();
  t.same(lane.ids(), ['a1', 'a1', 'a2']);
});

t.test('what another lane serves is not committed here, and the end is reached when all before it is', async (t) => {
  const lane = await startLane({ isOrdered: false });
  lane.offer('a1');
  lane.lane.endAt(new Map([[lane.topics.events, [{ partition: 0, offset: 1 }]]]));
  lane.offer('a2');
  t.same(lane.ids(), ['a1']);
  t.equal(lane.lane.isAtEnd, false);
  lane.holdOf('a1').hold.settle();
  t.equal(lane.lane.isAtEnd, true);
  t.equal(await lane.position(), 1, 'the trigger may be moved back here before this process knows of it');
});

t.test('what a deleted trigger was to get is given up', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.offer('a1');
  lane.offer('a2');
  const failed = lane.holdOf('a1');
  failed.hold.retryInPlace?.({ ...failed.delivery, attempt: 2 }, lane.clock.now() + 1_000);
  lane.lane.abandon();
  t.same(
    lane.abandoned.map(({ event, attempt }) => `${event.attributes.id} ${attempt}`),
    ['a2 1', 'a1 2'],
  );
});

t.test('closing lets go of what waits, retries too, and leaves no timer', async (t) => {
  const lane = await startLane({ isOrdered: true });
  lane.offer('a1');
  lane.offer('a2');
  const failed = lane.holdOf('a1');
  failed.hold.retryInPlace?.({ ...failed.delivery, attempt: 2 }, lane.clock.now() + 1_000);
  await lane.lane.close(new AbortController().signal);
  t.match(lane.script.commits.at(-1), [{ offset: 0 }]);
  t.equal(lane.clock.pending, 0);
  t.same(lane.ids(), ['a1']);
});

t.test('an event whose deliverat is to come goes to the retry topic, and its key goes on', async (t) => {
  const lane = await startLane({ isOrdered: true });
  const dueAtMs = lane.clock.now() + 60_000;
  lane.offer('a1');
  lane.offer('a2', { deliverat: new Date(dueAtMs).toISOString() });
  lane.offer('a3');
  t.match(lane.postponed, [{ id: 'a2', attempt: 1, dueAtMs }], 'while one of its key is out');
  lane.holdOf('a1').hold.settle();
  t.same(lane.ids(), ['a1', 'a3']);
  lane.holdOf('a3').hold.settle();
  t.equal(await lane.position(), 3);
});

for (const isOrdered of [false, true]) {
  const lane = isOrdered ? 'ordered' : 'own';
  t.test(`an event of an ${lane} lane counts for its trigger's bound until it is committed`, async (t) => {
    const { offer, holdOf, position } = await startLane({ isOrdered });
    const bound = new RepeatBound(256);
    offer('a1');
    holdOf('a1').hold.settle(bound);
    t.notOk(bound.isUnused);
    t.equal(await position(), 1);
    t.ok(bound.isUnused);
  });
}
