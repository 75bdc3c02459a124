import fc from 'fast-check';
import t from 'tap';
import { AscendingSet } from '../../dispatcher/ascending-set.ts';

const steps = fc.array(
  fc.oneof(
    // Mostly ascending, as offsets come.
    { weight: 6, arbitrary: fc.record({ add: fc.constant('next' as const) }) },
    { weight: 1, arbitrary: fc.record({ add: fc.nat(400) }) },
    { weight: 5, arbitrary: fc.record({ delete: fc.nat(400) }) },
    { weight: 2, arbitrary: fc.record({ delete: fc.constant('first' as const) }) },
    { weight: 1, arbitrary: fc.constant('list' as const) },
  ),
  { maxLength: 600, size: 'max' },
);

t.test('a set is as a plain one, whose members are sorted', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(100)), steps, (initial, taken) => {
      initial.sort((a, b) => a - b);
      const set = new AscendingSet(initial);
      const plain = new Set(initial);
      let next = 101;
      for (const step of taken) {
        if (step === 'list') {
          const sorted = [...plain].sort((a, b) => a - b);
          if (JSON.stringify(set.ascending()) !== JSON.stringify(sorted)) return false;
        } else if ('add' in step) {
          const number = step.add === 'next' ? next++ : step.add;
          set.add(number);
          plain.add(number);
        } else {
          const number = step.delete === 'first' ? (set.first ?? 0) : step.delete;
          if (set.delete(number) !== plain.delete(number)) return false;
        }
        const least = plain.size === 0 ? undefined : Math.min(...plain);
        if (set.first !== least || set.size !== plain.size) return false;
      }
      return true;
    }),
    { numRuns: 100 },
  );
});
