import { setImmediate as soon } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { KeyQueues } from '../../dispatcher/lane/key-queues.ts';
import { collectGarbage } from '../support/garbage.ts';

interface Item {
  readonly key: string | null;
  readonly n: number;
}

t.test('of each key one is out at a time, in order, whatever is removed; nothing is lost', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), key: fc.option(fc.constantFrom('a', 'b', 'c')) }),
    fc.record({ kind: fc.constantFrom('take' as const, 'take' as const, 'putBack' as const, 'done' as const) }),
    fc.record({ kind: fc.constant('remove' as const), every: fc.integer({ min: 2, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queues = new KeyQueues<Item>();
      const out: Item[] = [];
      const waiting = new Set<number>();
      const lastOf = new Map<string, number>();
      let pushed = 0;
      const take = (): boolean => {
        const item = queues.first;
        if (!item) return false;
        queues.shift();
        if (!waiting.delete(item.n)) throw new Error(`${item.n} is not one that waits`);
        if (item.key !== null) {
          if (out.some(({ key }) => key === item.key)) throw new Error(`two of ${item.key} are out`);
          if (item.n < (lastOf.get(item.key) ?? -1)) throw new Error(`${item.n} is out of order`);
          lastOf.set(item.key, item.n);
        }
        out.push(item);
        return true;
      };
      for (const one of steps) {
        if (one.kind === 'push') {
          waiting.add(pushed);
          queues.push({ key: one.key, n: pushed++ });
        } else if (one.kind === 'take') take();
        else if (one.kind === 'remove') {
          const removed = queues.remove(({ n }) => n % one.every === 0);
          for (const { n } of removed) if (!waiting.delete(n)) throw new Error(`${n} is not one that waits`);
          if ([...waiting].some((n) => n % one.every === 0)) throw new Error('one was not removed');
        } else {
          const item = out.shift();
          if (item === undefined) continue;
          if (one.kind === 'done') queues.done(item.key);
          else {
            waiting.add(item.n);
            queues.putBack(item);
          }
        }
      }
      while (waiting.size > 0) {
        for (const item of out.splice(0)) queues.done(item.key);
        if (!take()) throw new Error(`${waiting.size} are left and none is ready`);
      }
    }),
  );
});

t.test('an item that was taken is not kept, though others wait', async (t) => {
  const queues = new KeyQueues<Item>();
  const pushed: WeakRef<Item>[] = [];
  for (let n = 0; n < 3; n++) {
    const item = { key: null, n };
    pushed.push(new WeakRef(item));
    queues.push(item);
  }
  queues.shift();
  await soon();
  collectGarbage();
  t.strictSame(
    pushed.map((item) => item.deref() !== undefined),
    [false, true, true],
  );
});
