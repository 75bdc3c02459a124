import t from 'tap';
import type { BatchSettings } from '../../broker/trigger/trigger.ts';
import { openBreaker, startLimit } from './limit-setup.ts';

const three: BatchSettings = { eventsMax: 3, bytesMax: 10_000, lingerMs: 100 };

function start(more: Partial<BatchSettings> = {}, settings = {}, waitingEventsMax = 1_024) {
  const one = startLimit({ settings: { maxInFlight: 2, batch: { ...three, ...more }, ...settings }, waitingEventsMax });
  return Object.assign(one, {
    addAll: (...ids: string[]) => {
      for (const id of ids) one.add(id);
    },
    batches: () => one.attempts.map(({ batch }) => batch?.join('')),
  });
}

t.test('a full batch goes at once, others when their first has waited for the linger', async (t) => {
  const { addAll, clock, batches, limit } = start();
  addAll('a', 'b', 'c');
  t.same(batches(), ['abc']);
  addAll('d');
  await clock.advance(60);
  addAll('e');
  await clock.advance(39);
  t.same(batches(), ['abc']);
  await clock.advance(1);
  t.same(batches(), ['abc', 'de']);
  t.equal(clock.pending, 0, 'no timer is left');
  limit.close();
});

t.test('without a linger what comes in one turn of the event loop goes together', async (t) => {
  const { addAll, clock, batches } = start({ lingerMs: 0 });
  addAll('a', 'b');
  t.same(batches(), []);
  await clock.advance(0);
  addAll('c');
  await clock.advance(0);
  t.same(batches(), ['ab', 'c']);
});

t.test('max-in-flight counts requests; what waits meanwhile fills the next batch', async (t) => {
  const { addAll, clock, batches, attempts } = start();
  addAll(...'abcdefghij');
  await clock.advance(0);
  t.same(batches(), ['abc', 'def'], 'two requests');
  await clock.advance(1_000);
  t.equal(attempts.length, 2);
  await attempts[1]?.end();
  t.same(batches(), ['abc', 'def', 'ghi']);
  await attempts[0]?.end();
  await clock.advance(0);
  t.same(batches(), ['abc', 'def', 'ghi', 'j'], 'it has waited long enough');
});

t.test('the bytes of a batch are bounded, and one event that is larger goes alone', async (t) => {
  const { add, clock, batches } = start({ eventsMax: 10, bytesMax: 2_000 }, { maxInFlight: 10 });
  for (const id of 'ab') add(id, { bytes: 700 });
  t.same(batches(), []);
  add('c', { bytes: 700 });
  t.same(batches(), ['ab'], 'more than a batch waits: no need to linger');
  add('d', { bytes: 3_000 });
  add('e', { bytes: 10 });
  await clock.advance(100);
  t.same(batches(), ['ab', 'c', 'd', 'e']);
});

t.test('after a 413 batches have half of the bytes at most, until the next revision', async (t) => {
  const { addAll, batches, limit, update, endAll, clock } = start({ eventsMax: 4 }, { maxInFlight: 10 });
  limit.tooLarge(500);
  // An event is of about 130 bytes.
  addAll('a', 'b', 'c', 'd');
  await clock.advance(100);
  t.same(batches(), ['a', 'b', 'c', 'd']);
  limit.tooLarge(100_000);
  await endAll();
  update({ generation: 2 });
  addAll('e', 'f', 'g', 'h');
  t.equal(batches().at(-1), 'efgh');
});

t.test('a rate counts events: the next batch waits until all of the last are paid for', async (t) => {
  const { addAll, clock, batches, endAll } = start({}, { rate: { attempts: 10, perMs: 1_000 } });
  addAll(...'abcdef');
  t.same(batches(), ['abc']);
  await endAll();
  await clock.advance(299);
  t.same(batches(), ['abc']);
  await clock.advance(1);
  t.same(batches(), ['abc', 'def']);
});

t.test('an open breaker is probed by a batch of one, and what waits goes in batches after it', async (t) => {
  const one = start({}, { maxInFlight: 8 });
  for (let count = 0; count < 5; count++) {
    one.add(String(count));
    await one.clock.advance(100);
    await one.attempts.at(-1)?.end('failing');
  }
  t.match(one.changes, [{ kind: 'opened', why: '5 failures in a row' }], 'a request is one failure');
  one.addAll('a', 'b', 'c', 'd');
  await one.clock.advance(1_000);
  t.match(one.attempts.slice(5), [{ isProbe: true, batch: ['a'] }]);
  await one.attempts.at(-1)?.end();
  await one.clock.advance(0);
  t.equal(one.batches().at(-1), 'bcd');
});

t.test('one failed request of many events does not open the breaker', async (t) => {
  const { addAll, attempts, changes } = start();
  addAll('a', 'b', 'c');
  await attempts[0]?.end('failing');
  t.same(changes, []);
});

t.test('paused deliveries wait, and go in batches as soon as it is over', async (t) => {
  const { addAll, clock, batches, update } = start({}, { paused: true });
  addAll('a', 'b', 'c', 'd');
  await clock.advance(10_000);
  t.same(batches(), []);
  update({ paused: false });
  await clock.advance(0);
  t.same(batches(), ['abc', 'd']);
});

t.test('a trigger that only gathers is idle for the others, one that is full is not', async (t) => {
  const { addAll, limit, clock, endAll, update } = start();
  t.equal(limit.isIdle, true);
  addAll('a', 'b');
  t.equal(limit.isIdle, true, 'it waits for others, and for nothing else');
  addAll('c', 'd', 'e', 'f');
  await clock.advance(0);
  t.equal(limit.isIdle, false, 'all requests are in flight');
  addAll('g');
  t.equal(limit.isIdle, false);
  await endAll();
  t.equal(limit.isIdle, true);
  update({ paused: true });
  t.equal(limit.isIdle, false);
});

t.test('a batch waits for no more than may wait', async (t) => {
  const { addAll, batches, limit } = start({ eventsMax: 100 }, {}, 4);
  addAll('a', 'b', 'c');
  t.equal(limit.hasRoomFor('shared'), true);
  addAll('d');
  t.same(batches(), ['abcd']);
});

t.test('a revision that wants batches, or none, holds for what waits', async (t) => {
  const { addAll, attempts, batches, update, endAll, clock } = start({}, { maxInFlight: 1, batch: null });
  addAll('a', 'b', 'c', 'd');
  t.same(attempts.at(-1)?.batch, null, 'alone');
  update({ batch: three, generation: 2 });
  await endAll();
  await clock.advance(0);
  t.same(batches(), [undefined, 'bcd']);
  addAll('e', 'f');
  update({ batch: null, generation: 3 });
  await endAll();
  await endAll();
  t.same(
    attempts.slice(2).map(({ id, batch }) => [id, batch]),
    [
      ['e', null],
      ['f', null],
    ],
  );
});

t.test('what was taken out leaves no batch behind that is ready', async (t) => {
  const { addAll, batches, limit, clock, endAll } = start({}, { maxInFlight: 1 });
  addAll(...'abcdef');
  t.equal(limit.takeOut(() => true).length, 3);
  await endAll();
  addAll('g');
  await clock.advance(99);
  t.same(batches(), ['abc']);
  await clock.advance(1);
  t.same(batches(), ['abc', 'g']);
});

t.test('of a deleted trigger nothing is gathered', async (t) => {
  const { addAll, attempts, limit } = start();
  addAll('a');
  limit.release();
  t.match(attempts, [{ id: 'a', batch: null }]);
});

t.test('without batches nothing is gathered', async (t) => {
  const limit = startLimit();
  await openBreaker(limit);
  for (const { batch } of limit.attempts) t.equal(batch, null);
});
