import fc from 'fast-check';
import t from 'tap';
import { compare } from '../../broker/schema/compatibility/compare.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { anyValue, versions } from './arbitrary.ts';
import { sideOf, versionOf } from './versions.ts';

for (const dialect of ['2020-12', 'draft-07'] as const) {
  t.test(
    `what is called compatible has no instance that says otherwise, and what is not has one (${dialect})`,
    async (t) => {
      const said = { compatible: 0, incompatible: 0, undecided: 0 };
      const values = fc.array(anyValue, { minLength: 40, maxLength: 40 });
      fc.assert(
        fc.property(versions(dialect), values, ([one, other], instances) => {
          const [before, after] = [versionOf(one), versionOf(other)];
          if (before === null || after === null) return;
          const { verdict, reasons } = compare(before, after, 'BACKWARD');
          said[verdict]++;
          const [old, now] = [sideOf(before), sideOf(after)];
          const breaks = (value: unknown): boolean => old.error(value) === null && now.error(value) !== null;
          if (verdict === 'compatible') {
            const broken = instances.find(breaks);
            if (broken !== undefined)
              throw new Error(`called compatible, but ${JSON.stringify(broken)} says otherwise`);
          }
          for (const { example } of reasons) {
            if (example !== null && !breaks(JSON.parse(example))) throw new Error(`${example} shows nothing`);
          }
        }),
        { numRuns: propertyRuns(120, 3_000) },
      );
      t.ok(said.compatible > 3 && said.incompatible > 0, JSON.stringify(said));
    },
  );
}
