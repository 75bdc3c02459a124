import t from 'tap';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { LaneOptions } from '../../dispatcher/lane/lane.ts';
import { SharedLane } from '../../dispatcher/lane/shared.ts';
import { RepeatBound } from '../../dispatcher/repeat-bound.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord, logRecord } from '../support/scripted-log.ts';

async function startLane(triggers: readonly Trigger[], options: Partial<LaneOptions> = {}) {
  const double = new LaneDouble(triggers);
  const { script, topics } = double;
  const lane = new SharedLane({
    ...double.options,
    ...options,
    group: topics.sharedGroup,
    topics: topics.eventTopics,
    startAt: 'earliest',
  });
  await lane.start();
  script.assign([{ topic: topics.events }]);
  let offset = 0;
  return Object.assign(double, {
    lane,
    /** An event of this type stands next in the log. */
    offer: (id: string, type = 'any', more: Record<string, string> = {}) =>
      script.offer([asLogRecord(toRecord(testEvent({ id, type, ...more })), offset++)], { topic: topics.events }),
    offerRaw: () => script.offer([logRecord(offset++)], { topic: topics.events }),
    position: async () => {
      await double.clock.advance(100);
      return script.commits.at(-1)?.[0]?.offset;
    },
  });
}

function trigger(name: string, type?: string): Trigger {
  const filters = type === undefined ? [] : [{ dialect: 'exact' as const, attributes: { type } }];
  return testTrigger('http://127.0.0.1:1', { name, filters });
}

const busy = trigger('busy', 'busy');
const idle = trigger('idle', 'idle');

t.test('an event settles when all its deliveries have, and at once where none matches', async (t) => {
  const { offer, delivered, position } = await startLane([trigger('one', 'a'), trigger('two', 'a')]);
  offer('1', 'nobody');
  t.equal(await position(), 1);
  offer('2', 'a');
  t.same(
    delivered.map((one) => one.trigger),
    ['one', 'two'],
  );
  delivered[0]?.hold.settle();
  t.equal(await position(), 1);
  delivered[1]?.hold.settle();
  t.equal(await position(), 2);
});

t.test('a record that is no event goes raw to the dead letters and holds nothing back', async (t) => {
  const { offer, offerRaw, unreadable, delivered, position } = await startLane([trigger('all')]);
  offerRaw();
  offer('1');
  t.equal(unreadable.length, 1);
  t.equal(delivered.length, 1);
  t.equal(await position(), 1);
});

t.test('nothing is matched while the registry is stale', async (t) => {
  const lane = await startLane([trigger('old')]);
  lane.setFresh(false);
  lane.offer('1');
  lane.offer('2');
  await lane.clock.advance(10_000);
  t.same(lane.delivered, []);
  lane.setTriggers([trigger('old'), trigger('new')]);
  lane.setFresh(true);
  await lane.clock.advance(0);
  t.same(
    lane.delivered.map(({ id, trigger }) => `${id} ${trigger}`),
    ['1 new', '1 old', '2 new', '2 old'],
  );
});

t.test('nothing is matched while there is a trigger of which this version can read no revision', async (t) => {
  const lane = await startLane([trigger('known')]);
  lane.setTriggers([trigger('known')], null, ['newer']);
  lane.offer('1');
  lane.offer('2');
  await lane.clock.advance(10_000);
  t.same(lane.delivered, []);
  t.equal(await lane.position(), 0, 'nor settled as if nobody wanted it');
  lane.setTriggers([trigger('known'), trigger('newer')]);
  await lane.clock.advance(0);
  t.same(
    lane.delivered.map(({ id, trigger }) => `${id} ${trigger}`),
    ['1 known', '1 newer', '2 known', '2 newer'],
  );
});

t.test('a busy trigger holds the lane while nobody else waits, however long', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'busy');
  await lane.clock.advance(60_000);
  t.same(lane.spilled, []);
  lane.setFull(busy, false);
  t.same(
    lane.delivered.map(({ id }) => id),
    ['1', '2'],
  );
});

const wideWindow = { recordsMax: 16_384, bytesMax: 100_000_000 };

t.test('of a trigger that is alone, what waits to be placed is read only as far as it is needed soon', async (t) => {
  const lane = await startLane([busy], { window: wideWindow });
  lane.setFull(busy, true);
  const offered = () => lane.offer('event', 'busy') === 1;
  let taken = 0;
  while (taken < 5_000 && offered()) taken++;
  t.equal(taken, 2_048);
  t.equal(lane.script.paused.size, 1);

  lane.setRoom(busy, 1_000);
  t.equal(lane.delivered.length, 1_000);
  for (const { hold } of lane.delivered) hold.settle();
  t.equal(lane.script.paused.size, 1, 'half of it is still there');
  lane.setRoom(busy, 100);
  t.equal(lane.script.paused.size, 0);
});

t.test('beside other triggers more is read, twice as much: there may be events for them', async (t) => {
  const lane = await startLane([busy, idle], { window: wideWindow });
  lane.setFull(busy, true);
  for (let count = 0; count < 4_095; count++) lane.offer('event', 'busy');
  t.equal(lane.script.paused.size, 0);
  lane.offer('wanted', 'idle');
  t.equal(lane.offer('later', 'idle'), 0);
  await lane.clock.advance(50);
  t.match(lane.delivered, [{ id: 'wanted' }]);
});

t.test('a trigger that comes while the reader is held back so lets it read on', async (t) => {
  const lane = await startLane([busy], { window: wideWindow });
  lane.setFull(busy, true);
  for (let count = 0; count < 2_049; count++) lane.offer('event', 'busy');
  t.equal(lane.script.paused.size, 1);
  lane.setTriggers([busy, idle]);
  await lane.clock.advance(50);
  t.equal(lane.script.paused.size, 0);
});

t.test('once others have waited for 50 ms, a busy trigger leaves its deliveries to its retry topic', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'idle');
  await lane.clock.advance(49);
  t.same(lane.delivered, []);
  await lane.clock.advance(1);
  t.same(
    lane.spilled.map(({ id }) => id),
    ['1'],
  );
  t.same(
    lane.delivered.map(({ id }) => id),
    ['2'],
  );
  lane.offer('3', 'busy');
  t.same(
    lane.spilled.map(({ id }) => id),
    ['1', '3'],
    'and goes on to while it is busy, at once',
  );
  lane.setFull(busy, false);
  lane.offer('4', 'busy');
  t.same(
    lane.delivered.map(({ id }) => id),
    ['2', '4'],
    'until it is relieved',
  );
});

t.test('a look that comes late, as this process was busy, waits for the answers that came meanwhile', async (t) => {
  for (const hasAnswered of [true, false]) {
    const lane = await startLane([busy, idle]);
    const setTimer = lane.clock.setTimer.bind(lane.clock);
    lane.clock.setTimer = (callback, delayMs) => setTimer(callback, delayMs === 50 ? 80 : delayMs);
    lane.setFull(busy, true);
    lane.offer('1', 'busy');
    lane.offer('2', 'idle');
    await lane.clock.advance(80);
    t.same(lane.spilled, []);
    if (hasAnswered) lane.setFull(busy, false);
    await lane.clock.advance(1);
    t.equal(lane.spilled.length, hasAnswered ? 0 : 1);
    t.equal(lane.delivered.length, hasAnswered ? 2 : 1);
  }
});

t.test('a hold that begins soon after another is over takes 50 ms, too', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.offer('1', 'busy');
  await lane.clock.advance(30);
  lane.setFull(busy, false);
  lane.setFull(busy, true);
  lane.offer('2', 'busy');
  lane.offer('3', 'idle');
  await lane.clock.advance(49);
  t.same(lane.spilled, []);
  await lane.clock.advance(1);
  t.match(lane.spilled, [{ id: '2' }]);
  t.match(lane.delivered, [{ id: '1' }, { id: '3' }]);
});

t.test('where no more can be left to the retry topic, the lane looks every 50 ms, and not at each turn', async (t) => {
  const lane = await startLane([busy, idle], { window: { recordsMax: 8, bytesMax: 10_000_000 } });
  lane.setFull(busy, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'idle');
  await lane.clock.advance(50);
  lane.offer('3', 'busy');
  t.match(lane.spilled, [{ id: '1' }, { id: '3' }], 'a quarter of the window');
  lane.setFull(busy, false);
  lane.offer('4', 'busy');
  lane.setFull(busy, true);
  lane.offer('5', 'busy');
  lane.offer('6', 'idle');
  let timers = 0;
  const setTimer = lane.clock.setTimer.bind(lane.clock);
  lane.clock.setTimer = (callback, delayMs) => {
    timers++;
    return setTimer(callback, delayMs);
  };
  await lane.clock.advance(10_000);
  t.ok(timers >= 190 && timers <= 210, `${timers} timers in 10 s`);
  t.equal(lane.spilled.length, 2);
  for (const { hold } of lane.spilled) hold.settle();
  await lane.clock.advance(50);
  t.match(lane.spilled[2], { id: '5' });
  t.match(lane.delivered.at(-1), { id: '6' });
});

t.test('a trigger that has no room either does not make another give way', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.setFull(idle, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'idle');
  await lane.clock.advance(60_000);
  t.same(lane.spilled, []);
});

t.test('a trigger that still has deliveries of its own waiting does not make another give way', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.setOccupied(idle);
  lane.offer('1', 'busy');
  lane.offer('2', 'idle');
  await lane.clock.advance(60_000);
  t.same(lane.spilled, []);
});

t.test('closing lets go of what was not placed', async (t) => {
  const lane = await startLane([busy]);
  lane.setFull(busy, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'busy');
  await lane.lane.close(new AbortController().signal);
  t.match(lane.script.commits.at(-1), [{ offset: 0 }]);
  t.same(lane.delivered, []);
});

t.test('a trigger that gets room while the lane is held need not wait for the busy one', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.setFull(idle, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'idle');
  await lane.clock.advance(1_000);
  lane.setFull(idle, false);
  await lane.clock.advance(100);
  t.same(
    lane.spilled.map(({ id }) => id),
    ['1'],
  );
  t.same(
    lane.delivered.map(({ id }) => id),
    ['2'],
  );
});

t.test('what another group reads for a trigger is not delivered here', async (t) => {
  const laneSpans = [
    { group: 'shared', from: [] },
    { group: 'own', from: [1] },
  ] as const;
  const lane = await startLane([{ ...busy, lane: 'own', laneSpans }]);
  lane.offer('1', 'busy');
  lane.offer('2', 'busy');
  t.same(
    lane.delivered.map(({ id }) => id),
    ['1'],
  );
  lane.delivered[0]?.hold.settle();
  t.equal(await lane.position(), 2);
});

t.test('what waits for the registry of a partition that was revoked is let go', async (t) => {
  const lane = await startLane([busy]);
  lane.setFresh(false);
  lane.offer('1', 'busy');
  lane.script.assign([{ topic: lane.topics.events, partition: 1 }], 2);
  lane.setFresh(true);
  await lane.clock.advance(100);
  t.same(lane.delivered, []);
});

t.test('a partition that stays is read on where what was read ahead was all of one that was revoked', async (t) => {
  const lane = await startLane([busy], { window: wideWindow });
  const { events } = lane.topics;
  lane.script.assign([{ topic: events }, { topic: events, partition: 1 }]);
  lane.setFull(busy, true);
  for (let count = 0; count < 2_048; count++) lane.offer('event', 'busy');
  const other = asLogRecord(toRecord(testEvent({ id: 'other', type: 'busy' })), 0);
  t.equal(lane.script.offer([other], { topic: events, partition: 1 }), 0);
  lane.script.assign([{ topic: events, partition: 1 }], 2);
  t.equal(lane.script.offer([other], { topic: events, partition: 1 }), 1);
  t.equal(lane.script.paused.size, 0);
});

t.test('what waits of a partition that was revoked is let go', async (t) => {
  const lane = await startLane([busy]);
  lane.setFull(busy, true);
  lane.offer('1', 'busy');
  lane.offer('2', 'busy');
  lane.script.assign([{ topic: lane.topics.events, partition: 1 }], 2);
  lane.setFull(busy, false);
  await lane.clock.advance(100);
  t.same(lane.delivered, []);
  t.equal(lane.revokedDrops, 1, 'what waits for its turn too');
});

t.test('an event whose deliverat is to come goes to the retry topic of each trigger that it matches', async (t) => {
  const lane = await startLane([trigger('one', 'a'), trigger('two', 'a'), trigger('other', 'b')]);
  const dueAtMs = lane.clock.now() + 60_000;
  const deliverat = new Date(dueAtMs).toISOString();
  lane.offer('later', 'a', { deliverat });
  lane.offer('now', 'b');
  t.match(lane.postponed, [
    { trigger: 'one', id: 'later', attempt: 1, dueAtMs },
    { trigger: 'two', id: 'later', attempt: 1, dueAtMs },
  ]);
  t.same(
    lane.delivered.map(({ id }) => id),
    ['now'],
  );
  lane.delivered[0]?.hold.settle();
  t.equal(await lane.position(), 2, 'settled, once the retry topics have it');
});

t.test('where a trigger is busy or its deliverat has passed, an event is like any other', async (t) => {
  const lane = await startLane([busy, idle]);
  lane.setFull(busy, true);
  lane.offer('waits', 'busy');
  lane.offer('later', 'busy', { deliverat: new Date(lane.clock.now() + 1).toISOString() });
  t.match(lane.postponed, [{ id: 'later' }], 'it does not wait for what stands before it');
  lane.offer('passed', 'idle', { deliverat: new Date(lane.clock.now()).toISOString() });
  lane.offer('no time', 'idle', { deliverat: 'soon' });
  lane.setFull(busy, false);
  t.same(
    lane.delivered.map(({ id }) => id),
    ['waits', 'passed', 'no time'],
  );
  t.match(await lane.metricsText(), /^posthorn_deliverat_ignored_total\{broker="default\/default"\} 1$/m);
  t.match(await lane.metricsText(), /^posthorn_delayed_deliveries_total\{.*trigger="busy"\} 1$/m);
});

t.test('an event counts for the bounds of its triggers from when all its deliveries are done', async (t) => {
  const { offer, delivered, position } = await startLane([trigger('quick', 'a'), trigger('slow', 'a')]);
  const [quick, slow] = [new RepeatBound(256), new RepeatBound(256)];
  offer('1', 'a');
  delivered[0]?.hold.settle(quick);
  t.ok(quick.isUnused, 'a slow trigger holds back no other');
  delivered[1]?.hold.settle(slow);
  t.notOk(quick.isUnused || slow.isUnused);
  t.equal(await position(), 1);
  t.ok(quick.isUnused && slow.isUnused, 'until it is committed');
});
