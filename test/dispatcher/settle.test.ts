import fc from 'fast-check';
import t from 'tap';
import { decodeSettled, encodeSettled, metadataMax, Offsets } from '../../dispatcher/settle.ts';
import { seeded } from '../support/random.ts';

const nothing = { offset: 0, metadata: '' };

t.test('the position is the lowest offset that is not settled', async (t) => {
  const offsets = new Offsets(nothing, 10);
  for (const offset of [0, 1, 2, 3]) t.ok(offsets.take(offset));
  t.equal(offsets.position, 0);
  offsets.settle(1);
  offsets.settle(2);
  t.equal(offsets.position, 0, 'never past an unsettled offset');
  offsets.settle(0);
  t.equal(offsets.position, 3);
  offsets.settle(3);
  t.equal(offsets.position, 4);
});

t.test('settled and in-flight offsets are not taken again', async (t) => {
  const offsets = new Offsets(nothing, 10);
  t.ok(offsets.take(0));
  t.ok(offsets.take(1));
  offsets.settle(1);
  t.notOk(offsets.take(0), 'in flight');
  t.notOk(offsets.take(1), 'settled');
});

t.test('offsets that the log does not have are crossed', async (t) => {
  const offsets = new Offsets({ offset: 5, metadata: '' }, 100);
  offsets.take(5);
  offsets.take(90);
  offsets.passed(95);
  offsets.settle(5);
  t.equal(offsets.position, 90);
  offsets.settle(90);
  t.equal(offsets.position, 95);
});

t.test('after a restart only what was not settled is taken', async (t) => {
  const before = new Offsets(nothing, 100);
  for (let offset = 0; offset < 50; offset++) before.take(offset);
  for (let offset = 0; offset < 50; offset++) if (offset % 7 !== 3) before.settle(offset);
  const after = new Offsets(before.commit(0), 100);
  const repeated: number[] = [];
  for (let offset = 3; offset < 52; offset++) if (after.take(offset)) repeated.push(offset);
  t.same(repeated, [3, 10, 17, 24, 31, 38, 45, 50, 51]);
});

t.test('a settled set that reaches past the end of the log is dropped', async (t) => {
  const before = new Offsets(nothing, 100);
  for (let offset = 0; offset < 10; offset++) before.take(offset);
  before.settle(9);
  const after = new Offsets(before.commit(0), 9);
  for (let offset = 0; offset < 9; offset++) t.ok(after.take(offset));
});

t.test('restored offsets that the log no longer has do not hold the position back', async (t) => {
  const before = new Offsets(nothing, 100);
  for (let offset = 0; offset < 10; offset++) before.take(offset);
  for (const offset of [1, 2, 4, 5, 9]) before.settle(offset);
  const after = new Offsets(before.commit(0), 100);
  t.ok(after.take(3), 'the first one that is still there');
  after.passed(10);
  after.settle(3);
  t.equal(after.position, 10);
});

t.test('metadata that is not ours settles nothing', async (t) => {
  for (const metadata of ['x', 'r1:', 'r1:-1.2', 'r1:1', 'r1:zzzzzzzzzzzz.1', 'b1:', 'b1:é', 'r1:1.2.3']) {
    const offsets = new Offsets({ offset: 7, metadata }, 1_000);
    t.equal(offsets.position, 7, metadata);
    t.ok(offsets.take(8), metadata);
  }
});

t.test('what another owner has settled in between is settled after a rejoin', async (t) => {
  const mine = new Offsets(nothing, 100);
  for (let offset = 0; offset < 5; offset++) mine.take(offset);
  mine.settle(1);
  const other = new Offsets(mine.commit(0), 100);
  for (let offset = 0; offset < 12; offset++) other.take(offset);
  for (const offset of [0, 2, 4, 6, 7, 11]) other.settle(offset);
  mine.rejoin(other.commit(0), 100);
  const taken: number[] = [];
  for (let offset = 3; offset < 14; offset++) if (mine.take(offset)) taken.push(offset);
  t.same(taken, [5, 8, 9, 10, 12, 13], 'neither what is in flight here nor what was settled there');
});

const settledSets = fc
  .record({
    position: fc.nat(2 ** 40),
    // true is settled; the first offset, at the position, is not.
    rest: fc.array(fc.boolean(), { maxLength: 3_000 }),
  })
  .map(({ position, rest }) => ({ position, isSettled: [false, ...rest] }));

t.test('any settled set comes back from its metadata', async () => {
  fc.assert(
    fc.property(settledSets, ({ position, isSettled }) => {
      const unsettled = isSettled.flatMap((settled, index) => (settled ? [] : [position + index]));
      const metadata = encodeSettled(position, unsettled, position + isSettled.length);
      if (metadata.length > metadataMax) return false;
      const lastSettled = isSettled.lastIndexOf(true);
      if (lastSettled === -1) return metadata === '';
      const decoded = decodeSettled(position, metadata);
      return (
        decoded?.next === position + lastSettled + 1 &&
        JSON.stringify(decoded.unsettled) === JSON.stringify(unsettled.filter((offset) => offset < decoded.next))
      );
    }),
  );
});

t.test('whatever the order of settling, the set fits the metadata and nothing unsettled is forgotten', async () => {
  const runs = fc.record({ seed: fc.nat(), window: fc.constantFrom(50, 250, 3_000), gap: fc.constantFrom(1, 3, 500) });
  fc.assert(
    fc.property(runs, ({ seed, window, gap }) => {
      const { random } = seeded(String(seed));
      const offsets = new Offsets(nothing, Number.MAX_SAFE_INTEGER);
      const inFlight: number[] = [];
      let next = 0;
      for (let step = 0; step < 20_000; step++) {
        if (inFlight.length < window && offsets.hasRoomFor(next) && random() < 0.6) {
          offsets.take(next);
          inFlight.push(next);
          next += 1 + Math.floor(random() * gap);
        } else if (inFlight.length > 0) {
          // Mostly recent ones: the old stay and keep the position low.
          const index = Math.floor((1 - random() ** 3 * 0.5) * (inFlight.length - 1));
          offsets.settle(inFlight.splice(index, 1)[0] ?? 0);
        }
        if (step % 500 !== 0) continue;
        const commit = offsets.commit(0);
        if (commit.metadata.length > metadataMax) return false;
        const restored = new Offsets(commit, Number.MAX_SAFE_INTEGER);
        if (commit.offset !== (inFlight[0] ?? offsets.position)) return false;
        if (!inFlight.every((offset) => restored.take(offset))) return false;
      }
      return true;
    }),
    { numRuns: 20 },
  );
});

t.test('a window of 16,384 records with every other one settled fits', async (t) => {
  const offsets = new Offsets(nothing, 100_000);
  for (let offset = 0; offset < 16_384; offset++) offsets.take(offset);
  for (let offset = 1; offset < 16_384; offset += 2) offsets.settle(offset);
  const commit = offsets.commit(0);
  t.ok(commit.metadata.length <= metadataMax, `${commit.metadata.length}`);
  t.equal(decodeSettled(0, commit.metadata)?.unsettled.length, 8_192);
});

t.test('what was restored and not offered yet is not forgotten when a rejoin finds no settled set', async (t) => {
  const before = new Offsets(nothing, 100);
  for (let offset = 0; offset < 40; offset++) before.take(offset);
  for (let offset = 0; offset < 40; offset++) if (offset !== 20 && offset !== 30) before.settle(offset);
  const after = new Offsets(before.commit(0), 100);
  after.rejoin({ offset: 25, metadata: '' }, 100);
  t.notOk(after.take(20), 'below the position: the log has lost it');
  t.ok(after.take(30));
  t.equal(after.position, 30);
});

t.test('a set that fits no packing is cut at its end: more is repeated, nothing is forgotten', async (t) => {
  // [unsettled, one each so many offsets, what is held of it]: a bitmap reaches 24,000 offsets, runs about 700 pairs.
  for (const [count, each, held] of [
    [20_000, 2, 24_000],
    [3_000, 1_000, 600_000],
  ] as const) {
    const unsettled = Array.from({ length: count }, (_, index) => 1_000_000 + index * each);
    const metadata = encodeSettled(1_000_000, unsettled, 1_000_000 + count * each);
    t.ok(metadata.length > 3_900 && metadata.length <= metadataMax, `${metadata.length} characters`);
    const decoded = decodeSettled(1_000_000, metadata);
    const next = decoded?.next ?? 0;
    t.ok(next - 1_000_000 >= held && next <= 1_000_000 + count * each, `up to ${next}`);
    t.same(
      decoded?.unsettled,
      unsettled.filter((offset) => offset < next),
    );
  }
});
