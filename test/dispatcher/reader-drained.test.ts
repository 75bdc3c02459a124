import t from 'tap';
import { roomy, startReader } from './reader-setup.ts';

t.test(
  'a partition is drained when all is settled that it held when it was assigned, and all that has come since',
  async (t) => {
    const { assign, offer, taken, reader } = await startReader({ ...roomy, recordsMax: 2 });
    const isDrained = () => reader.positions()[0]?.isDrained;
    assign([{ offset: 1, end: 1 }]);
    t.equal(isDrained(), true, 'empty');
    assign([{ offset: 1, end: 4 }]);
    t.equal(isDrained(), false, 'nothing has come yet of what is there');
    offer([1, 2, 3]);
    for (const one of taken) one.settle();
    t.equal(isDrained(), false, 'there was no room for the last');
    offer([3]);
    t.equal(isDrained(), false, 'the last is under way');
    taken.at(-1)?.settle();
    t.equal(isDrained(), true);
    offer([4, 5, 6]);
    for (const one of taken) one.settle();
    assign([{ offset: 6, end: 6 }]);
    t.equal(isDrained(), true, 'as another has settled it');
  },
);
