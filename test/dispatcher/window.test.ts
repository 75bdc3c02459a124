import t from 'tap';
import { Window, type WindowPart } from '../../dispatcher/lane/window.ts';
import { logRecord } from '../support/scripted-log.ts';

/** Puts records of 612 bytes in until the part has no more room, at most so many. @returns the number */
function fill(window: Window, part: WindowPart, recordsMax: number | undefined, most = 100_000): number {
  let count = 0;
  for (; count < most && window.hasRoomFor(part, recordsMax); count++) window.add(logRecord(count), part);
  return count;
}

const empty = (): WindowPart => ({ inFlight: 0, bytes: 0 });

t.test('a part without a bound may have it all', async (t) => {
  t.equal(fill(new Window({ recordsMax: 1_000, bytesMax: 10_000_000 }), empty(), undefined), 1_000);
});

t.test('bounded parts leave the others theirs, however many hold all that they may', async (t) => {
  const window = new Window({ recordsMax: 65_536, bytesMax: 1e9 });
  t.equal(fill(window, empty(), 12_288), 12_288, 'the first has its bound');
  for (let count = 0; count < 19; count++) fill(window, empty(), 12_288);
  const moving = empty();
  t.ok(fill(window, moving, 12_288) > 100);
  for (let count = 0; count < 1_000; count++) {
    window.remove(logRecord(0), moving);
    t.equal(fill(window, moving, 12_288, 1), 1);
  }
});

t.test('of the bytes half of what is free', async (t) => {
  const window = new Window({ recordsMax: 1_000, bytesMax: 61_200 });
  t.equal(fill(window, empty(), 500), 50);
  t.equal(fill(window, empty(), 500), 25);
});

t.test('half of what a part may have must be free before more is read', async (t) => {
  const window = new Window({ recordsMax: 1_000, bytesMax: 10_000_000 });
  const part = empty();
  fill(window, part, 100);
  for (let count = 0; count < 49; count++) window.remove(logRecord(0), part);
  t.notOk(window.isRelievedFor(part, 100));
  window.remove(logRecord(0), part);
  t.ok(window.isRelievedFor(part, 100));
});
