import t from 'tap';
import { TriggerLimit } from '../../dispatcher/limit.ts';

t.test('no more run at once than may be in flight, and no more wait than may wait', async (t) => {
  const limit = new TriggerLimit(2, 3);
  const ends: (() => void)[] = [];
  let running = 0;
  const task = () =>
    new Promise<void>((resolve) => {
      running++;
      ends.push(() => {
        running--;
        resolve();
      });
    });
  for (let count = 0; count < 5; count++) {
    t.ok(limit.hasRoom);
    limit.add(task);
  }
  t.notOk(limit.hasRoom);
  t.equal(running, 2);
  ends.shift()?.();
  await turn();
  t.equal(running, 2);
  t.ok(limit.hasRoom);
});

t.test('those who wait for room are served in turn', async (t) => {
  const limit = new TriggerLimit(1, 1);
  const began: string[] = [];
  const lane = (name: string) => {
    const fill = (): void => {
      while (limit.hasRoom) {
        limit.add(async () => {
          began.push(name);
          await turn();
        });
      }
      if (began.length < 20) limit.onceRoom(fill);
    };
    return fill;
  };
  lane('greedy')();
  lane('other')();
  for (let turns = 0; turns < 100; turns++) await turn();
  const share = began.filter((name) => name === 'other').length / began.length;
  t.ok(share > 0.4, `${began.join(' ')}`);
});

/** Lets everything run that can. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
