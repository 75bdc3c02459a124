import t from 'tap';
import { startReader } from './reader-setup.ts';

t.test('a partition held since enough was handed out is read on, though all of it has settled by then', async (t) => {
  let isEnough = false;
  const window = { recordsMax: 8, bytesMax: 10_000_000 };
  const { assign, offer, taken, reader, paused } = await startReader(window, { wantsMore: () => !isEnough });
  assign([{}, { partition: 1 }]);
  offer([0, 1, 2, 3, 4]);
  offer([0], 1);
  isEnough = true;
  offer([5]);
  offer([1], 1);
  t.equal(paused.size, 2);
  taken.at(-1)?.settle();
  isEnough = false;
  reader.resumeHeld();
  t.equal(paused.size, 2, 'there are more in flight than half of the window');
  taken[0]?.settle();
  t.equal(paused.size, 0, 'both, though only one of them has anything in flight');
});
