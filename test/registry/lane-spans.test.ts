import t from 'tap';
import { groupAt, ownStart, spansAfter, withServed } from '../../broker/trigger/lane-spans.ts';

const at = (partition: number, topic = 'events') => ({ topic, partition });

t.test('every offset has one group, and none before the trigger was', async (t) => {
  t.equal(groupAt([], at(0), 0), 'shared');
  const own = spansAfter(null, 'ordered', [5]);
  t.same(
    [4, 5, 6].map((offset) => groupAt(own, at(0), offset)),
    [null, 'own', 'own'],
  );
  t.equal(groupAt(own, at(1), 0), 'own', 'a partition that was added later');
  const moved = spansAfter(spansAfter(spansAfter(null, 'shared', undefined), 'own', [5]), 'shared', [8]);
  t.same(
    [4, 5, 7, 8].map((offset) => groupAt(moved, at(0), offset)),
    ['shared', 'own', 'own', 'shared'],
  );
});

t.test("a trigger's own group starts where it first took over what is not known to be served", async (t) => {
  const once = spansAfter(spansAfter(null, 'shared', undefined), 'own', [5]);
  t.equal(ownStart([]), null);
  t.same(ownStart(once), [5]);
  const back = spansAfter(once, 'shared', [8]);
  t.same(ownStart(back), [5], 'it may not have begun');
  t.same(ownStart(spansAfter(back, 'own', [12])), [5]);
  const served = withServed(back, back.length);
  t.equal(ownStart(served), null);
  t.same(ownStart(spansAfter(served, 'own', [12])), [12]);
  t.same(
    [4, 5, 8].map((offset) => groupAt(served, at(0), offset)),
    ['shared', 'own', 'shared'],
    'who had what is as it was',
  );
});

t.test('what is served is known of the spans that were meant, and once', async (t) => {
  const back = spansAfter(spansAfter(null, 'own', [5]), 'shared', [8]);
  const again = spansAfter(back, 'own', [12]);
  const served = withServed(again, back.length);
  t.same(ownStart(served), [12], 'a word that comes after the next move');
  t.equal(withServed(served, back.length), served);
});

t.test('of several topics each has its own offsets', async (t) => {
  const moved = spansAfter(null, 'own', { 'eqiad.pages': [5, 9], 'codfw.pages': [2] });
  const groups = (topic: string, partition: number): unknown[] =>
    [1, 2, 5, 9].map((offset) => groupAt(moved, at(partition, topic), offset));
  t.strictSame(groups('eqiad.pages', 0), [null, null, 'own', 'own']);
  t.strictSame(groups('eqiad.pages', 1), [null, null, null, 'own']);
  t.strictSame(groups('codfw.pages', 0), [null, 'own', 'own', 'own']);
  t.strictSame(groups('codfw.pages', 1), ['own', 'own', 'own', 'own'], 'a partition that was added later');
});
