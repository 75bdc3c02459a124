import { createHmac } from 'node:crypto';
import t from 'tap';
import { request } from 'undici';
import { problemOf, signatureOf, signingKey } from '../../event/standard-webhooks.ts';
import { embeddedUnderTest, onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { type SinkAnswer, type SinkRequest, startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const keys = [signingKey(secret)].filter((key) => key !== null);

const event = {
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': '/tests',
  'ce-type': 'test',
  'content-type': 'application/json',
};

async function send(url: string, headers: Record<string, string> = event, body = '{"n":1}'): Promise<number> {
  const answer = await request(url, { method: 'POST', headers, body });
  await answer.body.dump();
  return answer.statusCode;
}

function problem({ headers, body }: SinkRequest): string | null {
  const text = (name: string) => headers[name]?.toString();
  const [id, timestamp, signature] = [text('webhook-id'), text('webhook-timestamp'), text('webhook-signature')];
  return problemOf({ id, timestamp, signature, body }, keys, Date.now(), 300_000);
}

onBothLogs('webhook-id is the same over retries and a SIGKILL, and each attempt is signed', async (t, log) => {
  const answer: { now: SinkAnswer } = { now: { status: 503 } };
  const sink = await startSink(() => answer.now);
  t.teardown(() => sink.close());
  const delivery = '{ retry: 1000, backoffPolicy: linear, backoffDelay: PT0.01S }';
  const annotations = { 'posthorn.dev/sign-with': 'orders' };
  const first = await startPosthorn(log.args, { POSTHORN_SECRET_ORDERS: secret });
  t.teardown(() => first.kill());
  await applyTo(first.adminUrl, triggerYaml('all', sink.url, { delivery, annotations }));
  t.equal(await send(first.url), 202);
  await until(() => sink.requests.length >= 3, 'it is tried again');
  await first.kill();

  // Without the secret nothing goes out unsigned; the event waits.
  const before = sink.requests.length;
  const without = await startPosthorn(log.args);
  t.teardown(() => without.kill());
  const held = { broker: 'default/default', trigger: 'all', reason: 'secret' };
  await until(async () => (await metric(without.adminUrl, 'posthorn_trigger_paused', held)) === 1, 'it is held');
  t.match(
    without.lines.find(({ level }) => level === 'error'),
    { trigger: 'all', problem: /there is no secret orders \(none is configured\)/ },
  );
  t.equal(await without.stop(), 0);
  t.equal(sink.requests.length, before, 'nothing was sent');

  answer.now = {};
  const last = await startPosthorn(log.args, { POSTHORN_SECRET_ORDERS: secret });
  t.teardown(() => last.kill());
  const delivered = () => metric(last.adminUrl, 'posthorn_deliveries_total', { trigger: 'all' });
  await until(async () => (await delivered()) >= 1, 'it is delivered', 60_000);
  t.equal(await last.stop(), 0);
  t.equal(new Set(sink.requests.map(({ headers }) => headers['webhook-id'])).size, 1);
  t.strictSame(sink.requests.map(problem), Array(sink.requests.length).fill(null));
});

t.test(
  'a subscriber that wants a handshake gets nothing before its permission, by its answer or a callback',
  async (t) => {
    const answer: { options: SinkAnswer } = { options: { headers: { allow: 'POST' } } };
    const sink = await startSink(({ method }) => (method === 'OPTIONS' ? answer.options : {}));
    t.teardown(() => sink.close());
    const asked = () => sink.requests.filter(({ method }) => method === 'OPTIONS');
    const posted = () => sink.requests.filter(({ method }) => method === 'POST');
    const log = await embeddedUnderTest(t);
    const flags = ['--webhook-origin', 'posthorn.example', '--webhook-callback-url', 'http://posthorn.example/'];
    const first = await startPosthorn([...log.args, ...flags]);
    t.teardown(() => first.kill());
    const annotations = { 'posthorn.dev/webhook-handshake': 'true' };
    await applyTo(first.adminUrl, triggerYaml('all', sink.url, { annotations }));
    t.equal(await send(first.url), 202);
    await until(() => asked().length >= 2, 'it is asked, and asked again');
    t.match(asked()[0]?.headers, { 'webhook-request-origin': 'posthorn.example' });
    const paused = { broker: 'default/default', trigger: 'all', reason: 'handshake' };
    t.equal(await metric(first.adminUrl, 'posthorn_trigger_paused', paused), 1);
    t.match(
      first.lines.find(({ msg }) => String(msg).startsWith('the subscriber has not allowed deliveries')),
      { trigger: 'all', level: 'warn' },
    );
    t.equal(posted().length, 0);
    const callback = String(asked()[0]?.headers['webhook-request-callback']);
    t.match(callback, /^http:\/\/posthorn\.example\/webhook-callback\?key=[\w-]{32}$/);
    const called = await request(callback.replace('http://posthorn.example', first.url), { method: 'POST' });
    t.equal(called.statusCode, 200);
    await called.body.dump();
    await until(() => posted().length === 1, 'the event is delivered');
    t.equal(await metric(first.adminUrl, 'posthorn_trigger_paused', paused), 0);
    t.notMatch(JSON.stringify(first.lines), callback.slice(-32), 'the key is in no log line');
    t.equal(await first.stop(), 0);

    // A new start asks anew; now it answers, with a rate.
    const before = asked().length;
    answer.options = { headers: { 'webhook-allowed-origin': 'posthorn.example', 'webhook-allowed-rate': '6' } };
    const second = await startPosthorn([...log.args, ...flags]);
    t.teardown(() => second.kill());
    await until(() => asked().length > before, 'it is asked again');
    for (const id of ['2', '3', '4']) t.equal(await send(second.url, { ...event, 'ce-id': id }), 202);
    await until(() => posted().length >= 2, 'the first of them is delivered');
    const waits = { broker: 'default/default', trigger: 'all', reason: 'handshake' };
    t.equal(await metric(second.adminUrl, 'posthorn_trigger_paused', waits), 0);
    t.equal(posted().length, 2, 'the others wait for their time, 10 s apart');
    t.equal(await second.stop(), 0);
  },
);

t.test('a broker that wants signed requests, and a webhook at a path of its own', async (t) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const log = await embeddedUnderTest(t);
  const folder = t.testdir({
    secrets: { shop: `${secret}\n`, github: 'hunter2hunter2\n' },
    'webhooks.yaml': 'webhooks: [{ path: /github, provider: github, secret: github }]\n',
  });
  const posthorn = await startPosthorn([
    ...log.args,
    ...['--secrets', `${folder}/secrets`, '--webhooks', `${folder}/webhooks.yaml`],
  ]);
  t.teardown(() => posthorn.kill());
  const broker = `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: default
  annotations: { posthorn.dev/verify-with: shop }
`;
  await applyTo(posthorn.adminUrl, broker, triggerYaml('all', sink.url));
  t.equal(await send(posthorn.url), 401, 'as anybody');
  const body = '{"specversion":"1.0","id":"7","source":"/shop","type":"order","data":{"n":1}}';
  const timestamp = Math.floor(Date.now() / 1_000);
  const signed = {
    'content-type': 'application/cloudevents+json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatureOf(keys, 'msg_1', timestamp, Buffer.from(body)),
  };
  t.equal(await send(posthorn.url, signed, body), 202);
  const payload = '{"zen":"Keep it logically awesome."}';
  const webhook = {
    'x-github-event': 'ping',
    'x-github-delivery': 'd1',
    'x-hub-signature-256': `sha256=${createHmac('sha256', 'hunter2hunter2').update(payload).digest('hex')}`,
  };
  t.equal(await send(`${posthorn.url}/github`, webhook, payload), 202);
  t.equal(await send(`${posthorn.url}/github`, webhook, `${payload} `), 401);
  await until(() => sink.requests.length === 2, 'both are delivered');
  const types = sink.requests.map(({ headers }) => headers['ce-type']).sort();
  t.strictSame(types, ['com.github.ping', 'order']);
  const refused = { broker: 'default/default', reason: 'unauthorized' };
  t.equal(await metric(posthorn.adminUrl, 'posthorn_events_refused_total', refused), 2);
  t.equal(await posthorn.stop(), 0);
});
