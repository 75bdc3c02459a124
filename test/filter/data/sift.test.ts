import t from 'tap';
import { sift } from '../../../broker/filter/data/sift.ts';
import type { Trigger } from '../../../broker/trigger/trigger.ts';
import { testEvent, testTrigger } from '../../support/events.ts';

const trigger = (name: string, dataFilter: string | null): Trigger =>
  testTrigger('http://127.0.0.1:1', { name, dataFilter });

/** An event that counts how often its data is read. */
function counted(json: string) {
  let reads = 0;
  const event = {
    ...testEvent({ datacontenttype: 'application/json' }),
    get data() {
      reads += 1;
      return Buffer.from(json);
    },
  };
  return { event, reads: () => reads };
}

t.test('an event goes to the triggers without a data filter and to those whose data filter it passes', async (t) => {
  const all = [
    trigger('a', null),
    trigger('b', 'data.n > 1'),
    trigger('c', 'data.n > 5'),
    trigger('d', 'data.nope == 1'),
  ];
  const { event, reads } = counted('{"n": 3}');
  const { passed, undecided } = sift(all, event);
  t.strictSame(
    passed.map(({ name }) => name),
    ['a', 'b'],
  );
  t.strictSame(undecided, []);
  t.equal(reads(), 1, 'the data is read once for all of them');
});

t.test('those whose data filter has no answer are told, with the reason', async (t) => {
  const { event } = counted('{');
  const { passed, undecided } = sift([trigger('a', 'data.n > 1'), trigger('b', null), trigger('c', 'true')], event);
  t.strictSame(
    passed.map(({ name }) => name),
    ['b', 'c'],
  );
  t.match(undecided, [{ trigger: { name: 'a' }, reason: /not the JSON/ }]);
  t.equal(undecided.length, 1);
});

t.test('the data is not read where nobody asks for it', async (t) => {
  const { event, reads } = counted('{"n": 3}');
  t.equal(sift([trigger('a', null), trigger('b', null)], event).passed.length, 2);
  t.equal(sift([trigger('a', `event.type == 'other' && data.n > 1`), trigger('b', null)], event).passed.length, 1);
  t.equal(sift([], event).passed.length, 0);
  t.equal(reads(), 0);
});

t.test('a revision of a trigger is asked by its own filter', async (t) => {
  const first = trigger('a', 'data.n > 5');
  const { event } = counted('{"n": 3}');
  t.equal(sift([first], event).passed.length, 0);
  t.equal(sift([{ ...first, generation: 2, dataFilter: 'data.n > 1' }], event).passed.length, 1);
  t.equal(sift([first], event).passed.length, 0);
});
