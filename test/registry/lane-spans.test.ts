import t from 'tap';
import { groupAt, ownStart, spansAfter } from '../../broker/trigger/lane-spans.ts';

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

t.test("a trigger's own group starts where it took over last, and any commit since the first time holds", async (t) => {
  const once = spansAfter(spansAfter(null, 'shared', undefined), 'own', [5]);
  t.equal(ownStart([]), null);
  t.same(ownStart(once), { offsets: [5], floors: [5] });
  const again = spansAfter(spansAfter(once, 'shared', [8]), 'own', [12]);
  t.same(ownStart(again), { offsets: [12], floors: [5] });
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
