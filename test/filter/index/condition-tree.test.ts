import { deepStrictEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ConditionTree } from '../../../broker/filter/index/condition-tree.ts';
import type { Condition } from '../../../broker/filter/index/term.ts';
import { propertyRuns } from '../../support/property-runs.ts';

// More names than the tree goes through one by one.
const name = fc.nat({ max: 9 }).map((n) => `a${n}`);
const text = fc.constantFrom('', 'a', 'ab', 'ba', 'b', 'aba');
const condition: fc.Arbitrary<Condition> = fc.record({
  attribute: name,
  kind: fc.constantFrom('equals' as const, 'prefix' as const, 'suffix' as const),
  text,
});
const attributes = fc.dictionary(name, text, { minKeys: 5, maxKeys: 10 });

function isMet({ attribute, kind, text }: Condition, attributes: Readonly<Record<string, string>>): boolean {
  const value = attributes[attribute];
  if (value === undefined) return false;
  if (kind === 'equals') return value === text;
  return kind === 'prefix' ? value.startsWith(text) : value.endsWith(text);
}

t.test(
  'the items whose conditions are met are found, however others came and went, and none leaves anything',
  async (t) => {
    let found = 0;
    const items = fc.array(fc.record({ conditions: fc.array(condition, { maxLength: 3 }), isTakenOut: fc.boolean() }));
    fc.assert(
      fc.property(items, attributes, (items, attributes) => {
        const tree = new ConditionTree<number>((a, b) => a - b);
        for (const [n, { conditions }] of items.entries()) tree.add(conditions, n);
        for (const [n, { conditions, isTakenOut }] of items.entries()) if (isTakenOut) tree.remove(conditions, n);
        const left = [...items.entries()].filter(([, { isTakenOut }]) => !isTakenOut);
        const expected = left.filter(([, { conditions }]) => conditions.every((one) => isMet(one, attributes)));
        deepStrictEqual(
          tree.find(attributes).sort((a, b) => a - b),
          expected.map(([n]) => n),
        );
        found += expected.length;
        for (const [n, { conditions }] of left) tree.remove(conditions, n);
        equal(tree.isEmpty, true);
      }),
      { numRuns: propertyRuns(2_000) },
    );
    t.ok(found > 1_000, `${found} found`);
  },
);

t.test('items under the same conditions are found in their order', async (t) => {
  const tree = new ConditionTree<number>((a, b) => a - b);
  const conditions: Condition[] = [{ attribute: 'type', kind: 'equals', text: 'a' }];
  for (const n of [3, 1, 2, 5, 4]) tree.add(conditions, n);
  tree.remove(conditions, 2);
  t.strictSame(tree.find({ type: 'a' }), [1, 3, 4, 5]);
});
