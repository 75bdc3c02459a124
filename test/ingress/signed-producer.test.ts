import t, { type Test } from 'tap';
import { request } from 'undici';
import { signatureOf, signingKey } from '../../event/standard-webhooks.ts';
import { Secret } from '../../runtime/secrets.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { eventHeaders, startIngress } from './start.ts';

const [fresh, old, stranger] = [1, 2, 3].map((fill) => `whsec_${Buffer.alloc(32, fill).toString('base64')}`) as [
  string,
  string,
  string,
];
const secrets = new Map([
  ['shop', new Secret('shop', [fresh, old])],
  ['github', new Secret('github', ['hunter2hunter2'])],
]);

async function start(t: Test, verifyWith: string | null = 'shop') {
  const clock = new ManualClock();
  const ingress = await startIngress({ clock, secrets });
  t.teardown(ingress.close);
  ingress.target.verifyWith = verifyWith;
  const post = async (headers: Record<string, string>, body: Buffer, url = ingress.url) => {
    const answer = await request(url, { method: 'POST', headers, body });
    return { status: answer.statusCode, text: await answer.body.text(), headers: answer.headers };
  };
  return { clock, ingress, post };
}

const body = Buffer.from('{"specversion":"1.0","id":"1","source":"/shop","type":"order","data":{"n":1}}');

function signed(secret: string, atMs: number, of = body, type = 'application/cloudevents+json') {
  const key = signingKey(secret);
  const timestamp = Math.floor(atMs / 1_000);
  return {
    'content-type': type,
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatureOf(key === null ? [] : [key], 'msg_1', timestamp, of),
  };
}

t.test('a broker with posthorn.dev/verify-with takes what is signed with the new secret or the old', async (t) => {
  const { clock, ingress, post } = await start(t);
  for (const secret of [fresh, old]) t.equal((await post(signed(secret, clock.now()), body)).status, 202);
  const batch = Buffer.from(`[${body}]`);
  const batched = signed(fresh, clock.now(), batch, 'application/cloudevents-batch+json');
  t.equal((await post(batched, batch)).status, 202);
  t.strictSame(ingress.log.held, ['{"n":1}', '{"n":1}', '{"n":1}'], 'as they came');
});

t.test(
  'Standard Webhooks, Verifying webhook authenticity: not signed, wrongly, or too old is refused with 401 and why',
  async (t) => {
    const { clock, ingress, post } = await start(t);
    const right = signed(fresh, clock.now());
    const cases: [Record<string, string>, Buffer, RegExp][] = [
      [{ 'content-type': 'application/cloudevents+json' }, body, /it needs the headers webhook-id, webhook-timestamp/],
      [{ ...eventHeaders }, body, /it needs the headers webhook-id/],
      [signed(stranger, clock.now()), body, /no signature of its webhook-signature is right/],
      [right, Buffer.from(body.toString().replace('"n":1', '"n":2')), /no signature/],
      [{ ...right, 'webhook-id': 'msg_2' }, body, /no signature/],
      [signed(fresh, clock.now() - 301_000), body, /its webhook-timestamp is 301 s old, at most 300 s are taken/],
      [signed(fresh, clock.now() + 301_000), body, /is 301 s ahead/],
    ];
    for (const [headers, of, words] of cases) {
      const { status, text } = await post(headers, of);
      t.match([status, JSON.parse(text)], [401, { title: 'Unauthorized', detail: words }]);
    }
    t.strictSame(ingress.counted.refused, Array(cases.length).fill('default/default unauthorized'));
    t.strictSame(ingress.log.appends, []);
  },
);

t.test('a signed event in binary mode is 415: its signature leaves the attributes out', async (t) => {
  const { clock, ingress, post } = await start(t);
  const { status, text } = await post({ ...signed(fresh, clock.now()), ...eventHeaders, 'content-type': 'a/b' }, body);
  t.match([status, JSON.parse(text)], [415, { detail: /sign events in structured mode/ }]);
  t.strictSame(ingress.log.appends, []);
});

t.test('where the secret is missing or of no use nothing is taken, and neither is shown', async (t) => {
  for (const [name, words] of [
    ['shops', 'there is no secret shops (known: github, shop); did you mean shop?'],
    ['github', 'a secret of Standard Webhooks is whsec_'],
  ] as const) {
    const { clock, ingress, post } = await start(t, name);
    const { status, text, headers } = await post(signed(fresh, clock.now()), body);
    t.equal(status, 503);
    t.match(text, words);
    t.equal(headers['retry-after'], '30');
    t.notMatch(text + ingress.lines.join(''), 'hunter2');
    t.match(ingress.lines.join(''), 'events are refused with 503');
  }
});

t.test('without the annotation nobody needs to sign', async (t) => {
  const { post } = await start(t, null);
  t.equal((await post({ 'content-type': 'application/cloudevents+json' }, body)).status, 202);
});
