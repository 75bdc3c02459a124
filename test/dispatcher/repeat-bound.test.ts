import t from 'tap';
import { RepeatBound } from '../../dispatcher/repeat-bound.ts';

/** Begins attempts until one has to wait; returns how many could begin. */
function beginAll(bound: RepeatBound): number {
  for (let count = 0; ; count++) if (bound.begin() !== undefined) return count;
}

t.test('attempts under way and events that no commit holds are 256 at most, together', async (t) => {
  const bound = new RepeatBound(256);
  t.notOk(bound.isWaitedFor);
  t.equal(beginAll(bound), 256);
  t.ok(bound.isWaitedFor);
  for (let i = 0; i < 100; i++) {
    bound.settled();
    bound.end();
  }
  let begun = 0;
  const waiting = Array.from({ length: 200 }, () => bound.begin()?.then(() => begun++));
  await Promise.resolve();
  t.equal(begun, 0, 'what has settled still counts');
  bound.committed(60);
  await Promise.resolve();
  t.equal(begun, 59, 'one that waited before came first');
  bound.committed(40);
  await Promise.resolve();
  t.equal(begun, 99);
  t.equal(waiting.filter((one) => one === undefined).length, 0);
});

t.test('an attempt that settled nothing makes room at its end, in the order in which others wait', async (t) => {
  const bound = new RepeatBound(1);
  for (let i = 0; i < 256; i++) t.equal(bound.begin(), undefined);
  const order: string[] = [];
  for (const name of ['first', 'second']) void bound.begin()?.then(() => order.push(name));
  bound.end();
  await Promise.resolve();
  t.same(order, ['first']);
  bound.end();
  await Promise.resolve();
  t.same(order, ['first', 'second']);
});

t.test('a trigger that may have more in flight may have more repeated', async (t) => {
  const bound = new RepeatBound(1_000);
  t.equal(beginAll(bound), 1_000);
  const raised = bound.begin();
  bound.maxInFlight = 2_000;
  await raised;
  t.pass('a revision counts at once');
});

t.test('at shutdown nothing waits for a commit', async (t) => {
  const bound = new RepeatBound(256);
  t.equal(beginAll(bound), 256);
  const waiting = bound.begin();
  bound.open();
  await waiting;
  t.equal(bound.begin(), undefined);
});

t.test('a bound is unused when nothing counts for it', async (t) => {
  const bound = new RepeatBound(256);
  t.ok(bound.isUnused);
  t.equal(bound.begin(), undefined);
  bound.settled();
  t.notOk(bound.isUnused);
  bound.end();
  t.notOk(bound.isUnused);
  bound.committed(1);
  t.ok(bound.isUnused);
});
