import fc from 'fast-check';
import t from 'tap';
import { Capacity } from '../../dispatcher/limit/capacity.ts';
import { seeded } from '../support/random.ts';

/** Ends a round of attempts of which every `nth` fails; 0: none. */
function round(capacity: Capacity, { failingNth = 0, nowMs = 0, attempts = capacity.atOnce } = {}): void {
  const tickets = Array.from({ length: attempts }, () => capacity.begin());
  for (const [index, ticket] of tickets.entries()) {
    capacity.ended(ticket, failingNth > 0 && (index + 1) % failingNth === 0, nowMs);
  }
}

function opened(max: number): Capacity {
  const capacity = new Capacity(max);
  for (let count = 0; count < 5; count++) capacity.ended(capacity.begin(), true, 0);
  return capacity;
}

t.test('it begins at the most', async (t) => {
  t.equal(new Capacity(256).atOnce, 256);
  t.equal(new Capacity(256).state, 'closed');
});

t.test('a round in which one in four fails cuts it by a sixth, one in three by a quarter', async (t) => {
  const capacity = new Capacity(256);
  round(capacity, { failingNth: 4 });
  t.equal(capacity.atOnce, 216);
  const other = new Capacity(240);
  round(other, { failingNth: 3 });
  t.equal(other.atOnce, 180);
});

t.test('one cut a round, however late the rest of what was in flight fails', async (t) => {
  const capacity = new Capacity(256);
  const tickets = Array.from({ length: 600 }, () => capacity.begin());
  for (const [index, ticket] of tickets.entries()) capacity.ended(ticket, index % 4 === 3, 0);
  t.equal(capacity.atOnce, 216);
});

t.test('events that fail for a reason of their own, one in ten, do not slow the others down', async (t) => {
  const capacity = new Capacity(256);
  for (let count = 0; count < 100; count++) round(capacity, { failingNth: 10, nowMs: count * 1_000 });
  t.equal(capacity.atOnce, 256);
});

t.test('success raises it again, up to the most', async (t) => {
  const capacity = new Capacity(256);
  for (let count = 0; count < 30; count++) round(capacity, { failingNth: 3, nowMs: count * 1_000 });
  const low = capacity.atOnce;
  t.ok(low < 10, `${low}`);
  let rounds = 0;
  for (; capacity.atOnce < 256; rounds++) {
    const before = capacity.atOnce;
    round(capacity, { nowMs: 100_000 });
    t.ok(capacity.atOnce > before);
  }
  t.ok(rounds <= 40, `${rounds} rounds`);
});

t.test('five failures in a row open it, four do not', async (t) => {
  const capacity = new Capacity(10);
  const end = (isFailure: boolean) => capacity.ended(capacity.begin(), isFailure, 0);
  for (let count = 0; count < 20; count++) end(false);
  for (let count = 0; count < 4; count++) t.equal(end(true), null);
  t.equal(end(false), null);
  for (let count = 0; count < 4; count++) t.equal(end(true), null);
  t.equal(end(true), '5 failures in a row');
  t.equal(capacity.state, 'open');
  t.equal(capacity.atOnce, 0);
  t.equal(capacity.slots, 0);
});

t.test('half of at least ten attempts within ten seconds opens it', async (t) => {
  const alternate = (count: number, spacingMs: number): string | null => {
    const capacity = new Capacity(1_000);
    let why: string | null = null;
    for (let index = 0; index < count; index++) {
      why = capacity.ended(capacity.begin(), index % 2 === 1, index * spacingMs);
    }
    return why;
  };
  t.equal(alternate(8, 10), null, 'four of eight are too few to tell');
  t.equal(alternate(10, 10), '5 failures in the 10 attempts of the last 10 s');
  t.equal(alternate(200, 1_500), null, 'never ten within ten seconds');
});

t.test('what was long ago counts no more, neither for nor against', async (t) => {
  const capacity = new Capacity(1_000);
  for (let count = 0; count < 1_000; count++) capacity.ended(capacity.begin(), false, 0);
  let why: string | null = null;
  for (let index = 0; index < 10; index++) why = capacity.ended(capacity.begin(), index % 2 === 1, 15_000);
  t.equal(why, '5 failures in the 10 attempts of the last 10 s');
});

t.test('after a probe it is 1, 2, 4 ... up to the most, one step a round', async (t) => {
  const capacity = opened(100);
  capacity.restart();
  const steps: number[] = [];
  for (let count = 0; count < 8; count++) {
    steps.push(capacity.atOnce);
    t.equal(capacity.state, capacity.atOnce < 100 ? 'ramping' : 'closed');
    round(capacity);
  }
  t.same(steps, [1, 2, 4, 8, 16, 32, 64, 100]);
});

t.test('a part of a round that fails ends the ramp-up where it is', async (t) => {
  const capacity = opened(256);
  capacity.restart();
  for (let count = 0; count < 5; count++) round(capacity);
  t.equal(capacity.atOnce, 32);
  round(capacity, { failingNth: 4 });
  t.equal(capacity.atOnce, 27);
  t.equal(capacity.state, 'closed');
});

t.test(
  'a subscriber that fails again during the ramp-up opens it again, with what failed before forgotten',
  async (t) => {
    const capacity = opened(256);
    capacity.restart();
    for (let count = 0; count < 4; count++) t.equal(capacity.ended(capacity.begin(), true, 0), null);
    t.equal(capacity.state, 'ramping');
    t.equal(capacity.atOnce, 1);
    t.equal(capacity.ended(capacity.begin(), true, 0), '5 failures in a row');
  },
);

t.test('what hangs since before the outage neither counts nor takes the place of what can go on', async (t) => {
  const capacity = new Capacity(10);
  const hanging = Array.from({ length: 4 }, () => capacity.begin());
  for (let count = 0; count < 5; count++) capacity.ended(capacity.begin(), true, 0);
  const probe = capacity.begin();
  capacity.left(probe);
  capacity.restart();
  t.equal(capacity.atOnce, 1);
  t.equal(capacity.slots, 5, 'one beside the four that hang');
  for (const ticket of hanging.splice(0, 2)) capacity.ended(ticket, true, 0);
  t.equal(capacity.state, 'ramping');
  t.equal(capacity.slots, 3);
  for (let count = 0; count < 4; count++) round(capacity);
  t.equal(capacity.slots, 10, 'never more than the most in all');
  for (const ticket of hanging) capacity.left(ticket);
  t.equal(capacity.slots, 10);
});

t.test('a larger most is taken at once where nothing was cut, a smaller one always', async (t) => {
  const capacity = new Capacity(10);
  capacity.max = 20;
  t.equal(capacity.atOnce, 20);
  capacity.max = 5;
  t.equal(capacity.atOnce, 5);
  const cut = new Capacity(100);
  round(cut, { failingNth: 4 });
  cut.max = 200;
  t.equal(cut.atOnce, 84);
  const open = opened(10);
  open.max = 20;
  t.equal(open.atOnce, 0);
});

t.test('whatever happens, it stays between 0 and the most, and so does what is under way', async (t) => {
  const { seed } = seeded();
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('end' as const), at: fc.nat(1_000), fails: fc.boolean() }) },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('end' as const), at: fc.nat(1_000), fails: fc.constant(false) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), at: fc.nat(1_000) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('probe' as const), fails: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('max' as const), max: fc.integer({ min: 1, max: 50 }) }) },
  );
  const property = fc.property(
    fc.integer({ min: 1, max: 50 }),
    fc.array(step, { maxLength: 400 }),
    (firstMax, steps) => {
      const capacity = new Capacity(firstMax);
      let max = firstMax;
      const underWay: number[] = [];
      for (const [index, one] of steps.entries()) {
        while (underWay.length < capacity.slots) underWay.push(capacity.begin());
        const [ticket] = 'at' in one ? underWay.splice(one.at % Math.max(1, underWay.length), 1) : [];
        if (one.kind === 'max') {
          max = one.max;
          capacity.max = max;
        } else if (one.kind === 'probe') {
          if (capacity.state === 'open') {
            capacity.left(capacity.begin());
            if (!one.fails) capacity.restart();
          }
        } else if (ticket !== undefined && one.kind === 'end') capacity.ended(ticket, one.fails, index * 100);
        else if (ticket !== undefined) capacity.left(ticket);
        if (capacity.slots > max || capacity.atOnce > capacity.slots) return false;
        if ((capacity.atOnce === 0) !== (capacity.state === 'open')) return false;
        if (capacity.state === 'open' && capacity.slots !== 0) return false;
      }
      return true;
    },
  );
  fc.assert(property, { seed, numRuns: 2_000 });
  t.pass(`seed ${seed}`);
});
