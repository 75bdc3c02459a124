import t, { type Test } from 'tap';
import { bodyOf } from '../../dispatcher/batch/body.ts';
import { createDeliverer } from '../../dispatcher/deliver.ts';
import type { Delivery } from '../../dispatcher/fate.ts';
import { Signers } from '../../dispatcher/sign.ts';
import { type CloudEvent, withAttributes } from '../../event/event.ts';
import { decodeHttp } from '../../event/http.ts';
import { problemOf, signingKey } from '../../event/standard-webhooks.ts';
import { Secret } from '../../runtime/secrets.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type SinkRequest, startSink } from '../support/sink.ts';

const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

async function start(t: Test) {
  const sink = await startSink();
  const clock = new ManualClock();
  const signers = new Signers(new Map([['orders', new Secret('orders', [secret])]]));
  const deliverer = createDeliverer({ clock, responseBytesMax: 10_000, signers });
  t.teardown(async () => {
    await deliverer.close();
    await sink.close();
  });
  return {
    ...{ sink, clock },
    async send(first: Delivery, ...others: Delivery[]): Promise<SinkRequest> {
      const deliveries = [first, ...others] as const;
      const hold = { isRevoked: false, settle: () => {}, drop: () => {} };
      const body = bodyOf(deliveries.map((delivery) => ({ lane: 'shared', hold, delivery })));
      await deliverer.attemptBatch({ deliveries, body }, sink.url);
      return sink.requests.at(-1) as SinkRequest;
    },
  };
}

function json(text: string): Buffer {
  return Buffer.from(text);
}

t.test('HTTP 3.3: a batch is a POST of the events in JSON, with what a subscriber is told', async (t) => {
  const { send, sink } = await start(t);
  const trigger = testTrigger(sink.url);
  const events: CloudEvent[] = [
    testEvent({ id: 'ü', datacontenttype: 'application/json' }, json(' {"n":12345678901234567890} ')),
    testEvent({ id: '2', datacontenttype: 'text/plain' }, json('plain "ü"')),
    testEvent({ id: '3', datacontenttype: 'application/octet-stream' }, Buffer.from([0, 255])),
    testEvent({ id: '4' }),
  ];
  const [first, ...others] = events.map((event, index) => testDelivery(trigger, event, { attempt: index + 1 }));
  const { method, headers, rawHeaders, body } = await send(first as Delivery, ...others);
  t.equal(method, 'POST');
  t.match(headers, {
    'content-type': 'application/cloudevents-batch+json; charset=utf-8',
    'posthorn-trigger': 'default/all',
    'posthorn-attempt': '4',
    'user-agent': 'posthorn',
  });
  t.notOk(headers.prefer, 'no reply is asked for');
  t.match(body.toString(), '"data": {"n":12345678901234567890} }', 'the data byte for byte');
  const { mode, events: decoded } = decodeHttp(rawHeaders, body);
  t.equal(mode, 'batch');
  const counted = events.map((event) => withAttributes(event, { posthornhops: '1' }));
  t.same(
    decoded.map(({ attributes }) => ({ ...attributes })),
    counted.map(({ attributes }) => ({ ...attributes })),
  );
  t.same(decoded[2]?.data, Buffer.from([0, 255]));
  t.equal(decoded[3]?.data, undefined);
});

t.test('each event has its own trace: the one that it says, or else the one that came beside it', async (t) => {
  const { send, sink } = await start(t);
  const trigger = testTrigger(sink.url);
  const [own, beside] = ['a', 'b'].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`) as [string, string];
  const { headers, body } = await send(
    testDelivery(trigger, testEvent({ traceparent: own }), { trace: { traceparent: beside } }),
    testDelivery(trigger, testEvent(), { trace: { traceparent: beside, tracestate: 'a=1' } }),
    testDelivery(trigger, testEvent()),
  );
  t.notOk(headers.traceparent);
  const traces = (JSON.parse(body.toString()) as Record<string, unknown>[]).map((one) => [
    one.traceparent,
    one.tracestate,
  ]);
  t.same(traces, [
    [own, undefined],
    [beside, 'a=1'],
    [undefined, undefined],
  ]);
});

t.test(
  'Standard Webhooks, Signature scheme: a signed batch is verified, its id is that of its events in their order',
  async (t) => {
    const { send, sink, clock } = await start(t);
    const trigger = testTrigger(sink.url, { signWith: 'orders' });
    const [a, b] = ['a', 'b'].map((id) => testDelivery(trigger, testEvent({ id }))) as [Delivery, Delivery];
    const request = await send(a, b);
    const text = (name: string) => request.headers[name]?.toString();
    const [id, timestamp, signature] = [text('webhook-id'), text('webhook-timestamp'), text('webhook-signature')];
    const key = signingKey(secret);
    t.equal(problemOf({ id, timestamp, signature, body: request.body }, key ? [key] : [], clock.now(), 0), null);
    const idOf = async (...batch: [Delivery, ...Delivery[]]) => (await send(...batch)).headers['webhook-id'];
    t.equal(await idOf({ ...a, attempt: 2 }, { ...b, attempt: 2 }), id);
    t.not(await idOf(b, a), id);
    t.not(await idOf(a), id);
  },
);
