import t, { type Test } from 'tap';
import { createDeliverer } from '../../dispatcher/deliver.ts';
import { Signers } from '../../dispatcher/sign.ts';
import { problemOf, signingKey } from '../../event/standard-webhooks.ts';
import { Secret } from '../../runtime/secrets.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type SinkRequest, startSink } from '../support/sink.ts';

const [fresh, old] = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`) as [string, string];
const secrets = new Map([
  ['orders', new Secret('orders', [fresh, old])],
  ['github', new Secret('github', ['not of Standard Webhooks'])],
]);

async function start(t: Test) {
  const sink = await startSink();
  const clock = new ManualClock();
  const deliverer = createDeliverer({ clock, responseBytesMax: 10_000, signers: new Signers(secrets) });
  t.teardown(async () => {
    await deliverer.close();
    await sink.close();
  });
  return { sink, clock, deliverer };
}

/** What a receiver with this secret says to it. */
function verdict({ headers, body }: SinkRequest, secret: string, nowMs: number): string | null {
  const text = (name: string) => headers[name]?.toString();
  const [id, timestamp, signature] = [text('webhook-id'), text('webhook-timestamp'), text('webhook-signature')];
  const key = signingKey(secret);
  return problemOf({ id, timestamp, signature, body }, key === null ? [] : [key], nowMs, 0);
}

t.test(
  'Standard Webhooks, Webhook headers: a signed delivery is structured, and verified with the new secret or the old',
  async (t) => {
    const { sink, clock, deliverer } = await start(t);
    const trigger = testTrigger(sink.url, { signWith: 'orders' });
    await clock.advance(5_000);
    await deliverer.attempt(
      testDelivery(trigger, testEvent({ subject: 'ü', datacontenttype: 'application/json' }, Buffer.from('{"a":1}'))),
      sink.url,
      1,
    );
    const [request] = sink.requests as [SinkRequest];
    t.match(request.headers['content-type'], 'application/cloudevents+json');
    t.match(JSON.parse(request.body.toString()), { id: '1', subject: 'ü', data: { a: 1 }, posthornhops: '1' });
    t.notOk(
      Object.keys(request.headers).some((name) => name.startsWith('ce-')),
      'nothing that is not signed',
    );
    for (const secret of [fresh, old]) t.equal(verdict(request, secret, clock.now()), null);
    t.match(verdict({ ...request, body: Buffer.from('{}') }, fresh, clock.now()), 'no signature');
  },
);

t.test(
  'Standard Webhooks, Webhook metadata: the id is the same in each attempt, the timestamp that of the attempt',
  async (t) => {
    const { sink, clock, deliverer } = await start(t);
    const trigger = testTrigger(sink.url, { signWith: 'orders' });
    const send = (more: Parameters<typeof testDelivery>[2], event = testEvent(), of = trigger) =>
      deliverer.attempt(testDelivery(of, event, more), sink.url, 1);
    await send({});
    await clock.advance(60_000);
    await send({ attempt: 2 });
    await send({}, testEvent({ id: '2' }));
    await send({}, testEvent({ source: '/other' }));
    await send({}, testEvent(), { ...trigger, uid: 'another' });
    const failure = { reason: '', attempts: 1, firstAttemptAtMs: null, lastAttemptAtMs: null, status: null };
    await send({ target: { kind: 'deadLetterSink', failure: { ...failure, body: Buffer.alloc(0) } } });
    const ids = sink.requests.map(({ headers }) => headers['webhook-id']);
    t.match(ids[0], /^msg_[\w-]{27}$/);
    t.equal(ids[1], ids[0]);
    t.equal(new Set(ids).size, ids.length - 1, 'another event, trigger or receiver has another');
    const [first, second] = sink.requests.map(({ headers }) => Number(headers['webhook-timestamp']));
    t.equal((second ?? 0) - (first ?? 0), 60);
  },
);

t.test('without the annotation nothing is signed', async (t) => {
  const { sink, deliverer } = await start(t);
  await deliverer.attempt(testDelivery(testTrigger(sink.url)), sink.url, 1);
  const names = Object.keys(sink.requests[0]?.headers ?? {});
  t.strictSame(
    names.filter((name) => name.startsWith('webhook-')),
    [],
  );
  t.ok(names.includes('ce-id'), 'in binary mode');
});

t.test('nothing is sent where there is no such secret, or none to sign with', async (t) => {
  const { sink, deliverer } = await start(t);
  const signers = new Signers(secrets);
  for (const [name, words] of [
    ['order', 'there is no secret order (known: github, orders); did you mean orders?'],
    ['github', "the secret github can't be used: a secret of Standard Webhooks is whsec_"],
  ] as const) {
    t.match(signers.problemOf(name), words);
    const delivery = testDelivery(testTrigger(sink.url, { signWith: name }));
    t.throws(() => deliverer.attempt(delivery, sink.url, 1), { message: words });
  }
  t.equal(signers.problemOf('orders'), null);
  t.strictSame(sink.requests, []);
});
