import t from 'tap';
import type { Found } from '../../broker/schema/schemas.ts';
import { testDelivery, testTrigger } from '../support/events.ts';
import { until } from '../support/until.ts';
import { answered, startPipeline, topics } from './pipeline-setup.ts';

const trigger = testTrigger('http://subscriber.test/');
const headers = [
  'ce-specversion',
  '1.0',
  'ce-id',
  'r',
  'ce-source',
  '/h',
  'ce-type',
  'reply',
  'ce-dataschema',
  'schemas:///a',
];
const reply = answered(200, [...headers, 'content-type', 'application/json'], '{"x": 1}');
const schema: Found = {
  kind: 'schema',
  schema: { uri: 'schemas:///a', violations: () => [{ pointer: '/x', detail: 'is too much' }] },
};

t.test('a reply that violates its schema is dead-lettered with the pointer, and the delivery stands', async (t) => {
  const { run, answers, appended, clock } = startPipeline([trigger], { schemas: { find: () => schema } });
  answers.set(trigger.subscriberUri, reply);
  const held = run(testDelivery(trigger));
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.equal(appended.length, 1);
  t.equal(appended[0]?.topic, topics.deadLetter);
  const reason = String(appended[0]?.record.headers?.['posthorn-reason']);
  t.match(reason, /^malformed reply: the data violates the schema "schemas:\/\/\/a": \/x is too much/);
});

t.test('while its schema is not to be had a reply waits, and the subscriber is not called again', async (t) => {
  let found: Found = { kind: 'unavailable', reason: 'it is away' };
  const { run, answers, appended, attempts, clock } = startPipeline([trigger], { schemas: { find: () => found } });
  answers.set(trigger.subscriberUri, reply);
  const held = run(testDelivery(trigger));
  await clock.advance(5_500);
  t.strictSame([held.state, appended.length, attempts.length], ['held', 0, 1]);
  found = { kind: 'unknown' };
  await until(async () => {
    await clock.advance(1_000);
    return held.state === 'settled';
  }, 'the reply is in the log');
  t.strictSame([appended[0]?.topic, attempts.length], [topics.events, 1]);
});

t.test('what violates its schema is dead-lettered as it is, and counted', async (t) => {
  const { pipeline, appended, metrics, lines, clock } = startPipeline([trigger]);
  const record = {
    offset: 7,
    timestampMs: 1,
    key: Buffer.from('k'),
    value: Buffer.from('{"x":1}'),
    headers: { h: '1' },
  };
  const origin = { topic: 'events', partition: 0, offset: 7, appendedAtMs: 1 };
  let settled = 0;
  const hold = { isRevoked: false, settle: () => void settled++, drop: () => {} };
  pipeline.unreadable(record, origin, 'the data violates it: /x', hold, 'schema');
  await clock.advance(0);
  t.match(
    appended,
    [
      {
        topic: topics.deadLetter,
        record: { ...record, headers: { h: '1', 'posthorn-reason': /\/x$/, 'posthorn-origin': 'events/0/7' } },
      },
    ].map(({ topic, record: { key, value, headers } }) => ({ topic, record: { key, value, headers } })),
  );
  t.equal(settled, 1);
  t.match(lines.at(-1), { msg: 'event violates its schema, dead-lettered', offset: 7 });
  t.match(await metrics.registry.metrics(), /posthorn_dead_letters_total\{[^}]*reason="schema"[^}]*\} 1/);
});
