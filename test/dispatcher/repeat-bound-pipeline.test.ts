import t from 'tap';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import type { Hold, Outcome } from '../../dispatcher/fate.ts';
import type { RepeatBound } from '../../dispatcher/repeat-bound.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { answered, startPipeline } from './pipeline-setup.ts';

const sinkUri = 'http://127.0.0.1:2/';
const trigger = testTrigger('http://127.0.0.1:1/', {
  delivery: { ...defaultDelivery, jitter: 0, deadLetterSinkUri: sinkUri },
});
const failure = {
  ...{ reason: 'status 400', attempts: 1, firstAttemptAtMs: 1, lastAttemptAtMs: 1, status: 400 },
  body: Buffer.alloc(0),
};

/** A pipeline before a log whose commits the test acknowledges. */
function start(subscribed: Trigger = trigger) {
  const started = startPipeline([subscribed], { waitingEventsMax: 1_000 });
  const settled: RepeatBound[] = [];
  // As a reader's: an event counts from its settling until it is committed.
  const hold: Hold = {
    isRevoked: false,
    settle(...bounds) {
      for (const bound of bounds) bound.settled();
      settled.push(...bounds);
    },
    drop: () => {},
  };
  return {
    ...started,
    deliver: (count: number) => {
      for (let i = 0; i < count; i++) started.pipeline.deliver(testDelivery(subscribed), hold, 'shared');
    },
    deadLetter: (count: number) => {
      const delivery = testDelivery(subscribed, testEvent(), { target: { kind: 'deadLetterSink', failure } });
      for (let i = 0; i < count; i++) started.pipeline.deliver(delivery, hold, 'retry');
    },
    commit: (count: number) => {
      for (const bound of settled.splice(0, count)) bound.committed(1);
    },
  };
}

t.test('an attempt waits for a commit when a crash would repeat 256 events of its trigger', async (t) => {
  const { deliver, commit, pipeline, clock, attempts } = start();
  deliver(300);
  await clock.advance(0);
  t.equal(attempts.length, 256);
  commit(10);
  await clock.advance(0);
  t.equal(attempts.length, 266);
  pipeline.drain();
  await clock.advance(0);
  t.equal(attempts.length, 266, 'at shutdown what waited is let go');
});

t.test('a dead letter sink that hangs keeps no attempt from the subscriber', async (t) => {
  const { deliver, deadLetter, clock, attempts, answers } = start();
  answers.set(sinkUri, new Promise<Outcome>(() => {}));
  deadLetter(300);
  deliver(200);
  await clock.advance(0);
  t.equal(attempts.filter(({ url }) => url === trigger.subscriberUri).length, 200);
});

t.test('what waits for a commit when the breaker opens is not attempted', async (t) => {
  const { deliver, commit, clock, attempts, answers } = start();
  deliver(300);
  await clock.advance(0);
  t.equal(attempts.length, 256, 'the others wait for a commit');
  answers.set(trigger.subscriberUri, answered(503));
  commit(5);
  await clock.advance(0);
  t.equal(attempts.length, 261, 'these open the breaker');
  commit(256);
  await clock.advance(100);
  t.equal(attempts.length, 261);
  answers.set(trigger.subscriberUri, answered(200));
  await clock.advance(10_000);
  t.equal(attempts.length, 300, 'they go out when the subscriber is back');
});
