import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Health } from '../../dispatcher/decide.ts';
import type { LaneKind } from '../../dispatcher/limit/waiting-queue.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { type Attempt, startLimit } from './limit-setup.ts';

const waitingEventsMax = 12;
const lanes = ['shared', 'own', 'retry'] as const;

const health = fc.constantFrom<Health>(
  ...Array<Health>(12).fill('well'),
  ...Array<Health>(8).fill('failing'),
  'unknown',
  'gone',
);
const lane = fc.constantFrom<LaneKind>(...lanes);
const batch = fc.constantFrom(
  null,
  { eventsMax: 3, bytesMax: 1_000_000, lingerMs: 20 },
  { eventsMax: 20, bytesMax: 1_500, lingerMs: 0 },
);
const rate = fc.constantFrom(null, null, { attempts: 10, perMs: 1_000 }, { attempts: 30, perMs: 60_000 });

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('offer' as const), lane, count: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      at: fc.nat(99),
      health,
      retryAfterMs: fc.constantFrom(0, 0, 5_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 20, 100, 1_000, 30_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeOut' as const), lane }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('endAll' as const), health }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tooLarge' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      maxInFlight: fc.integer({ min: 1, max: 6 }),
      isNew: fc.boolean(),
      ...{ rate, batch, paused: fc.constantFrom(false, false, true) },
    }),
  },
);

t.test('whatever comes in between: nothing stalls, no more is under way than may be, and all begins once', (t) => {
  const scenario = fc.tuple(fc.array(step, { maxLength: 80 }), fc.boolean());
  const property = fc.asyncProperty(scenario, async ([steps, isReleased]) => {
    const setup = startLimit({ settings: { maxInFlight: 4 }, waitingEventsMax });
    const { limit, clock, attempts, underWay } = setup;
    /** What each lane has yet to put in, as it waits for room. */
    const backlogs = { shared: 0, own: 0, retry: 0 };
    const taken = new Set<string>();
    let settings = { maxInFlight: 4, batch: null as BatchOf, rate: null as RateOf, paused: false, generation: 1 };
    let [offered, added, seen, lastBegun, mostInFlight] = [0, 0, 0, -1, 4];
    /** As a lane does: puts in what has room, and asks to be told of more. */
    const placers = Object.fromEntries(
      lanes.map((kind) => [
        kind,
        () => {
          while (backlogs[kind] > 0) {
            if (!limit.hasRoomFor(kind)) return limit.onceRoom(kind, placers[kind]);
            backlogs[kind]--;
            setup.add(`${added++}`, { lane: kind, attempt: (added % 3) + 1, bytes: 300 });
          }
        },
      ]),
    ) as Record<LaneKind, () => void>;

    const check = (): void => {
      for (const one of attempts.slice(seen)) checkBegun(one);
      seen = attempts.length;
      assert.equal(limit.inFlight, underWay.size);
      const probes = [...underWay].filter(({ isProbe }) => isProbe).length;
      assert.ok(probes <= 1, 'one probe at a time');
      const isAtOnce = settings.rate === null && settings.batch === null;
      const isFree = limit.concurrency > 0 && underWay.size < limit.concurrency;
      if (isFree && isAtOnce) assert.equal(limit.waiting, 0, 'what waits begins where it may');
      const mayBegin = limit.pausedBy === null && limit.waiting > 0 && underWay.size === 0;
      if (mayBegin) assert.ok(clock.pending > 0, 'something comes to begin what waits');
      for (const kind of lanes) {
        if (backlogs[kind] > 0) assert.ok(!limit.hasRoomFor(kind), `the ${kind} lane is told of room`);
      }
    };
    const checkBegun = ({ isProbe, concurrency, inFlight, batch, id }: Attempt): void => {
      for (const each of batch ?? [id]) {
        if (isProbe) continue;
        assert.ok(Number(each) > lastBegun, 'in the order in which they came');
        lastBegun = Number(each);
      }
      if (isProbe) return;
      assert.ok(concurrency > 0, 'nothing but a probe begins while none may');
      assert.ok(inFlight <= mostInFlight, 'no more are under way than may be');
    };
    for (const one of steps) {
      switch (one.kind) {
        case 'offer':
          backlogs[one.lane] += one.count;
          offered += one.count;
          placers[one.lane]();
          await clock.advance(0);
          break;
        case 'end':
          await [...underWay][one.at % Math.max(1, underWay.size)]?.end(one.health, one.retryAfterMs);
          break;
        case 'endAll':
          for (let count = 0; count < 3; count++) await setup.endAll(one.health);
          break;
        case 'pass':
          await clock.advance(one.ms);
          break;
        case 'takeOut':
          for (const { delivery } of limit.takeOut((waiting) => waiting.lane === one.lane)) {
            taken.add(delivery.event.attributes.id);
          }
          await clock.advance(0);
          break;
        case 'tooLarge':
          limit.tooLarge(1_200);
          break;
        case 'update': {
          const { maxInFlight, rate, batch, paused, isNew } = one;
          const { generation } = settings;
          settings = isNew ? { maxInFlight, rate, batch, paused, generation: generation + 1 } : { ...settings, rate };
          mostInFlight = settings.maxInFlight;
          setup.update(settings);
          await clock.advance(0);
        }
      }
      check();
    }

    // The subscriber is well from now on: it all comes to an end.
    settings = { ...settings, paused: false, generation: settings.generation + 1 };
    if (isReleased) limit.release();
    else setup.update(settings);
    const begun = () => attempts.flatMap(({ id, batch }) => batch ?? [id]);
    for (let round = 0; begun().length + taken.size < offered || underWay.size > 0; round++) {
      assert.ok(round < 400, `it comes to its end: ${begun().length} and ${taken.size} of ${offered}`);
      await setup.endAll(isReleased ? 'failing' : 'well');
      await clock.advance(isReleased ? 0 : 60_000);
      for (const kind of lanes) assert.ok(backlogs[kind] === 0 || !limit.hasRoomFor(kind), kind);
    }
    assert.equal(new Set(begun()).size, begun().length, 'each begins once');
    for (const id of begun()) assert.ok(!taken.has(id), 'what was taken out does not begin');
    limit.close();
    assert.equal(clock.pending, 0, 'no timer is left');
  });
  return t.resolves(fc.assert(property, { numRuns: propertyRuns(100, 5_000) }));
});

type BatchOf = { readonly eventsMax: number; readonly bytesMax: number; readonly lingerMs: number } | null;
type RateOf = { readonly attempts: number; readonly perMs: number } | null;
