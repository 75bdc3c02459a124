import t from 'tap';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import type { Batch } from '../../dispatcher/batch/body.ts';
import type { Delivery, Outcome } from '../../dispatcher/fate.ts';
import type { RepeatBound } from '../../dispatcher/repeat-bound.ts';
import { fromRetryRecord } from '../../dispatcher/retry.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { asLogRecord } from '../support/scripted-log.ts';
import { answered, type Held, startPipeline, topics } from './pipeline-setup.ts';

const sinkUri = 'http://127.0.0.1:2/';
const trigger = testTrigger('http://127.0.0.1:1/', {
  batch: { eventsMax: 3, bytesMax: 100_000, lingerMs: 100 },
  maxInFlight: 2,
  delivery: { ...defaultDelivery, attemptsMax: 3, jitter: 0 },
});

function start(of: Trigger = trigger) {
  const started = startPipeline([of], { waitingEventsMax: 1_000 });
  return {
    ...started,
    /** Delivers an event of each id. */
    runAll: (ids: string, more: Partial<Delivery> = {}, hold = {}): Held[] =>
      [...ids].map((id) => started.run(testDelivery(of, testEvent({ id }), more), hold)),
    idsOf: () => started.batches.map(idsIn),
    /** What was put into the retry topic: id and the attempt that comes next. */
    retried: () =>
      started.appended
        .filter(({ topic }) => topic === topics.retry('all'))
        .map(({ record }) => fromRetryRecord(asLogRecord(record)))
        .map(({ event, attempt }) => `${event.attributes.id} ${attempt}`),
    dead: () =>
      started.appended
        .filter(({ topic }) => topic === topics.deadLetter)
        .map(({ record }) => [String(record.headers.ce_id), String(record.headers['posthorn-reason'])]),
  };
}

const idsIn = ({ deliveries }: Batch): string => deliveries.map(({ event }) => event.attributes.id).join('');

/** An answer with an entry for each of these events. */
function results(statuses: Readonly<Record<string, number>>, headers: string[] = []): Outcome {
  const entries = Object.entries(statuses).map(([id, status]) => ({ source: '/test', id, status }));
  return answered(200, headers, JSON.stringify({ results: entries }));
}

const states = (held: readonly Held[]): string[] => held.map(({ state }) => state);

t.test('a 2xx settles every event of the batch, and appends nothing', async (t) => {
  const { runAll, clock, idsOf, appended, metrics } = start();
  const held = runAll('abc');
  await clock.advance(0);
  t.same(idsOf(), ['abc']);
  t.same(states(held), ['settled', 'settled', 'settled']);
  t.same(appended, []);
  const text = await metrics.registry.metrics();
  const labels = '{broker="default/default",trigger="all"}';
  t.match(text, `posthorn_deliveries_total${labels} 3`, 'deliveries count events');
  t.match(text, 'posthorn_delivery_attempts_total{broker="default/default",trigger="all",status_class="2xx"} 1');
  t.match(text, `posthorn_batch_events_sum${labels} 3`);
  t.match(text, `posthorn_batch_events_count${labels} 1`);
  t.match(text, `posthorn_deliveries_in_flight${labels} 0`);
});

t.test('a batch that fails as a whole is retried or dead-lettered event by event', async (t) => {
  const { runAll, run, clock, retried, dead, answers, lines } = start();
  answers.set(trigger.subscriberUri, answered(503, [], 'down'));
  const held = [...runAll('ab'), run(testDelivery(trigger, testEvent({ id: 'c' }), { attempt: 3 }))];
  await clock.advance(0);
  t.same(states(held), ['settled', 'settled', 'settled']);
  t.same(retried(), ['a 2', 'b 2']);
  t.same(dead(), [['c', 'status 503 (attempt 3 of 3)']]);
  t.match(lines[0], { msg: 'attempt failed', event: 'a', batchEvents: 3, status: 503, fate: 'retry' });
  t.equal(lines.length, 3);

  answers.set(trigger.subscriberUri, answered(422));
  runAll('d');
  await clock.advance(100);
  t.same(dead().at(-1), ['d', 'status 422']);
});

t.test('each event goes by its own entry, and what has none is tried again', async (t) => {
  const { runAll, clock, retried, dead, answers, appended } = start({
    ...trigger,
    batch: { eventsMax: 5, bytesMax: 100_000, lingerMs: 100 },
  });
  answers.set(trigger.subscriberUri, results({ a: 200, b: 503, c: 422, x: 500 }));
  const held = runAll('abcd');
  await clock.advance(100);
  t.same(states(held), ['settled', 'settled', 'settled', 'settled']);
  t.same(retried(), ['b 2', 'd 2']);
  t.same(dead(), [['c', 'status 422']]);
  const letter = appended.find(({ topic }) => topic === topics.deadLetter);
  const said = Buffer.from(String(letter?.record.headers.ce_knativeerrordata), 'base64').toString();
  t.same(JSON.parse(said), { source: '/test', id: 'c', status: 422 }, 'what was said of this event');
});

t.test('an event settles when its own fate is durable, whatever becomes of the others', async (t) => {
  const { runAll, clock, answers, refuse } = start();
  answers.set(trigger.subscriberUri, results({ a: 200, b: 503, c: 200 }));
  refuse(() => new Error('no leader'));
  const held = runAll('abc');
  await clock.advance(1_000);
  t.same(states(held), ['settled', 'held', 'settled']);
  refuse(() => undefined);
  await clock.advance(5_000);
  t.same(states(held), ['settled', 'settled', 'settled']);
});

t.test('Retry-After counts for a whole 503, and for the entries of an answer that has it', async (t) => {
  const { runAll, clock, answers, appended } = start();
  answers.set(trigger.subscriberUri, results({ a: 429, b: 500, c: 200 }, ['retry-after', '60']));
  runAll('abc');
  await clock.advance(0);
  const dueIn = appended.map(({ record }) => fromRetryRecord(asLogRecord(record)).dueAtMs - clock.now());
  t.same(dueIn, [60_000, 1_000]);
});

t.test('events of the same source and id each get their own entry', async (t) => {
  const { runAll, clock, answers, retried } = start();
  const entries = [200, 503].map((status) => ({ source: '/test', id: 'a', status }));
  answers.set(trigger.subscriberUri, answered(200, [], JSON.stringify({ results: entries })));
  const held = runAll('aa');
  await clock.advance(100);
  t.same(states(held), ['settled', 'settled']);
  t.same(retried(), ['a 2']);
});

t.test(
  'a batch that is too large comes again in smaller ones, as the same attempt; one event is dead-lettered',
  async (t) => {
    const { runAll, clock, answerBatches, idsOf, dead, retried, batches, lines } = start({
      ...trigger,
      batch: { eventsMax: 8, bytesMax: 100_000, lingerMs: 0 },
    });
    // What holds two events, but not three.
    const limit = 300;
    answerBatches((batch) => answered(batch.body.length > limit || idsIn(batch).includes('z') ? 413 : 200));
    const held = [...runAll('abcdefg'), ...runAll('z', { attempt: 2 })];
    await clock.advance(1_000);
    t.same(new Set(states(held)), new Set(['settled']));
    t.same(retried(), []);
    t.same(dead(), [['z', 'status 413']]);
    t.ok(batches.length < 16, idsOf().join());
    t.match(lines[0], { level: 40, events: 8, msg: /^a batch was answered 413/ });
    const before = batches.length;
    runAll('hijk');
    await clock.advance(1_000);
    for (const { body } of batches.slice(before)) t.ok(body.length <= limit, 'what comes later is small at once');
  },
);

t.test('410 pauses the trigger where it says so; in an entry it speaks of the event alone', async (t) => {
  const pausing = { ...trigger, onGone: 'pause' } as const;
  const whole = start(pausing);
  whole.answers.set(trigger.subscriberUri, answered(410));
  whole.runAll('abc');
  await whole.clock.advance(0);
  t.same(whole.retried(), ['a 1', 'b 1', 'c 1'], 'no attempt is used up');
  t.match(whole.lines.at(-1), { msg: /^trigger paused: its subscriber answered 410 Gone/ });

  const single = start(pausing);
  single.answers.set(trigger.subscriberUri, results({ a: 410, b: 200, c: 200 }));
  single.runAll('abc');
  await single.clock.advance(0);
  t.same(single.dead(), [['a', 'status 410']]);
  single.runAll('def');
  await single.clock.advance(0);
  t.equal(single.batches.length, 2, 'not paused');
});

t.test('a subscriber that fails every event is failing, one that fails some is well', async (t) => {
  const { runAll, clock, answerBatches, lines, batches } = start();
  let failing = 'ab';
  answerBatches((batch) =>
    results(Object.fromEntries([...idsIn(batch)].map((id) => [id, failing.includes(id) ? 503 : 200]))),
  );
  for (let count = 0; count < 12; count++) {
    runAll('abc');
    await clock.advance(0);
  }
  t.equal(batches.length, 12, 'two of three fail each time');
  failing = 'abc';
  for (let count = 0; count < 12; count++) {
    runAll('abc');
    await clock.advance(0);
  }
  t.ok(lines.some(({ msg }) => String(msg).startsWith('breaker opened')));
});

t.test('an answer that is an event is no reply: it is dead-lettered, and the batch stands', async (t) => {
  const { runAll, clock, answers, appended, metrics } = start();
  const event = ['ce-specversion', '1.0', 'ce-id', 'r', 'ce-source', '/h', 'ce-type', 'reply'];
  answers.set(trigger.subscriberUri, answered(200, event, 'a reply'));
  const held = runAll('abc');
  await clock.advance(0);
  t.same(states(held), ['settled', 'settled', 'settled']);
  t.same(
    appended.map(({ topic, record }) => [topic, record.headers.ce_id, record.headers['posthorn-reason']]),
    [[topics.deadLetter, 'r', 'the answer to a batch carries no reply']],
  );
  t.match(await metrics.registry.metrics(), /posthorn_dead_letters_total\{.*reason="invalid_reply"\} 1/);
});

t.test('dead letters go to their sink each in a request of its own', async (t) => {
  const withSink = { ...trigger, delivery: { ...trigger.delivery, deadLetterSinkUri: sinkUri } };
  const { runAll, clock, answers, attempts, appended, batches } = start(withSink);
  answers.set(trigger.subscriberUri, results({ a: 200, b: 400, c: 400 }));
  const held = runAll('abc');
  await clock.advance(0);
  t.equal(batches.length, 1);
  t.same(
    attempts.map(({ url, delivery }) => [
      url,
      delivery.event.attributes.id,
      delivery.event.attributes.knativeerrorcode,
    ]),
    [
      [sinkUri, 'b', '400'],
      [sinkUri, 'c', '400'],
    ],
  );
  t.match(appended, [{ record: { headers: { 'posthorn-dead-letter-sink': 'delivered' } } }, {}]);
  t.same(states(held), ['settled', 'settled', 'settled']);
});

t.test('in its place a lane gets back what failed, and nothing else', async (t) => {
  const ordered = { ...trigger, lane: 'ordered' } as const;
  const { runAll, clock, answers, appended } = start(ordered);
  const kept: string[] = [];
  const retryInPlace = ({ event, attempt }: Delivery, atMs: number) =>
    kept.push(`${event.attributes.id} ${attempt} in ${atMs - clock.now()}`);
  answers.set(trigger.subscriberUri, results({ a: 200, b: 503 }));
  const held = runAll('abc', {}, { retryInPlace });
  await clock.advance(0);
  t.same(kept, ['b 2 in 1000', 'c 2 in 1000']);
  t.same(states(held), ['settled', 'held', 'held']);
  t.same(appended, []);
});

t.test(
  'an ordered batch of which something is revoked is cut; the rest comes again, as the same attempt',
  async (t) => {
    const ordered = { ...trigger, lane: 'ordered' } as const;
    const { runAll, clock, pipeline, answers } = start(ordered);
    const kept: string[] = [];
    const retryInPlace = ({ event, attempt }: Delivery) => kept.push(`${event.attributes.id} ${attempt}`);
    answers.set(trigger.subscriberUri, new Promise(() => {}));
    const held = runAll('abc', {}, { retryInPlace });
    await clock.advance(0);
    if (held[1]) held[1].isRevoked = true;
    pipeline.cutRevoked();
    await clock.advance(0);
    t.same(kept, ['a 1', 'c 1']);
    t.same(states(held), ['held', 'dropped', 'held']);
  },
);

t.test('what is another process by the time of its turn is left out', async (t) => {
  const { runAll, clock, idsOf, answers } = start({ ...trigger, maxInFlight: 1 });
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  answers.set(trigger.subscriberUri, promise);
  runAll('abc');
  const held = runAll('def');
  if (held[1]) held[1].isRevoked = true;
  resolve(answered(200));
  await clock.advance(0);
  t.same(idsOf(), ['abc', 'df']);
  t.same(states(held), ['settled', 'dropped', 'settled']);
});

t.test('at shutdown what gathers is let go, and a batch that is cut stays unsettled', async (t) => {
  const { runAll, clock, pipeline, cut, answers, appended } = start();
  answers.set(trigger.subscriberUri, new Promise(() => {}));
  const inFlight = runAll('abc');
  const gathering = runAll('de');
  pipeline.drain();
  t.same(states(gathering), ['dropped', 'dropped']);
  t.same(states(inFlight), ['held', 'held', 'held']);
  cut.abort(new Error('stopping'));
  await clock.advance(0);
  t.same(states(inFlight), ['dropped', 'dropped', 'dropped']);
  t.same(appended, []);
  t.equal(clock.pending, 0);
});

t.test('what waits for a batch when its trigger is deleted is dead-lettered without an attempt', async (t) => {
  const { runAll, clock, pipeline, snapshot, batches, dead } = start();
  const held = runAll('ab');
  snapshot.triggers.clear();
  pipeline.refreshLimits();
  await clock.advance(0);
  t.same(states(held), ['settled', 'settled']);
  t.equal(batches.length, 0);
  t.same(dead(), [
    ['a', 'trigger deleted'],
    ['b', 'trigger deleted'],
  ]);
});

/** A pipeline before a log whose commits the test acknowledges, and as many deliveries in it. */
async function startUncommitted(of: Trigger, deliveries: number) {
  const started = startPipeline([of], { waitingEventsMax: 1_000 });
  const settled: RepeatBound[] = [];
  let dropped = 0;
  const hold = {
    isRevoked: false,
    settle(...bounds: readonly RepeatBound[]) {
      for (const bound of bounds) bound.settled();
      settled.push(...bounds);
    },
    drop: () => dropped++,
  };
  for (let count = 0; count < deliveries; count++) started.pipeline.deliver(testDelivery(of), hold, 'shared');
  await started.clock.advance(0);
  return {
    ...started,
    dropped: () => dropped,
    async commit(count: number) {
      for (const bound of settled.splice(0, count)) bound.committed(1);
      await started.clock.advance(0);
    },
    async revise(trigger: Trigger) {
      started.snapshot.triggers.set(of.uid, { ...trigger, generation: of.generation + 1 });
      started.pipeline.refreshLimits();
      await started.clock.advance(0);
    },
  };
}

const hundreds = { ...trigger, maxInFlight: 3, batch: { eventsMax: 100, bytesMax: 1_000_000, lingerMs: 0 } };

t.test('a batch waits for commits until a crash repeats no more events than are in flight at most', async (t) => {
  const { batches, commit } = await startUncommitted(hundreds, 600);
  t.equal(batches.length, 3, '300 events');
  await commit(99);
  t.equal(batches.length, 3, 'no room for a hundred');
  await commit(1);
  t.equal(batches.length, 4);
});

t.test('a batch that waited for a commit does not go while its trigger is paused, nor at shutdown', async (t) => {
  const { batches, commit, revise, pipeline, dropped } = await startUncommitted(hundreds, 600);
  await revise({ ...hundreds, paused: true });
  await commit(300);
  t.equal(batches.length, 3);
  t.equal(pipeline.limits.of(hundreds).waiting, 300, 'all of it waits again');
  await revise(hundreds);
  t.equal(batches.length, 6);

  const ending = await startUncommitted(hundreds, 400);
  ending.pipeline.drain();
  await ending.clock.advance(0);
  t.equal(ending.batches.length, 3);
  t.equal(ending.dropped(), 100);
  t.equal(dropped(), 0);
});

t.test('what waited for a commit goes as the revision wants that has come meanwhile', async (t) => {
  const alone = await startUncommitted({ ...trigger, batch: null, maxInFlight: 256 }, 300);
  t.equal(alone.attempts.length, 256);
  await alone.revise(hundreds);
  await alone.commit(256);
  t.equal(alone.attempts.length, 256);
  t.same(
    alone.batches.map(({ deliveries }) => deliveries.length),
    [44],
  );

  const batched = await startUncommitted(hundreds, 400);
  await batched.revise({ ...hundreds, batch: null });
  await batched.commit(300);
  t.equal(batched.batches.length, 3);
  t.equal(batched.attempts.length, 100);
});
