import fc from 'fast-check';
import t from 'tap';
import { type EventId, eventIdOf, RecentIds } from '../../broker/ingress/recent-ids.ts';
import { testEvent } from '../support/events.ts';

/** Ids of which many begin with the same word, as if their hashes met. */
function collidingId(number: number): EventId {
  const id = Buffer.alloc(16);
  id.writeUInt32LE(number % 5, 0);
  id.writeUInt32LE(number, 12);
  return id;
}

t.test('source and id together name an event', async (t) => {
  const id = (source: string, id: string) => eventIdOf(testEvent({ source, id })).toString('hex');
  t.equal(id('/a', '1'), id('/a', '1'));
  t.equal(new Set([id('/a', '1'), id('/a', '2'), id('/b', '1'), id('/a1', ''), id('/', 'a1')]).size, 5);
  t.equal(eventIdOf(testEvent()).length, 16);
});

t.test('it has what was added, until that is forgotten by time or for another, whatever the hashes', async (t) => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('add' as const), number: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), ageMs: fc.nat(80) }) },
  );
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 16, 4_096), fc.array(step, { maxLength: 300 }), (idsMax, steps) => {
      const ids = new RecentIds(idsMax);
      const model = new Map<number, number>();
      for (const [atMs, one] of steps.entries()) {
        if (one.kind === 'forget') {
          ids.forgetBefore(atMs - one.ageMs);
          for (const [number, addedMs] of model) if (addedMs < atMs - one.ageMs) model.delete(number);
        } else if (!model.has(one.number)) {
          const [oldest] = model.keys();
          const isFull = model.size === idsMax;
          if (isFull && oldest !== undefined) model.delete(oldest);
          model.set(one.number, atMs);
          if (ids.add(collidingId(one.number), atMs) !== isFull) return false;
        }
        if (ids.size !== model.size) return false;
        for (let number = 0; number <= 60; number++) {
          if (ids.has(collidingId(number)) !== model.has(number)) return false;
        }
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass('as a Map has it');
});

t.test('of many it has the last million, at 32 bytes each', async (t) => {
  const ids = new RecentIds(1_048_576);
  const before = process.memoryUsage();
  for (let number = 0; number < 1_500_000; number++) ids.add(spreadId(number), number);
  const after = process.memoryUsage();
  t.equal(ids.size, 1_048_576);
  const oldest = 1_500_000 - 1_048_576;
  t.equal(ids.has(spreadId(oldest - 1)), false);
  for (let number = oldest; number < 1_500_000; number += 1_000) if (!ids.has(spreadId(number))) t.fail(`${number}`);
  const heldBytes = after.arrayBuffers - before.arrayBuffers;
  // With what was left behind when it grew, where that is not collected yet.
  t.ok(heldBytes <= 64 * 1024 * 1024, `${heldBytes} bytes of arrays`);
});

function spreadId(number: number): EventId {
  const id = Buffer.alloc(16);
  id.writeUInt32LE(Math.imul(number, 2_654_435_761) >>> 0, 0);
  id.writeUInt32LE(number, 8);
  return id;
}
