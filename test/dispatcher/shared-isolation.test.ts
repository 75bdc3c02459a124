import { pino } from 'pino';
import t from 'tap';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Outcome } from '../../dispatcher/fate.ts';
import { SharedLane } from '../../dispatcher/lane/shared.ts';
import { toRecord } from '../../event/kafka.ts';
import { sleep } from '../../runtime/clock.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord } from '../support/scripted-log.ts';
import { answered, startPipeline, topics } from './pipeline-setup.ts';

/** A trigger for events whose type is its name; it has 8 in flight. */
function triggerNamed(name: string, settings: Partial<Trigger> = {}): Trigger {
  const filters = [{ dialect: 'exact' as const, attributes: { type: name } }];
  return testTrigger(`http://127.0.0.1:1/${name}`, { name, filters, maxInFlight: 8, ...settings });
}

/** A shared lane on a pipeline of its own: a window of 1,000 records, and 50 events a trigger that wait. */
async function startLane(triggers: readonly Trigger[], { waitingEventsMax = 50 } = {}) {
  const pipe = startPipeline(triggers, { waitingEventsMax });
  const double = new LaneDouble(triggers);
  const lines: Record<string, unknown>[] = [];
  const options = {
    ...double.options,
    clock: pipe.clock,
    pipeline: pipe.pipeline,
    logger: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    window: { recordsMax: 1_000, bytesMax: 100_000_000 },
  };
  const lane = new SharedLane({
    ...options,
    group: topics.sharedGroup,
    topics: topics.eventTopics,
    startAt: 'earliest',
  });
  await lane.start();
  double.script.assign([{ topic: topics.events }]);
  let next = 0;
  const log: string[] = [];
  const ids = (topic: string) => pipe.appended.filter((one) => one.topic === topic).map(idOf);
  return {
    ...{ pipe, lane, lines, log, clock: pipe.clock, metrics: options.metrics },
    /** Events of these types stand next in the log; their ids are their offsets. */
    append: (...types: string[]) => void log.push(...types),
    /** Lets time pass in steps of 10 ms, while the lane takes what it can. */
    async pass(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 10) {
        while (next < log.length && double.script.paused.size === 0) {
          const record = toRecord(testEvent({ id: `${next}`, type: log[next] ?? '' }));
          if (double.script.offer([asLogRecord(record, next)], { topic: topics.events }) === 0) break;
          next++;
        }
        await pipe.clock.advance(10);
      }
    },
    hang: (trigger: Trigger) => pipe.answers.set(trigger.subscriberUri, new Promise<Outcome>(() => {})),
    attempted: (trigger: Trigger) =>
      pipe.attempts
        .filter(({ url }) => url === trigger.subscriberUri)
        .map(({ delivery }) => delivery.event.attributes.id),
    spilled: (trigger: Trigger) => ids(topics.retry(trigger.name)),
    taken: () => next,
  };
}

function idOf({ record }: { record: { headers: Readonly<Record<string, unknown>> } }): string {
  return String(record.headers.ce_id);
}

/** Where each type stands in the log. */
function offsetsOf(log: readonly string[], type: string): string[] {
  return log.flatMap((one, offset) => (one === type ? [`${offset}`] : []));
}

const healthy = triggerNamed('healthy');
const busy = triggerNamed('busy');

t.test(
  'twenty triggers that hang do not hold back a healthy one, and all of theirs is in their retry topics',
  async (t) => {
    const hanging = Array.from({ length: 20 }, (_, index) => triggerNamed(`hanging-${index}`));
    const lane = await startLane([healthy, ...hanging]);
    for (const trigger of hanging) lane.hang(trigger);
    // All that may be in flight and wait of the twenty is more than the window takes.
    for (let round = 0; round < 200; round++) lane.append(...hanging.map(({ name }) => name), 'healthy');
    await lane.pass(2_000);
    t.equal(lane.taken(), lane.log.length);
    t.same(lane.attempted(healthy), offsetsOf(lane.log, 'healthy'));
    for (const trigger of hanging) {
      t.equal(lane.attempted(trigger).length, 8);
      t.same(
        [...lane.attempted(trigger), ...lane.spilled(trigger)].sort(),
        offsetsOf(lane.log, trigger.name).sort(),
        `${trigger.name}: in flight or in the retry topic`,
      );
    }
    t.same(lane.spilled(healthy), []);
  },
);

/** Lets each attempt of the trigger take so long; 8 at once, spread evenly, so that it never stands still. */
function answerIn(lane: Awaited<ReturnType<typeof startLane>>, trigger: Trigger, ms: number): void {
  let count = 0;
  lane.pipe.answerEach(trigger.subscriberUri, async () => {
    // The first ones are spread, and those that follow keep the distance.
    await sleep(lane.clock, count < 8 ? (ms / 8) * count++ : ms);
    return answered(200);
  });
}

t.test('a trigger that is slow, but never stands still, holds a healthy one back for a second at most', async (t) => {
  const lane = await startLane([healthy, busy]);
  // 80 a second go out, 500 come in.
  answerIn(lane, busy, 100);
  const late: number[] = [];
  for (let passed = 0; passed < 4_000; passed += 10) {
    lane.append(...Array.from({ length: 5 }, () => 'busy'), 'healthy');
    await lane.pass(10);
    late.push(10 * (offsetsOf(lane.log, 'healthy').length - lane.attempted(healthy).length));
  }
  t.ok(Math.max(...late) <= 1_050, `${Math.max(...late)} ms at most`);
  t.ok(lane.attempted(busy).length > 200, 'while it goes on by itself');
});

t.test('nor for much more than three where the healthy one stands behind all that is read ahead', async (t) => {
  const lane = await startLane([healthy, busy]);
  answerIn(lane, busy, 100);
  lane.append(...Array.from({ length: 1_500 }, () => 'busy'), 'healthy');
  await lane.pass(2_900);
  t.same(lane.spilled(busy), []);
  await lane.pass(200);
  t.same(lane.attempted(healthy), ['1500']);
});

t.test(
  'nor where all that the window holds waits for its turn already, and half of it goes by in a second',
  async (t) => {
    const lane = await startLane([healthy, busy], { waitingEventsMax: 2_000 });
    // 800 a second.
    answerIn(lane, busy, 10);
    lane.append(...Array.from({ length: 6_000 }, () => 'busy'), 'healthy');
    await lane.pass(4_000);
    t.same(lane.attempted(healthy), ['6000']);
  },
);

t.test('who gave way a moment ago does so again once others have waited for 50 ms', async (t) => {
  const lane = await startLane([healthy, busy]);
  answerIn(lane, busy, 100);
  const waited: number[] = [];
  for (let round = 0; round < 3; round++) {
    lane.append(...Array.from({ length: 200 }, () => 'busy'), 'healthy');
    let ms = 0;
    for (; lane.attempted(healthy).length === round; ms += 10) await lane.pass(10);
    waited.push(ms);
    // It has no retry lane here, as in a process that does not own its retry topic, and so is idle soon.
    while (!lane.pipe.pipeline.limits.isIdle(busy)) await lane.pass(10);
  }
  t.same(waited, [1_000, 50, 50]);
});

t.test('what waits of a trigger that is fast is not copied, though there are others', async (t) => {
  const fast = triggerNamed('fast', { maxInFlight: 24 });
  const lane = await startLane([healthy, fast]);
  // A window goes by in half a second.
  lane.pipe.answerEach(fast.subscriberUri, async () => {
    await sleep(lane.clock, 10);
    return answered(200);
  });
  lane.append(...Array.from({ length: 10_000 }, () => 'fast'));
  await lane.pass(5_000);
  t.same(lane.spilled(fast), []);
  t.equal(lane.attempted(fast).length, 10_000);
});

t.test('what waits for its turn goes to the retry topic with the rest, first', async (t) => {
  const lane = await startLane([healthy, busy]);
  lane.hang(busy);
  lane.append(...Array.from({ length: 70 }, () => 'busy'), 'healthy');
  await lane.pass(40);
  t.same(lane.spilled(busy), [], 'not before the other has waited for 50 ms');
  await lane.pass(60);
  t.same(
    lane.spilled(busy).map(Number),
    Array.from({ length: 62 }, (_, index) => index + 8),
  );
  t.equal(lane.pipe.pipeline.limits.of(busy).waiting, 0);
  t.same(lane.attempted(healthy), ['70']);
  lane.append('busy');
  await lane.pass(10);
  t.equal(lane.spilled(busy).length, 63, 'and so it goes on, as long as it is busy');
});

t.test('a busy trigger that is idle again gets its deliveries directly', async (t) => {
  const lane = await startLane([healthy, busy]);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  lane.pipe.answers.set(busy.subscriberUri, promise);
  lane.append(...Array.from({ length: 70 }, () => 'busy'), 'healthy');
  await lane.pass(100);
  t.equal(lane.spilled(busy).length, 62);
  resolve(answered(200));
  await lane.pass(10);
  lane.append('busy');
  await lane.pass(10);
  t.equal(lane.attempted(busy).at(-1), '71');
});

t.test(
  'with nobody else there the topic itself is the backlog, of a trigger that hangs, is paused or down',
  async (t) => {
    for (const state of ['hangs', 'paused', 'down'] as const) {
      const trigger = triggerNamed('only', { paused: state === 'paused' });
      const lane = await startLane([trigger]);
      if (state === 'hangs') lane.hang(trigger);
      lane.pipe.answers.set(trigger.subscriberUri, state === 'down' ? answered(503) : new Promise<Outcome>(() => {}));
      lane.append(...Array.from({ length: 3_000 }, () => 'only'));
      await lane.pass(500);
      t.equal(lane.taken(), 1_000, `${state}: a window full`);
      t.equal(lane.spilled(trigger).length, state === 'down' ? 8 : 0, state);
    }
  },
);

t.test('a trigger that is paused, or whose breaker is open, leaves the lane to the others', async (t) => {
  for (const state of ['paused', 'down'] as const) {
    const trigger = triggerNamed('busy', { paused: state === 'paused' });
    const lane = await startLane([healthy, trigger]);
    lane.pipe.answers.set(trigger.subscriberUri, answered(503));
    for (let count = 0; count < 500; count++) lane.append('busy', 'busy', 'healthy');
    await lane.pass(600);
    t.same(lane.attempted(healthy), offsetsOf(lane.log, 'healthy'), state);
    t.equal(new Set(lane.spilled(trigger)).size, 1_000, `${state}: nothing is lost`);
    t.equal(lane.attempted(trigger).length, state === 'down' ? 8 : 0);
  }
});

t.test(
  'a trigger whose retry topic can not be written may hold a quarter of the window, then the lane waits for it',
  async (t) => {
    const lane = await startLane([healthy, busy]);
    lane.hang(busy);
    lane.pipe.refuse((topic) => (topic === topics.retry('busy') ? new Error('no leader') : undefined));
    for (let count = 0; count < 400; count++) lane.append('busy', 'healthy');
    await lane.pass(1_000);
    // 8 in flight; those that waited for their turn went together, so the quarter is a few over.
    const held = lane.attempted(healthy).length;
    t.ok(held >= 250 && held <= 300, `${held} events of the healthy trigger went by`);
    const stalls = async () => {
      const { values } = (await lane.metrics.registry.getSingleMetric('posthorn_lane_stalls_total')?.get()) ?? {};
      return values?.map(({ labels, value }) => [labels.trigger, value]);
    };
    t.match(await stalls(), [['busy', 1]]);
    t.match(
      lane.lines.filter(({ msg }) => /other triggers wait/.test(String(msg))),
      [{ level: 40, trigger: 'busy' }],
      'said once',
    );
    lane.pipe.refuse(() => undefined);
    await lane.pass(10_000);
    t.equal(lane.attempted(healthy).length, 400);
    t.equal(new Set(lane.spilled(busy)).size, 392);
  },
);

t.test(
  'where the window is not full any more, but nothing is read before it is half empty, others may wait too',
  async (t) => {
    const lane = await startLane([healthy, busy]);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    lane.pipe.answers.set(busy.subscriberUri, promise);
    lane.append(...Array.from({ length: 1_500 }, () => 'busy'), 'healthy');
    await lane.pass(30);
    lane.hang(busy);
    resolve(answered(200));
    await lane.pass(1_100);
    t.same(lane.attempted(healthy), ['1500']);
  },
);

t.test('a trigger that reads the topic by itself does not make one of the shared lane give way', async (t) => {
  const own = triggerNamed('own', { lane: 'own', laneSpans: [{ group: 'own', from: [] }] });
  const lane = await startLane([busy, own]);
  lane.hang(busy);
  lane.append(...Array.from({ length: 2_000 }, () => 'busy'));
  await lane.pass(1_000);
  t.same(lane.spilled(busy), []);
});
