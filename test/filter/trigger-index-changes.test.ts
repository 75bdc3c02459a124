import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { TriggerTree } from '../../broker/filter/index/trigger-tree.ts';
import { TriggerIndex } from '../../broker/filter/trigger-index.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { events, filters } from './arbitrary.ts';
import { naive, namesOf } from './naive.ts';
import { triggerWith } from './sample.ts';

/** Puts a trigger, new or in the place of another, or takes one out. */
const change = fc.record({
  name: fc.nat({ max: 5 }).map((n) => `t${n}`),
  filters: fc.option(fc.array(filters, { maxLength: 2 }), { freq: 3 }),
});

t.test('after any changes the index is that of the triggers there are, and an older one that of its own', async (t) => {
  const runs = propertyRuns(2_000);
  let matched = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), events, fc.nat(), (changes, event, n) => {
      const tree = new TriggerTree();
      let current = new Map<string, Trigger>();
      const indexes: { readonly index: TriggerIndex; readonly expected: string[] }[] = [];
      for (const { name, filters } of changes) {
        current = new Map(current);
        const { uid } = triggerWith(name, []);
        if (filters === null) current.delete(uid);
        else current.set(uid, triggerWith(name, filters));
        const expected = naive(current.values(), event);
        matched += expected.length;
        const index = new TriggerIndex(current, tree);
        indexes.push({ index, expected });
        deepStrictEqual(namesOf(index.match(event)), expected);
        const older = indexes[n % indexes.length];
        if (older) deepStrictEqual(namesOf(older.index.match(event)), older.expected);
      }
      deepStrictEqual(indexes.at(-1)?.index.unindexed, new TriggerIndex(current).unindexed);
    }),
    { numRuns: runs },
  );
  t.ok(matched > runs);
});
