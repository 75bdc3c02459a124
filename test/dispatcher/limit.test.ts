import t from 'tap';
import { startLimit } from './limit-setup.ts';

t.test('no more run at once than may be in flight, and no more wait than may wait', async (t) => {
  const { limit, add, underWay, attempts } = startLimit({ settings: { maxInFlight: 2 }, waitingEventsMax: 3 });
  for (let count = 0; count < 5; count++) {
    t.ok(limit.hasRoomFor('shared'));
    add(`${count}`);
  }
  t.notOk(limit.hasRoomFor('shared'));
  t.equal(underWay.size, 2);
  await attempts[0]?.end();
  t.equal(underWay.size, 2);
  t.ok(limit.hasRoomFor('shared'));
});

t.test('those who wait for room are served in turn', async (t) => {
  const { limit, add, endAll, attempts } = startLimit({ settings: { maxInFlight: 1 }, waitingEventsMax: 1 });
  const lane = (name: string, kind: 'shared' | 'retry') => {
    const fill = (): void => {
      while (limit.hasRoomFor(kind)) add(name, { lane: kind });
      if (attempts.length < 20) limit.onceRoom(kind, fill);
    };
    return fill;
  };
  lane('greedy', 'shared')();
  lane('other', 'retry')();
  while (attempts.length < 20) await endAll();
  const share = attempts.filter(({ id }) => id === 'other').length / attempts.length;
  t.ok(share > 0.4, attempts.map(({ id }) => id).join(' '));
});

t.test('what waits of one lane can be taken out; the rest goes on in its order', async (t) => {
  const { limit, add, endAll, attempts, underWay } = startLimit({ settings: { maxInFlight: 2 } });
  for (let count = 0; count < 10; count++) add(`${count}`, { lane: count % 2 === 0 ? 'shared' : 'retry' });
  let told = 0;
  limit.onceRoom('shared', () => told++);
  const taken = limit.takeOut(({ lane }) => lane === 'shared');
  t.same(
    taken.map(({ delivery }) => delivery.event.attributes.id),
    ['2', '4', '6', '8'],
  );
  t.equal(limit.waiting, 4);
  t.equal(told, 1, 'there is room again');
  while (underWay.size > 0) {
    t.ok(underWay.size <= 2);
    await endAll();
  }
  t.same(
    attempts.map(({ id }) => id),
    ['0', '1', '3', '5', '7', '9'],
  );
});

t.test('another bound on what is in flight holds at once', async (t) => {
  const { add, endAll, update, underWay, limit } = startLimit({ settings: { maxInFlight: 2 } });
  for (let count = 0; count < 20; count++) add(`${count}`);
  update({ maxInFlight: 5 });
  t.equal(underWay.size, 5);
  t.equal(limit.concurrency, 5);
  update({ maxInFlight: 1 });
  await endAll();
  t.equal(underWay.size, 1);
});

t.test('a trigger is idle while a delivery that came would begin at once', async (t) => {
  const { limit, add, endAll, update } = startLimit({ settings: { maxInFlight: 1 } });
  t.ok(limit.isIdle);
  add('1');
  t.notOk(limit.isIdle);
  await endAll();
  t.ok(limit.isIdle);
  update({ paused: true });
  t.notOk(limit.isIdle);
});

t.test(
  'what is in flight when a trigger is paused ends; the rest waits, and goes on at once when it is resumed',
  async (t) => {
    const { limit, add, endAll, update, underWay, changes, clock } = startLimit({ settings: { maxInFlight: 2 } });
    for (let count = 0; count < 5; count++) add(`${count}`);
    update({ paused: true, generation: 2 });
    t.equal(limit.concurrency, 0);
    t.notOk(limit.hasRoomFor('shared'));
    await endAll();
    t.equal(underWay.size, 0);
    add('came while paused');
    await clock.advance(86_400_000);
    t.equal(underWay.size, 0);
    let told = 0;
    limit.onceRoom('retry', () => told++);
    update({ paused: false, generation: 3 });
    t.equal(underWay.size, 2);
    t.equal(told, 1);
    t.equal(limit.concurrency, 2);
    t.same(changes, [{ kind: 'paused' }, { kind: 'resumed' }]);
    t.equal(clock.pending, 0);
  },
);

t.test('a trigger that is paused from the start says so', async (t) => {
  const { add, underWay, changes, clock } = startLimit({ settings: { paused: true } });
  add('1');
  await clock.advance(1_000);
  t.equal(underWay.size, 0);
  t.same(changes, [{ kind: 'paused' }]);
});

t.test('a subscriber that is gone pauses its trigger until the next revision', async (t) => {
  const { limit, add, endAll, update, underWay, changes, clock } = startLimit({ settings: { maxInFlight: 3 } });
  for (let count = 0; count < 6; count++) add(`${count}`);
  await endAll('gone');
  t.equal(underWay.size, 0);
  t.equal(limit.pausedBy, 'gone');
  t.same(changes, [{ kind: 'gone' }], 'said once, however many were in flight');
  update({ maxInFlight: 3 });
  await clock.advance(86_400_000);
  t.equal(underWay.size, 0, 'the same revision changes nothing');
  update({ generation: 2 });
  t.equal(underWay.size, 3);
  t.same(changes.at(-1), { kind: 'resumed' });
});

t.test('that the subscriber of an earlier revision was gone does not pause the present one', async (t) => {
  const { limit, add, endAll, update, changes } = startLimit();
  add('1');
  update({ generation: 2 });
  await endAll('gone');
  t.equal(limit.pausedBy, null);
  t.same(changes, []);
});

t.test('of a deleted trigger all goes on, whatever held it', async (t) => {
  for (const hold of ['paused', 'open', 'rate'] as const) {
    const { limit, add, endAll, underWay, changes, clock } = startLimit({
      settings: {
        maxInFlight: 8,
        paused: hold === 'paused',
        ...(hold === 'rate' && { rate: { attempts: 1, perMs: 3_600_000 } }),
      },
    });
    for (let count = 0; count < 13; count++) add(`${count}`);
    if (hold === 'open') await endAll('failing');
    const told = changes.length;
    limit.release();
    await endAll('unknown');
    while (underWay.size > 0) await endAll('unknown');
    t.equal(limit.waiting, 0, hold);
    t.equal(changes.length, told, 'nobody needs to know');
    limit.close();
    t.equal(clock.pending, 0);
  }
});

t.test('closing begins nothing more and leaves no timer', async (t) => {
  const { limit, add, endAll, underWay, clock } = startLimit({
    settings: { maxInFlight: 5, rate: { attempts: 100, perMs: 1_000 } },
  });
  for (let count = 0; count < 20; count++) add(`${count}`);
  await clock.advance(1_000);
  t.equal(underWay.size, 5);
  limit.close();
  await endAll('failing');
  await clock.advance(600_000);
  t.equal(underWay.size, 0);
  t.equal(clock.pending, 0);
  t.equal(limit.takeOut(() => true).length, 15);
});
