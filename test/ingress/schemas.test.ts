import t, { type Test } from 'tap';
import { request } from 'undici';
import { parseWebhooks } from '../../broker/ingress/webhook/webhooks-file.ts';
import { compileSet } from '../../broker/schema/compile-set.ts';
import { readDocument } from '../../broker/schema/document.ts';
import { eventJudge, type Verdict } from '../../broker/schema/rules.ts';
import type { Found } from '../../broker/schema/schemas.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { eventHeaders, startIngress } from './start.ts';

const uri = 'https://schemas.example.com/order';
const document = readDocument(
  { required: ['id'], properties: { amount: { type: 'number' } } },
  { uri, root: 'schemas:///', isNamed: true },
);
if ('problems' in document) throw new Error('no schema');
const { schemas } = compileSet(new Map([[uri, document]]));

async function start(t: Test, webhooks = '') {
  const parsed = webhooks === '' ? [] : parseWebhooks(webhooks, new Map()).webhooks;
  const ingress = await startIngress({ webhooks: parsed, clock: new ManualClock() });
  t.teardown(ingress.close);
  ingress.target.judge = eventJudge(
    {
      find(name): Found {
        const schema = schemas.get(name);
        return schema === undefined ? { kind: 'unknown' } : { kind: 'schema', schema };
      },
    },
    { policy: 'known', types: new Map([['com.example.hook', uri]]), onTopic: false },
  );
  const post = async (headers: Record<string, string>, body: string, path = '/default/default') => {
    const answer = await request(ingress.origin + path, { method: 'POST', headers, body });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, problem: text === '' ? null : JSON.parse(text) };
  };
  return { ingress, post };
}

const json = { 'content-type': 'application/json' };
const event = (id: string, data: unknown, more = {}) => ({
  ...{ specversion: '1.0', id, source: '/tests', type: 'test', dataschema: uri, data },
  ...more,
});

t.test(
  'an event that violates its schema is answered 422, with the schema and the pointers, and is not appended',
  async (t) => {
    const { ingress, post } = await start(t);
    const headers = { ...eventHeaders, ...json, 'ce-dataschema': uri };
    t.equal((await post(headers, '{"id": 1}')).status, 202);
    t.strictSame((await post(headers, '{"amount": "1"}')).problem, {
      title: 'Unprocessable Entity',
      status: 422,
      detail: `the data violates the schema "${uri}": the data must have the property "id"; /amount must be number`,
      attribute: 'data',
      schema: uri,
      errors: [
        { pointer: '', detail: 'must have the property "id"' },
        { pointer: '/amount', detail: 'must be number' },
      ],
    });
    const structured = { 'content-type': 'application/cloudevents+json' };
    t.match(await post(structured, JSON.stringify(event('2', {}))), {
      status: 422,
      problem: { errors: [{ pointer: '' }] },
    });
    t.equal((await post(structured, JSON.stringify(event('3', { id: 1 })))).status, 202);
    t.equal(ingress.log.held.length, 2);
    t.strictSame(ingress.counted.refused, ['default/default schema', 'default/default schema']);
  },
);

t.test('a batch is refused whole, and the answer has the member', async (t) => {
  const { ingress, post } = await start(t);
  const batch = { 'content-type': 'application/cloudevents-batch+json' };
  const members = [event('1', { id: 1 }), event('2', { id: 1, amount: '' }), event('3', {})];
  t.match(await post(batch, JSON.stringify(members)), {
    status: 422,
    problem: { index: 1, detail: /^batch member 1: the data violates the schema/, errors: [{ pointer: '/amount' }] },
  });
  t.strictSame(ingress.log.held, []);
  t.equal((await post(batch, JSON.stringify(members.slice(0, 1)))).status, 202);
});

t.test('a webhook of another service is held to the schema of its type', async (t) => {
  const hook = `webhooks: [{ path: /hook, verify: { scheme: none }, type: com.example.hook, source: 'https://hook.example' }]`;
  const { ingress, post } = await start(t, hook);
  t.match(await post(json, '{}', '/hook'), { status: 422, problem: { schema: uri } });
  t.equal((await post(json, '{"id": 1}', '/hook')).status, 202);
  t.equal(ingress.log.held.length, 1);
});

t.test('events that name a schema that nobody has are accepted and counted', async (t) => {
  const { ingress, post } = await start(t);
  const batch = { 'content-type': 'application/cloudevents-batch+json' };
  const unknown = { dataschema: 'https://nobody.example/' };
  const members = [event('1', {}, unknown), event('2', {}, unknown), event('3', { id: 1 })];
  t.equal((await post(batch, JSON.stringify(members))).status, 202);
  t.equal(ingress.duplicates.unknownSchemas, 2);
});

t.test(
  'while a schema is not to be had its events are answered 503, others are accepted, and a line a minute says so',
  async (t) => {
    const { ingress, post } = await start(t);
    const away: Verdict = { kind: 'unavailable', reason: 'the registry is away' };
    ingress.target.judge = ({ attributes }) =>
      attributes.dataschema === undefined ? { kind: 'accepted', isUnknown: false } : Promise.resolve(away);
    const headers = { ...eventHeaders, ...json };
    for (let n = 0; n < 3; n++) {
      const { status, headers: answered, problem } = await post({ ...headers, 'ce-dataschema': uri }, '{}');
      t.match([status, answered['retry-after'], problem.detail], [503, '5', 'the registry is away']);
      t.equal((await post(headers, '{}')).status, 202);
    }
    t.strictSame(ingress.counted.refused, Array(3).fill('default/default schema_unavailable'));
    t.equal(ingress.lines.filter((line) => line.includes('schema is not to be had')).length, 1);
    t.equal(ingress.log.held.length, 3);
  },
);
