import fc from 'fast-check';
import t from 'tap';
import { seeded } from '../support/random.ts';
import { openBreaker, startLimit } from './limit-setup.ts';

const minuteMs = 60_000;

t.test(
  'five failures in a row open the breaker: what waits is held, but for one probe at growing intervals',
  async (t) => {
    const setup = startLimit();
    const { limit, add, attempts, underWay, clock, changes } = setup;
    await openBreaker(setup);
    t.match(changes, [{ kind: 'opened', why: '5 failures in a row', probeInMs: 1_000 }]);
    t.ok(limit.isOpen);
    t.equal(limit.concurrency, 0);
    const openedAtMs = clock.monotonic();
    for (let count = 0; count < 100; count++) add(`${count}`);
    t.equal(underWay.size, 0);
    const atMs: number[] = [];
    while (clock.monotonic() < openedAtMs + 30 * minuteMs) {
      await clock.advance(1_000);
      for (const probe of underWay) {
        t.ok(probe.isProbe);
        t.equal(underWay.size, 1);
        atMs.push(probe.atMs - openedAtMs);
        await probe.end('failing');
      }
    }
    const seconds = atMs.map((ms) => Math.round(ms / 1_000));
    t.same(seconds.slice(0, 12), [1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1_111, 1_411]);
    const probed = attempts.filter(({ isProbe }) => isProbe).map(({ id }) => id);
    t.equal(new Set(probed).size, probed.length, 'each probe is another record');
    t.equal(changes.length, 1, 'a probe that fails changes nothing');
  },
);

t.test('the interval is varied at random by a fifth, and is never longer than five minutes', async (t) => {
  for (const [random, firstMs] of [
    [0, 800],
    [0.999_999, 1_200],
  ] as const) {
    const setup = startLimit({ random: () => random });
    const { add, clock, underWay } = setup;
    await openBreaker(setup);
    for (let count = 0; count < 20; count++) add(`${count}`);
    await clock.advance(firstMs - 1);
    t.equal(underWay.size, 0);
    await clock.advance(1);
    t.equal(underWay.size, 1);
    for (let count = 0; count < 12; count++) {
      await setup.endAll('failing');
      await clock.advance(5 * minuteMs);
      t.equal(underWay.size, 1, 'five minutes later');
    }
  }
});

t.test(
  'the probe is the one with the fewest attempts of all lanes, of these the one that waited longest',
  async (t) => {
    const setup = startLimit();
    const { add, attempts, clock } = setup;
    await openBreaker(setup);
    add('15 attempts', { lane: 'retry', attempt: 15 });
    add('third', { lane: 'retry', attempt: 2 });
    add('first', { lane: 'shared', attempt: 1 });
    add('second', { lane: 'own', attempt: 1 });
    for (let count = 0; count < 4; count++) {
      await clock.advance(10_000);
      await setup.endAll('failing');
    }
    t.same(
      attempts.slice(5).map(({ id }) => id),
      ['first', 'second', 'third', '15 attempts'],
    );
  },
);

t.test('while it is open each lane may have four candidates in, and is told when one was taken', async (t) => {
  const setup = startLimit();
  const { limit, add, clock } = setup;
  await openBreaker(setup);
  let told = 0;
  const fill = (lane: 'shared' | 'retry'): number => {
    let count = 0;
    for (; limit.hasRoomFor(lane); count++) add(`${lane} ${count}`, { lane });
    return count;
  };
  t.equal(fill('shared'), 4);
  t.equal(fill('retry'), 4, 'one lane does not take the other its places');
  limit.onceRoom('shared', () => told++);
  await clock.advance(1_000);
  t.equal(told, 1);
});

t.test('where nothing waits when a probe is due, the next delivery to come is the probe', async (t) => {
  const setup = startLimit();
  const { add, clock, underWay } = setup;
  await openBreaker(setup);
  await clock.advance(3_600_000);
  t.equal(underWay.size, 0);
  add('probe');
  add('waits');
  t.same(
    [...underWay].map(({ id, isProbe }) => [id, isProbe]),
    [['probe', true]],
  );
});

t.test('a probe that succeeds lets deliveries go on, one at first and twice as many each round', async (t) => {
  const setup = startLimit({ settings: { maxInFlight: 20 } });
  const { limit, add, clock, underWay, endAll, changes } = setup;
  await openBreaker(setup);
  for (let count = 0; count < 500; count++) add(`${count}`);
  await clock.advance(1_000);
  await endAll();
  const sizes: number[] = [];
  for (let count = 0; count < 7; count++) {
    sizes.push(underWay.size);
    await endAll();
  }
  t.same(sizes, [1, 2, 4, 8, 16, 20, 20]);
  t.same(
    changes.slice(1).map(({ kind }) => kind),
    ['ramping', 'closed'],
  );
  t.notOk(limit.isOpen);
  t.equal(limit.concurrency, 20);
});

t.test(
  'a breaker that opens again during the ramp-up goes on with its intervals; once closed they begin anew',
  async (t) => {
    const setup = startLimit({ settings: { maxInFlight: 4 } });
    const { add, clock, endAll, changes, underWay } = setup;
    await openBreaker(setup);
    for (let count = 0; count < 1_000; count++) add(`${count}`);
    const opened = () => changes.flatMap((change) => (change.kind === 'opened' ? [change.probeInMs] : []));
    await clock.advance(1_000);
    await endAll('failing');
    await clock.advance(2_000);
    await endAll('well');
    for (let count = 0; count < 5; count++) await endAll('failing');
    t.same(opened(), [1_000, 4_000]);
    await clock.advance(4_000);
    for (let count = 0; count < 3; count++) await endAll('well');
    t.equal(underWay.size, 4);
    t.equal(changes.at(-1)?.kind, 'closed');
    for (let count = 0; count < 2; count++) await endAll('failing');
    t.same(opened(), [1_000, 4_000, 1_000]);
  },
);

t.test('Retry-After puts the next probe off, by at most five minutes', async (t) => {
  const setup = startLimit();
  const { add, clock, underWay, endAll, attempts } = setup;
  for (let count = 0; count < 5; count++) {
    add(`failure ${count}`);
    // The first asks for the longest time; it counts though another failure opens the breaker.
    await attempts.at(-1)?.end('failing', count === 0 ? 90_000 : 0);
  }
  for (let count = 0; count < 10; count++) add(`${count}`);
  await clock.advance(89_999);
  t.equal(underWay.size, 0);
  await clock.advance(1);
  t.equal(underWay.size, 1);
  await endAll('failing', 3_600_000);
  await clock.advance(5 * minuteMs - 1);
  t.equal(underWay.size, 0);
  await clock.advance(1);
  t.equal(underWay.size, 1, 'an hour is not heard');
});

t.test(
  'the Retry-After of what was in flight when the breaker opened puts a probe off that was due sooner',
  async (t) => {
    const setup = startLimit();
    const { add, clock, underWay } = setup;
    add('late');
    const late = [...underWay][0];
    await openBreaker(setup);
    add('1');
    await clock.advance(500);
    await late?.end('failing', 20_000);
    await clock.advance(19_999);
    t.equal(underWay.size, 0);
    await clock.advance(1);
    t.equal(underWay.size, 1);
  },
);

t.test('a Retry-After from before a success counts no more', async (t) => {
  const setup = startLimit();
  const { add, clock, underWay, attempts } = setup;
  add('asks');
  await attempts.at(-1)?.end('failing', 300_000);
  add('is well');
  await attempts.at(-1)?.end('well');
  await openBreaker(setup);
  add('1');
  await clock.advance(1_000);
  t.equal(underWay.size, 1);
});

t.test('a probe that came to no attempt gives way to another record at once', async (t) => {
  const setup = startLimit();
  const { add, clock, underWay, endAll } = setup;
  await openBreaker(setup);
  for (let count = 0; count < 3; count++) add(`${count}`);
  await clock.advance(1_000);
  await endAll('unknown');
  await clock.advance(0);
  t.same(
    [...underWay].map(({ id }) => id),
    ['1'],
  );
});

t.test('a new revision of a trigger whose breaker is open is probed at once', async (t) => {
  const setup = startLimit();
  const { add, clock, underWay, endAll, update } = setup;
  await openBreaker(setup);
  for (let count = 0; count < 100; count++) add(`${count}`);
  for (let count = 0; count < 9; count++) {
    await clock.advance(5 * minuteMs);
    await endAll('failing', 200_000);
  }
  update({ generation: 2 });
  await clock.advance(0);
  t.equal(underWay.size, 1);
  await endAll('failing');
  await clock.advance(1_000);
  t.equal(underWay.size, 1, 'and soon again');
});

t.test('a paused trigger is not probed; when it is resumed, at once', async (t) => {
  const setup = startLimit();
  const { limit, add, clock, underWay, update, changes, endAll } = setup;
  await openBreaker(setup);
  for (let count = 0; count < 10; count++) add(`${count}`);
  for (let count = 0; count < 6; count++) {
    await clock.advance(60_000);
    await endAll('failing');
  }
  update({ paused: true });
  t.notOk(limit.hasRoomFor('retry'), 'not even for candidates');
  await clock.advance(1_000);
  update({ paused: false });
  await clock.advance(0);
  t.equal(underWay.size, 1, 'a minute before the next would have been due');
  await endAll('failing');
  update({ paused: true });
  await clock.advance(3_600_000);
  t.equal(underWay.size, 0);
  update({ paused: false });
  await clock.advance(0);
  t.equal(underWay.size, 1);
  t.same(
    changes.map(({ kind }) => kind),
    ['opened', 'paused', 'resumed', 'paused', 'resumed'],
  );
});

t.test('what hangs since before the outage, and fails late, opens nothing and holds nothing up', async (t) => {
  const setup = startLimit({ settings: { maxInFlight: 12 } });
  const { add, clock, underWay, limit, changes } = setup;
  for (let count = 0; count < 10; count++) add(`hangs ${count}`);
  const hanging = [...underWay];
  await openBreaker(setup);
  for (let count = 0; count < 100; count++) add(`${count}`);
  await clock.advance(1_000);
  const probe = [...underWay].find(({ isProbe }) => isProbe);
  await probe?.end();
  t.equal(underWay.size, 11, 'one goes on beside those that hang');
  for (const attempt of hanging) await attempt.end('failing');
  t.notOk(limit.isOpen);
  t.same(
    changes.map(({ kind }) => kind),
    ['opened', 'ramping'],
  );
});

t.test('half of at least ten failing opens the breaker too', async (t) => {
  const { add, endAll, underWay, changes } = startLimit();
  for (let count = 0; count < 10; count++) add(`${count}`);
  for (const [index, attempt] of [...underWay].entries()) await attempt.end(index % 2 === 0 ? 'well' : 'failing');
  t.match(changes, [{ kind: 'opened', why: '5 failures in the 10 attempts of the last 10 s' }]);
  await endAll();
});

t.test('nothing is lost and little attempted, whenever the subscriber is down', async (t) => {
  const { seed } = seeded();
  const outages = fc.array(fc.tuple(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 900 })), {
    minLength: 1,
    maxLength: 4,
  });
  const property = fc.asyncProperty(outages, fc.integer({ min: 1, max: 30 }), fc.gen(), async (seconds, most, gen) => {
    const setup = startLimit({ settings: { maxInFlight: most }, random: () => gen(fc.nat, 999) / 1_000 });
    const { limit, clock, attempts, underWay } = setup;
    const delivered = new Set<string>();
    const backlog: { id: string; attempt: number }[] = Array.from({ length: 300 }, (_, index) => ({
      id: `${index}`,
      attempt: 1,
    }));
    const [startMs, total] = [clock.monotonic(), backlog.length];
    const isDown = (): boolean => {
      let second = (clock.monotonic() - startMs) / 1_000;
      for (const [up, down] of seconds) {
        if (second < up) return false;
        second -= up;
        if (second < down) return true;
        second -= down;
      }
      return false;
    };
    let failures = 0;
    const endMs = startMs + 1_000 * (seconds.reduce((sum, [up, down]) => sum + up + down, 0) + 700);
    while (clock.monotonic() < endMs) {
      while (backlog.length > 0 && limit.hasRoomFor('retry')) {
        const next = backlog.shift();
        if (next) setup.add(next.id, { lane: 'retry', attempt: next.attempt });
      }
      if (underWay.size > most || (limit.isOpen && [...underWay].filter(({ isProbe }) => isProbe).length > 1))
        return false;
      await clock.advance(500);
      for (const one of [...underWay]) {
        const down = isDown();
        await one.end(down ? 'failing' : 'well');
        if (down) {
          failures++;
          backlog.push({ id: one.id, attempt: one.attempt + 1 });
        } else delivered.add(one.id);
      }
    }
    // Of each outage: what was in flight, those that opened it and opened it again, and the probes.
    const few = seconds.reduce((sum, [, down]) => sum + most + 10 + Math.log2(down + 1) + down / 240 + 2, 0);
    return delivered.size === total && failures <= few && attempts.length === total + failures;
  });
  await fc.assert(property, { seed, numRuns: 15 });
  t.pass(`seed ${seed}`);
});
