import t from 'tap';
import { Slots } from '../../runtime/slots.ts';

t.test('what is in has a number of its own, by which it is taken out once', async (t) => {
  const slots = new Slots<string>();
  const [one, two] = [slots.add('one'), slots.add('two')];
  t.not(one, two);
  t.equal(slots.size, 2);
  t.equal(slots.take(one), 'one');
  t.equal(slots.take(one), undefined);
  t.equal(slots.take(99), undefined);
  t.equal(slots.size, 1);
  t.strictSame(slots.values(), ['two']);
});

t.test('a number that is free is given again, and none twice', async (t) => {
  const slots = new Slots<number>();
  const held = new Map<number, number>();
  for (let value = 0; value < 1_000; value++) {
    const number = slots.add(value);
    if (held.has(number)) t.fail(`${number} is given twice`);
    held.set(number, value);
    if (held.size < 10) continue;
    for (const gone of [...held.keys()].slice(value % 7, 7)) {
      t.ok(slots.take(gone) === held.get(gone));
      held.delete(gone);
    }
    t.ok(slots.size === held.size);
  }
  t.strictSame(slots.values().toSorted(), [...held.values()].toSorted());
  t.ok(Math.max(...held.keys()) < 10, 'no more numbers than there are places');
});
