import fc from 'fast-check';
import t from 'tap';
import { Rate } from '../../dispatcher/limit/rate.ts';
import { seeded } from '../support/random.ts';
import { openBreaker, startLimit } from './limit-setup.ts';

t.test('attempts begin evenly at the rate, after a small burst', async (t) => {
  const { add, attempts, clock, limit } = startLimit({ settings: { rate: { attempts: 50, perMs: 1_000 } } });
  const startMs = clock.monotonic();
  for (let count = 0; count < 600; count++) add(`${count}`);
  t.equal(attempts.length, 5, 'a tenth of a second at once');
  t.notOk(limit.isIdle);
  for (const attempt of attempts) void attempt.end();
  while (clock.monotonic() < startMs + 10_000) {
    await clock.advance(20);
    await attempts.at(-1)?.end();
  }
  t.equal(attempts.length, 505);
  const gaps = attempts.slice(5).map(({ atMs }, index) => atMs - (attempts[index + 4]?.atMs ?? 0));
  t.same(new Set(gaps), new Set([20]));
});

t.test('a rate of less than ten a second has no burst', async (t) => {
  const { add, attempts, clock, endAll } = startLimit({ settings: { rate: { attempts: 10, perMs: 60_000 } } });
  const startMs = clock.monotonic();
  for (let count = 0; count < 10; count++) add(`${count}`);
  for (let count = 0; count < 30; count++) {
    await endAll();
    await clock.advance(1_000);
  }
  t.same(
    attempts.map(({ atMs }) => atMs - startMs),
    [0, 6_000, 12_000, 18_000, 24_000, 30_000],
  );
});

t.test('another rate holds at once, and so does none', async (t) => {
  const { add, attempts, clock, update } = startLimit({ settings: { rate: { attempts: 1, perMs: 3_600_000 } } });
  for (let count = 0; count < 20; count++) add(`${count}`);
  t.equal(attempts.length, 1);
  update({ rate: { attempts: 10, perMs: 1_000 } });
  t.equal(attempts.length, 2);
  await clock.advance(300);
  t.equal(attempts.length, 5);
  update({});
  t.equal(attempts.length, 5, 'the same rate begins nothing anew');
  update({ rate: null });
  t.equal(attempts.length, 20);
});

t.test('probes keep to the rate too', async (t) => {
  const setup = startLimit();
  await openBreaker(setup);
  const { add, update, attempts, clock } = setup;
  update({ rate: { attempts: 1, perMs: 60_000 } });
  for (let count = 0; count < 10; count++) add(`${count}`);
  await clock.advance(1_000);
  t.equal(attempts.length, 6);
  await attempts.at(-1)?.end('failing');
  await clock.advance(59_999);
  t.equal(attempts.length, 6, 'two seconds later it would have been due');
  await clock.advance(1);
  t.equal(attempts.length, 7);
});

t.test('in no time do more begin than the rate and its burst allow, and in the long run no fewer', async (t) => {
  const { seed } = seeded();
  const rates = fc.record({ attempts: fc.integer({ min: 1, max: 5_000 }), perMs: fc.constantFrom(1_000, 60_000) });
  const property = fc.property(rates, fc.array(fc.nat(30), { minLength: 1, maxLength: 300 }), (given, pauses) => {
    const rate = new Rate(given);
    const perMs = given.attempts / given.perMs;
    const burst = Math.max(1, Math.floor(100 / (given.perMs / given.attempts)));
    const begun: number[] = [];
    let nowMs = 0;
    for (const pause of pauses) {
      nowMs += pause;
      while (rate.waitMs(nowMs) === 0 && begun.length < 20_000) {
        rate.take(nowMs);
        begun.push(nowMs);
      }
    }
    for (let first = 0; first < begun.length; first += Math.ceil(begun.length / 50)) {
      const from = begun[first] ?? 0;
      const count = begun.length - first;
      if (count > burst + (nowMs - from) * perMs + 1e-6) return false;
    }
    // A look each 30 ms at the latest loses nothing as long as the burst covers it.
    return burst < 30 * perMs + 1 || begun.length >= Math.min(20_000, Math.floor(nowMs * perMs));
  });
  fc.assert(property, { seed, numRuns: 500 });
  t.pass(`seed ${seed}`);
});
