import t from 'tap';
import { groupAt, ownStart, spansAfter } from '../../broker/trigger/lane-spans.ts';

t.test('every offset has one group, and none before the trigger was', async (t) => {
  t.equal(groupAt([], 0, 0), 'shared');
  const own = spansAfter(null, 'ordered', [5]);
  t.same(
    [4, 5, 6].map((offset) => groupAt(own, 0, offset)),
    [null, 'own', 'own'],
  );
  t.equal(groupAt(own, 1, 0), 'own', 'a partition that was added later');
  const moved = spansAfter(spansAfter(spansAfter(null, 'shared', undefined), 'own', [5]), 'shared', [8]);
  t.same(
    [4, 5, 7, 8].map((offset) => groupAt(moved, 0, offset)),
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
