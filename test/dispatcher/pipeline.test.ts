import t from 'tap';
import { RecordTooLargeError } from '../../broker/log/errors.ts';
import type { NewRecord } from '../../broker/log/log.ts';
import { brokerTopics } from '../../broker/topics.ts';
import type { Registry } from '../../broker/trigger/registry.ts';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import { type Delivery, type Outcome, RevokedError } from '../../dispatcher/fate.ts';
import { fromRetryRecord } from '../../dispatcher/retry.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { asLogRecord } from '../support/scripted-log.ts';
import { answered, startPipeline, topics } from './pipeline-setup.ts';

const sinkUri = 'http://127.0.0.1:2/';

function text(record: NewRecord | undefined, header: string): string | undefined {
  const value = record?.headers[header];
  return value === undefined ? undefined : String(value);
}

const tooLarge = (topic: string) => new RecordTooLargeError(topic, 2_000_000, 1_000_000);
const trigger = testTrigger('http://127.0.0.1:1/');
const withSink = testTrigger('http://127.0.0.1:1/', {
  delivery: { ...defaultDelivery, attemptsMax: 2, jitter: 0, deadLetterSinkUri: sinkUri },
});

t.test('nothing is settled before its fate is durable, however long the log refuses it', async (t) => {
  const { run, refuse, clock, answers, appended } = startPipeline([trigger]);
  answers.set(trigger.subscriberUri, answered(503));
  refuse(() => new Error('no leader'));
  const held = run(testDelivery(trigger));
  await clock.advance(60_000);
  t.equal(held.state, 'held');
  refuse(() => undefined);
  await clock.advance(5_000);
  t.equal(held.state, 'settled');
  t.same(
    appended.map(({ topic }) => topic),
    [topics.retry('all')],
  );
});

t.test(
  'a lane that keeps a failed delivery in its place gets it back, and its dead letter goes on as any',
  async (t) => {
    const { run, clock, answers, appended, lines } = startPipeline([withSink]);
    answers.set(withSink.subscriberUri, answered(503));
    answers.set(sinkUri, answered(503));
    const kept: { attempt: number; inMs: number }[] = [];
    const retryInPlace = ({ attempt }: Delivery, atMs: number) => kept.push({ attempt, inMs: atMs - clock.now() });
    const first = run(testDelivery(withSink), { retryInPlace });
    await clock.advance(0);
    t.equal(first.state, 'held', 'neither settled nor dropped');
    t.same(kept, [{ attempt: 2, inMs: 1_000 }]);
    t.same(appended, []);
    t.match(lines, [{ msg: 'attempt failed', fate: 'retry' }]);

    const last = run(testDelivery(withSink, testEvent(), { attempt: 2 }), { retryInPlace });
    await clock.advance(0);
    t.equal(last.state, 'settled', 'the key goes on');
    t.equal(kept.length, 1);
    t.same(
      appended.map(({ topic }) => topic),
      [topics.retry('all')],
      'what the sink did not take waits in the retry topic',
    );
  },
);

t.test('an attempt that was cut for the next owner of its record lets go of it, without a word', async (t) => {
  const { run, clock, answers, lines, appended } = startPipeline([trigger]);
  answers.set(trigger.subscriberUri, Promise.reject(new RevokedError()));
  const held = run(testDelivery(trigger));
  await clock.advance(0);
  t.equal(held.state, 'dropped');
  t.same([...lines, ...appended], []);
});

t.test('a failed attempt is one line, which names the URL that was called without what may be secret', async (t) => {
  const secretive = testTrigger('http://user:word@127.0.0.1:1/hook?token=s3cret', {
    delivery: { ...defaultDelivery, deadLetterSinkUri: `${sinkUri}sink?key=s3cret` },
  });
  const { run, clock, answers, lines } = startPipeline([secretive]);
  answers.set(secretive.subscriberUri, answered(301, ['location', '/hooks']));
  answers.set(`${sinkUri}sink?key=s3cret`, answered(503));
  run(testDelivery(secretive));
  await clock.advance(0);
  t.match(lines, [
    {
      msg: 'attempt failed',
      target: 'subscriber',
      url: 'http://127.0.0.1:1/hook',
      status: 301,
      fate: 'deadLetter',
      reason: 'status 301: redirects are not followed (Location: /hooks)',
    },
    { msg: 'attempt failed', target: 'deadLetterSink', url: 'http://127.0.0.1:2/sink', status: 503, fate: 'retry' },
  ]);
  t.equal(lines.length, 2);
  t.notMatch(JSON.stringify(lines), /s3cret|word/);
});

t.test('while a reply is being appended again, the subscriber is not called again', async (t) => {
  const { run, refuse, clock, answers, attempts, appended } = startPipeline([trigger]);
  const headers = ['ce-specversion', '1.0', 'ce-id', 'r', 'ce-source', '/h', 'ce-type', 'reply'];
  answers.set(trigger.subscriberUri, answered(200, headers));
  refuse(() => new Error('no leader'));
  const held = run(testDelivery(trigger));
  await clock.advance(60_000);
  t.equal(held.state, 'held');
  refuse(() => undefined);
  await clock.advance(5_000);
  t.equal(held.state, 'settled');
  t.equal(attempts.length, 1);
  t.match(appended, [{ topic: topics.events, record: { headers: { ce_id: 'r', ce_posthornhops: '1' } } }]);
});

t.test('what the retry topic can not hold is dead-lettered with the reason', async (t) => {
  const { run, refuse, clock, answers, appended } = startPipeline([trigger]);
  answers.set(trigger.subscriberUri, answered(503));
  refuse((topic) => (topic === topics.retry('all') ? tooLarge(topic) : undefined));
  const held = run(testDelivery(trigger));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.same(
    appended.map(({ topic }) => topic),
    [topics.deadLetter],
  );
  t.match(text(appended[0]?.record, 'posthorn-reason'), /^status 503; can't be retried: 2000000 bytes/);
  t.equal(text(appended[0]?.record, 'posthorn-attempts'), '1');
});

t.test('what even the dead-letter topic can not hold is kept as a reference to where it stands', async (t) => {
  const { run, refuse, clock, answers, appended } = startPipeline([trigger]);
  answers.set(trigger.subscriberUri, answered(400));
  refuse((topic, record) => (record.value !== null ? tooLarge(topic) : undefined));
  const held = run(testDelivery(trigger, testEvent({}, Buffer.from('large'))));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.equal(appended.length, 1);
  t.equal(text(appended[0]?.record, 'posthorn-origin'), 'events/0/7');
  t.equal(text(appended[0]?.record, 'posthorn-reason'), 'status 400');
});

t.test('a reply that the events topic can not hold is dead-lettered, and the delivery stands', async (t) => {
  const { run, refuse, clock, answers, appended } = startPipeline([trigger]);
  const headers = ['ce-specversion', '1.0', 'ce-id', 'r', 'ce-source', '/h', 'ce-type', 'reply'];
  answers.set(trigger.subscriberUri, answered(200, headers, 'large'));
  refuse((topic) => (topic === topics.events ? tooLarge(topic) : undefined));
  const held = run(testDelivery(trigger));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.same(
    appended.map(({ topic }) => topic),
    [topics.deadLetter],
  );
  t.match(text(appended[0]?.record, 'posthorn-reason'), /^reply too large/);
  t.equal(text(appended[0]?.record, 'ce_id'), 'r', 'the reply itself');
});

t.test('a reply waits for a broker that is not known here yet, and the subscriber is not called again', async (t) => {
  const replyTo = { namespace: 'wiki', name: 'contents' };
  const toOther = testTrigger(trigger.subscriberUri, { replyTo });
  const { run, clock, answers, attempts, appended, others } = startPipeline([toOther]);
  answers.set(
    trigger.subscriberUri,
    answered(200, ['ce-specversion', '1.0', 'ce-id', 'r', 'ce-source', '/h', 'ce-type', 'r']),
  );
  const held = run(testDelivery(toOther));
  await clock.advance(5_000);
  t.equal(held.state, 'held');
  const names = brokerTopics('posthorn', replyTo);
  others.set('wiki/contents', { snapshot: () => ({ broker: null }), topics: () => names } as unknown as Registry);
  await clock.advance(1_000);
  t.equal(held.state, 'settled');
  t.equal(attempts.length, 1);
  t.match(appended, [{ topic: 'posthorn.wiki.contents', record: { headers: { ce_id: 'r', ce_posthornhops: '1' } } }]);
});

t.test('a dead letter sink that fails is tried again through the retry topic, with what is to be said', async (t) => {
  const { run, clock, answers, attempts, appended } = startPipeline([withSink]);
  answers.set(withSink.subscriberUri, answered(400, [], 'no such order'));
  answers.set(sinkUri, answered(503));
  const first = run(testDelivery(withSink, testEvent({}, Buffer.from('data')), { attempt: 2 }));
  await clock.advance(0);
  t.equal(first.state, 'settled');
  t.same(
    attempts.map(({ url }) => url),
    [withSink.subscriberUri, sinkUri],
  );
  t.equal(attempts[1]?.delivery.event.attributes.knativeerrorcode, '400');
  const [retried] = appended.splice(0);
  t.equal(retried?.topic, topics.retry('all'));
  t.equal(text(retried?.record, 'ce_knativeerrorcode'), undefined, 'the event waits as it was');

  // The process has restarted: what is known comes from the record.
  const item = fromRetryRecord(asLogRecord(retried?.record ?? { key: null, value: null, headers: {} }));
  const second = run({ ...item, trigger: withSink });
  await clock.advance(0);
  t.equal(second.state, 'settled');
  const [letter] = appended;
  t.equal(letter?.topic, topics.deadLetter);
  t.match(letter?.record.headers, {
    'posthorn-reason': 'status 400',
    'posthorn-attempts': '2',
    'posthorn-dead-letter-sink': 'failed: status 503 (attempt 2 of 2)',
    ce_knativeerrorcode: '400',
    ce_knativeerrordata: Buffer.from('no such order').toString('base64'),
  });
});

t.test('a dead letter whose sink was taken away by a revision goes to the topic', async (t) => {
  const { run, clock, attempts, appended } = startPipeline([trigger]);
  const failure = {
    ...{ reason: 'status 400', attempts: 1, firstAttemptAtMs: 1, lastAttemptAtMs: 1, status: 400 },
    body: Buffer.alloc(0),
  };
  const held = run(testDelivery(withSink, testEvent(), { attempt: 2, target: { kind: 'deadLetterSink', failure } }));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.equal(attempts.length, 0);
  t.match(appended, [{ topic: topics.deadLetter, record: { headers: { 'posthorn-reason': 'status 400' } } }]);
});

t.test('an attempt is made under the settings that are in force when its turn comes', async (t) => {
  const { run, clock, attempts, snapshot, answers } = startPipeline([{ ...trigger, maxInFlight: 1 }]);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  answers.set(trigger.subscriberUri, promise);
  run(testDelivery({ ...trigger, maxInFlight: 1 }));
  run(testDelivery(trigger));
  const moved = { ...trigger, subscriberUri: 'http://127.0.0.1:3/' };
  snapshot.triggers.set(trigger.uid, moved);
  resolve(answered(200));
  await clock.advance(0);
  t.same(
    attempts.map(({ url }) => url),
    [trigger.subscriberUri, moved.subscriberUri],
  );
});

t.test('a delivery whose trigger was deleted meanwhile is dead-lettered without an attempt', async (t) => {
  const { run, clock, attempts, appended, snapshot } = startPipeline([]);
  const held = run(testDelivery(trigger));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.equal(attempts.length, 0);
  t.match(appended, [{ topic: topics.deadLetter, record: { headers: { 'posthorn-reason': 'trigger deleted' } } }]);
  snapshot.discarded.add(trigger.uid);
  const discarded = run(testDelivery(trigger));
  await clock.advance(0);
  t.equal(discarded.state, 'settled');
  t.equal(appended.length, 1, 'discarded where the deletion said so');
});

t.test('at shutdown what has not begun is let go, and what is cut stays unsettled', async (t) => {
  const { run, clock, pipeline, cut, answers, attempts } = startPipeline([{ ...trigger, maxInFlight: 1 }]);
  answers.set(trigger.subscriberUri, new Promise<Outcome>(() => {}));
  const inFlight = run(testDelivery({ ...trigger, maxInFlight: 1 }));
  const waiting = run(testDelivery(trigger));
  await clock.advance(0);
  pipeline.drain();
  t.equal(inFlight.state, 'held');
  cut.abort(new Error('stopping'));
  await clock.advance(0);
  t.equal(inFlight.state, 'dropped');
  t.equal(waiting.state, 'dropped');
  t.equal(attempts.length, 1);
});
