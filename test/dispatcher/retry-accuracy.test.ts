import t from 'tap';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import { RetryLane } from '../../dispatcher/lane/retry.ts';
import { toRetryRecord } from '../../dispatcher/retry.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { seeded } from '../support/random.ts';
import { asLogRecord } from '../support/scripted-log.ts';

/** As `dispatcher/broker-lanes.ts` bounds it. */
const window = { recordsMax: 65_536, bytesMax: 1_000_000_000, partitionRecordsMax: 12_288 };
const hourMs = 3_600_000;

/** A retry lane on a clock that the test turns, and what was offered to it. */
async function startLane(triggers: readonly Trigger[]) {
  const double = new LaneDouble(triggers);
  const { clock, script, topics, delivered, postponed } = double;
  const lane = new RetryLane({ ...double.options, window, group: topics.retryGroup(0) });
  await lane.start(triggers.map(({ name }) => topics.retry(name)));
  script.assign(triggers.map(({ name }) => ({ topic: topics.retry(name), end: 100_000 })));
  const offsets = new Map<string, number>();
  const dueAtMs = new Map<string, number>();
  let settled = 0;
  /** The trigger's retry topic has a delivery that is due this much later. @returns whether it was taken */
  const offer = (trigger: Trigger, id: string, inMs: number): boolean => {
    const offset = offsets.get(trigger.uid) ?? 0;
    offsets.set(trigger.uid, offset + 1);
    const atMs = clock.now() + inMs;
    dueAtMs.set(id, atMs);
    const delivery = testDelivery(trigger, testEvent({ id }));
    const record = toRetryRecord(delivery, { atMs, attempt: 2, reason: 'status 503' });
    return script.offer([asLogRecord(record, offset)], { topic: topics.retry(trigger.name) }) === 1;
  };
  return {
    ...{ clock, delivered, postponed },
    setFull: (trigger: Trigger, isFull: boolean) => double.setFull(trigger, isFull),
    offer,
    /** Time passes: what went out is settled, and what is written anew to the end of its topic is offered again. */
    async pass(ms: number): Promise<void> {
      const stepMs = 10_000;
      for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
        await clock.advance(Math.min(stepMs, leftMs));
        for (; settled < delivered.length; settled++) delivered[settled]?.hold.settle();
        for (const { id, delivery } of postponed.splice(0)) {
          offer(delivery.trigger, id, (dueAtMs.get(id) ?? 0) - clock.now());
        }
      }
    },
    /** Of each delivery that went out, how long after its due time. */
    latenessMs: () => delivered.map(({ id, atMs }) => atMs - (dueAtMs.get(id) ?? 0)),
    /** Due times of what went out for the trigger, as it went out. */
    dueTimes: ({ name }: Trigger) => delivered.filter((one) => one.trigger === name).map(({ id }) => dueAtMs.get(id)),
  };
}

function triggerNamed(name: string): Trigger {
  return testTrigger('http://127.0.0.1:1', { name, delivery: { ...defaultDelivery, backoffMaxMs: 2 * hourMs } });
}

const many = triggerNamed('many');
const failing = triggerNamed('failing');
const busy = triggerNamed('busy');

t.test(
  'with 10,000 waiting and 1,000 failing at once each delivery goes out when it is due, and in order',
  async (t) => {
    const { seed, random } = seeded();
    t.comment(`seed ${seed}`);
    const lane = await startLane([many, failing, busy]);
    const { clock, delivered, offer, pass } = lane;
    // Mixed: most wait long, some are due while the burst is.
    for (let i = 0; i < 10_000; i++) offer(many, `waiting ${i}`, Math.floor(random() ** 3 * hourMs));
    lane.setFull(busy, true);
    for (let i = 0; i < 100; i++) offer(busy, `held ${i}`, i);
    await clock.advance(5_000);
    for (const trigger of [failing, many]) {
      for (let i = 0; i < 500; i++) offer(trigger, `${trigger.name} ${i}`, 800 + Math.floor(random() * 400));
    }
    await clock.advance(1_200);
    t.equal(delivered.filter(({ id }) => /^(many|failing)/.test(id)).length, 1_000, 'the burst is out');
    await pass(hourMs);
    t.equal(delivered.length, 11_000);
    t.same(new Set(lane.latenessMs()), new Set([0]), 'to the millisecond');
    for (const trigger of [many, failing]) {
      const dueTimes = lane.dueTimes(trigger);
      t.same(
        dueTimes,
        dueTimes.toSorted((a = 0, b = 0) => a - b),
      );
    }
    lane.setFull(busy, false);
    t.equal(delivered.length, 11_100, 'what had no room goes out when there is some');
    t.same(
      lane.dueTimes(busy),
      lane.dueTimes(busy).toSorted((a = 0, b = 0) => a - b),
    );
  },
);

t.test('ten thousand that wait long hold up no short one, and none of them is written anew', async (t) => {
  const { offer, clock, delivered, latenessMs, postponed } = await startLane([many]);
  for (let i = 0; i < 9_999; i++) offer(many, `long ${i}`, hourMs);
  t.ok(offer(many, 'short', 2_000), 'it is still seen');
  await clock.advance(2_000);
  t.same(
    delivered.map(({ id }) => id),
    ['short'],
  );
  t.same(latenessMs(), [0]);
  t.same(postponed, [], 'and nothing had to be written anew for it');
});

t.test('what fails again and again is due later each time, and goes out at each of these times', async (t) => {
  const { offer, clock, delivered, latenessMs } = await startLane([failing]);
  const delaysMs = [1_000, 2_000, 4_000, 8_000];
  for (let i = 0; i < 200; i++) offer(failing, `0 ${i}`, delaysMs[0] ?? 0);
  for (const [round, delayMs] of delaysMs.entries()) {
    await clock.advance(delayMs);
    const ended = delivered.filter(({ id }) => id.startsWith(`${round} `));
    t.equal(ended.length, 200);
    for (const { id, hold } of ended) {
      hold.settle();
      const next = delaysMs[round + 1];
      if (next !== undefined) offer(failing, `${round + 1} ${id}`, next);
    }
  }
  t.same(new Set(latenessMs()), new Set([0]));
});
