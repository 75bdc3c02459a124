import t from 'tap';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import type { Delivery } from '../../dispatcher/fate.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { answered, startPipeline, topics } from './pipeline-setup.ts';

const sinkUri = 'http://127.0.0.1:2/';
const trigger = testTrigger('http://127.0.0.1:1/');
const withSink = testTrigger('http://127.0.0.1:1/', {
  delivery: { ...defaultDelivery, attemptsMax: 2, jitter: 0, deadLetterSinkUri: sinkUri },
});

t.test(
  'while the subscriber is down deliveries are held, no attempt is used up, and its dead letter sink is still called',
  async (t) => {
    const { run, clock, answers, attempts, appended, lines } = startPipeline([withSink]);
    answers.set(withSink.subscriberUri, answered(503));
    for (let count = 0; count < 5; count++) run(testDelivery(withSink));
    await clock.advance(0);
    t.equal(attempts.length, 5);
    t.match(lines.at(-1), {
      level: 40,
      msg: 'breaker opened: deliveries wait, no attempts but probes',
      broker: 'default/default',
      trigger: 'all',
      why: '5 failures in a row',
      nextProbe: /^2026-01-01T00:00:0[01]\.\d{3}Z$/,
    });
    t.equal(lines.length, 6, 'one line for each failed attempt and one for the breaker');
    const held = run(testDelivery(withSink));
    await clock.advance(500);
    t.equal(held.state, 'held');
    t.equal(attempts.length, 5);
    t.equal(appended.length, 5);

    answers.set(sinkUri, answered(200));
    const failure = {
      ...{ reason: 'status 400', attempts: 1, firstAttemptAtMs: 1, lastAttemptAtMs: 1, status: 400 },
      body: Buffer.alloc(0),
    };
    const letter = run(testDelivery(withSink, testEvent(), { target: { kind: 'deadLetterSink', failure } }));
    await clock.advance(0);
    t.equal(letter.state, 'settled');

    answers.set(withSink.subscriberUri, answered(200));
    await clock.advance(1_000);
    t.equal(held.state, 'settled');
    t.same(
      lines.slice(6).map(({ level, msg }) => [level, msg]),
      [[30, 'a probe was answered: deliveries go on, one at a time at first']],
    );
  },
);

t.test('a dead letter sink that fails does not open the breaker of the trigger', async (t) => {
  const { run, clock, answers, attempts, pipeline } = startPipeline([withSink]);
  answers.set(withSink.subscriberUri, answered(400));
  answers.set(sinkUri, answered(503));
  for (let count = 0; count < 20; count++) run(testDelivery(withSink));
  await clock.advance(0);
  t.equal(attempts.length, 40);
  t.notOk(pipeline.limits.of(withSink).isOpen);
});

t.test('a Retry-After that the policy bounds puts off the next probe', async (t) => {
  const bounded = { ...trigger, delivery: { ...defaultDelivery, retryAfterMaxMs: 60_000 } };
  const { run, clock, answers, attempts } = startPipeline([bounded]);
  answers.set(bounded.subscriberUri, answered(503, ['retry-after', '200']));
  for (let count = 0; count < 5; count++) run(testDelivery(bounded));
  await clock.advance(0);
  run(testDelivery(bounded));
  await clock.advance(59_000);
  t.equal(attempts.length, 5);
  await clock.advance(1_001);
  t.equal(attempts.length, 6);
});

t.test(
  'a subscriber that is gone pauses its trigger; the delivery is kept with its attempt, and one line says what to do',
  async (t) => {
    const pausing = { ...trigger, onGone: 'pause' as const };
    const { run, clock, answers, attempts, appended, lines, snapshot, pipeline } = startPipeline([pausing]);
    answers.set(pausing.subscriberUri, answered(410));
    const settled = [run(testDelivery(pausing, testEvent(), { attempt: 16 })), run(testDelivery(pausing))];
    await clock.advance(0);
    const held = run(testDelivery(pausing));
    await clock.advance(86_400_000);
    t.same(
      settled.map(({ state }) => state),
      ['settled', 'settled'],
    );
    t.match(appended, [
      {
        topic: topics.retry('all'),
        record: { headers: { 'posthorn-attempt': '16', 'posthorn-reason': 'status 410' } },
      },
      { topic: topics.retry('all'), record: { headers: { 'posthorn-attempt': '1' } } },
    ]);
    t.equal(held.state, 'held');
    t.equal(attempts.length, 2);
    const errors = lines.filter(({ level }) => level === 50);
    t.equal(errors.length, 1);
    t.match(errors[0], { broker: 'default/default', trigger: 'all', msg: /410 Gone.*changed.*started again/ });

    answers.set(pausing.subscriberUri, answered(200));
    snapshot.triggers.set(pausing.uid, { ...pausing, generation: 2 });
    pipeline.refreshLimits();
    await clock.advance(0);
    t.equal(held.state, 'settled');
    t.match(lines.at(-1), { msg: 'trigger resumed: its deliveries go on' });
  },
);

t.test('so it is kept in its place where the lane keeps it there', async (t) => {
  const pausing = { ...trigger, onGone: 'pause' as const };
  const { run, clock, answers, appended, pipeline } = startPipeline([pausing]);
  answers.set(pausing.subscriberUri, answered(410));
  const kept: { attempt: number; inMs: number }[] = [];
  const retryInPlace = ({ attempt }: Delivery, atMs: number) => kept.push({ attempt, inMs: atMs - clock.now() });
  const held = run(testDelivery(pausing, testEvent(), { attempt: 16 }), { retryInPlace });
  await clock.advance(0);
  t.equal(held.state, 'held');
  t.same(kept, [{ attempt: 16, inMs: 0 }]);
  t.same(appended, []);
  t.equal(pipeline.limits.of(pausing).pausedBy, 'gone');
});

t.test('a 410 of a trigger that does not pause, or of a dead letter sink, is a refusal as any other', async (t) => {
  const pausing = { ...withSink, onGone: 'pause' as const };
  const { run, clock, answers, appended, pipeline } = startPipeline([pausing]);
  answers.set(pausing.subscriberUri, answered(400));
  answers.set(sinkUri, answered(410));
  const held = run(testDelivery(pausing));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.match(appended, [
    { topic: topics.deadLetter, record: { headers: { 'posthorn-dead-letter-sink': 'failed: status 410' } } },
  ]);
  t.equal(pipeline.limits.of(pausing).pausedBy, null);
});

t.test('at shutdown what a paused trigger or an open breaker holds is let go at once', async (t) => {
  const paused = { ...testTrigger('http://127.0.0.1:4/', { name: 'paused' }), paused: true };
  const { run, clock, pipeline, answers } = startPipeline([trigger, paused]);
  answers.set(trigger.subscriberUri, answered(503));
  for (let count = 0; count < 5; count++) run(testDelivery(trigger));
  await clock.advance(0);
  const held = [run(testDelivery(trigger)), run(testDelivery(paused))];
  await clock.advance(0);
  t.same(
    held.map(({ state }) => state),
    ['held', 'held'],
  );
  pipeline.drain();
  held.push(run(testDelivery(paused)));
  t.same(
    held.map(({ state }) => state),
    ['dropped', 'dropped', 'dropped'],
  );
  t.equal(clock.pending, 0, 'and no timer is left');
});

t.test('what waits for its turn and is revoked is let go, whatever holds it', async (t) => {
  const paused = { ...trigger, paused: true };
  const { clock, pipeline } = startPipeline([paused]);
  const states: string[] = [];
  const deliver = (name: string, isRevoked: boolean): void => {
    const say = (what: string) => () => void states.push(`${name} ${what}`);
    pipeline.deliver(testDelivery(paused), { isRevoked, settle: say('settled'), drop: say('dropped') }, 'shared');
  };
  deliver('mine', false);
  deliver('revoked', true);
  pipeline.dropRevoked();
  await clock.advance(0);
  t.same(states, ['revoked dropped']);
});

t.test('what waits of a deleted trigger is given up even where that was paused', async (t) => {
  const paused = { ...trigger, paused: true };
  const { run, clock, pipeline, snapshot, appended, attempts } = startPipeline([paused]);
  const held = run(testDelivery(paused));
  snapshot.triggers.delete(paused.uid);
  pipeline.refreshLimits();
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.equal(attempts.length, 0);
  t.match(appended, [{ topic: topics.deadLetter, record: { headers: { 'posthorn-reason': 'trigger deleted' } } }]);
});

t.test('so is what comes in when it was deleted already', async (t) => {
  const { run, clock, attempts } = startPipeline([]);
  const held = run(testDelivery({ ...trigger, paused: true }));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.equal(attempts.length, 0);
});

t.test('the metrics show what each limit lets through, of every trigger from the start', async (t) => {
  const [quiet, down, paused, gone] = [
    testTrigger('http://127.0.0.1:1/quiet', { name: 'quiet', maxInFlight: 7 }),
    testTrigger('http://127.0.0.1:1/down', { name: 'down' }),
    testTrigger('http://127.0.0.1:1/paused', { name: 'paused', paused: true }),
    testTrigger('http://127.0.0.1:1/gone', { name: 'gone', onGone: 'pause' }),
  ];
  const { run, clock, answers, pipeline, metrics, snapshot } = startPipeline([quiet, down, paused, gone]);
  pipeline.refreshLimits();
  const shown = async (name: string, labels: Record<string, string> = {}) => {
    const { values = [] } = (await metrics.registry.getSingleMetric(name)?.get()) ?? {};
    const wanted = values.filter((one) =>
      Object.entries(labels).every(([label, value]) => one.labels[label] === value),
    );
    return Object.fromEntries(wanted.map((one) => [one.labels.trigger, one.value]));
  };
  t.same(await shown('posthorn_trigger_concurrency_limit'), { quiet: 7, down: 256, paused: 0, gone: 256 });
  t.same(await shown('posthorn_trigger_breaker_open'), { quiet: 0, down: 0, paused: 0, gone: 0 });

  answers.set(down.subscriberUri, answered(503));
  answers.set(gone.subscriberUri, answered(410));
  for (let count = 0; count < 5; count++) run(testDelivery(down));
  run(testDelivery(gone));
  await clock.advance(0);
  t.same(await shown('posthorn_trigger_concurrency_limit'), { quiet: 7, down: 0, paused: 0, gone: 0 });
  t.same(await shown('posthorn_trigger_breaker_open'), { quiet: 0, down: 1, paused: 0, gone: 0 });
  const byAnnotation = { quiet: 0, down: 0, paused: 1, gone: 0 };
  t.same(await shown('posthorn_trigger_paused', { reason: 'annotation' }), byAnnotation);
  t.same(await shown('posthorn_trigger_paused', { reason: 'gone' }), { quiet: 0, down: 0, paused: 0, gone: 1 });

  snapshot.triggers.set(quiet.uid, { ...quiet, maxInFlight: 9, generation: 2 });
  snapshot.triggers.set(paused.uid, { ...paused, paused: false, generation: 2 });
  pipeline.refreshLimits();
  t.same(await shown('posthorn_trigger_concurrency_limit'), { quiet: 9, down: 0, paused: 256, gone: 0 });
});
