import { deepStrictEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Affixes } from '../../../broker/filter/index/affixes.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'a', 'b', '\ud83d'), maxLength: 5 });
const change = fc.record({ text, isPut: fc.boolean() });

for (const kind of ['prefix', 'suffix'] as const) {
  t.test(`each ${kind} of a text is found, however the others came and went`, async (t) => {
    let found = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 10, maxLength: 30 }), text, (changes, whole) => {
        const affixes = new Affixes<number>(kind);
        const model = new Map<string, number>();
        for (const [n, { text, isPut }] of changes.entries()) {
          if (isPut) affixes.set(text, n);
          else affixes.delete(text);
          if (isPut) model.set(text, n);
          else model.delete(text);
          equal(affixes.get(text), model.get(text));
          equal(affixes.isEmpty, model.size === 0);
        }
        const expected = [...model]
          .filter(([text]) => (kind === 'prefix' ? whole.startsWith(text) : whole.endsWith(text)))
          .sort(([a], [b]) => a.length - b.length)
          .map(([, n]) => n);
        deepStrictEqual(affixes.matching(whole), expected);
        found += expected.length;
        for (const text of model.keys()) affixes.delete(text);
        equal(affixes.isEmpty, true);
      }),
      { numRuns: propertyRuns(2_000) },
    );
    t.ok(found > 1_000, `${found} found`);
  });
}
