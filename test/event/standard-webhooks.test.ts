import { createHmac } from 'node:crypto';
import t from 'tap';
import { problemOf, signatureOf, signingKey } from '../../event/standard-webhooks.ts';

/** The example of the specification's reference libraries. */
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const timestamp = 1_614_265_330;
const body = Buffer.from('{"test": 2432232314}');
const signature = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

const nowMs = timestamp * 1_000;
const toleranceMs = 300_000;

function keyOf(text: string) {
  const key = signingKey(text);
  if (key === null) throw new Error('no key');
  return key;
}

const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

t.test('Standard Webhooks, Signature scheme: the vector of its libraries is signed so', (t) => {
  t.equal(signatureOf([keyOf(secret)], id, timestamp, body), signature);
  t.end();
});

t.test('Standard Webhooks, Webhook headers: during a rotation each key signs, and either verifies', (t) => {
  const both = signatureOf([keyOf(other), keyOf(secret)], id, timestamp, body);
  t.equal(both.split(' ').length, 2);
  t.equal(both.split(' ')[1], signature);
  const request = { id, timestamp: String(timestamp), signature: both, body };
  for (const keys of [[keyOf(secret)], [keyOf(other)], [keyOf(other), keyOf(secret)]]) {
    t.equal(problemOf(request, keys, nowMs, toleranceMs), null);
  }
  t.equal(problemOf({ ...request, signature }, [keyOf(other), keyOf(secret)], nowMs, toleranceMs), null);
  t.end();
});

t.test('Standard Webhooks, Verifying webhook authenticity: what is not signed so is told what is wrong', (t) => {
  const right = { id, timestamp: String(timestamp), signature, body };
  const keys = [keyOf(secret)];
  const problem = (change: Partial<Parameters<typeof problemOf>[0]>, now = nowMs) =>
    problemOf({ ...right, ...change }, keys, now, toleranceMs) ?? 'none';
  t.equal(problem({}), 'none');
  for (const name of ['id', 'timestamp', 'signature'] as const) {
    t.match(problem({ [name]: undefined }), /needs the headers webhook-id, webhook-timestamp and webhook-signature/);
  }
  t.match(problem({ timestamp: '2021-02-25' }), 'not a number of seconds');
  t.match(problem({ body: Buffer.from('{"test": 2432232315}') }), 'no signature');
  t.match(problem({ id: `${id}x` }), 'no signature');
  t.match(problem({ timestamp: String(timestamp + 1) }), 'no signature');
  for (const wrong of [
    signature.slice(0, -4),
    signature.replace('v1,', 'v2,'),
    'v1,',
    '',
    `v1a,${signature.slice(3)}`,
  ]) {
    t.match(problem({ signature: wrong }), 'no signature', wrong);
  }
  t.equal(problem({ signature: `v1,AAAA ${signature} v9,x` }), 'none', 'others beside it count for nothing');
  t.equal(problem({}, nowMs + toleranceMs), 'none', 'as old as is taken');
  t.match(problem({}, nowMs + toleranceMs + 1_000), 'is 301 s old, at most 300 s are taken');
  t.match(problem({}, nowMs - toleranceMs - 1_000), 'is 301 s ahead');
  t.end();
});

t.test('Standard Webhooks, Signature scheme: a key is whsec_ and 24 to 64 bytes in base64', (t) => {
  const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 1).toString('base64')}`;
  for (const right of [of(24), of(64), of(32), of(32).replace('=', '')]) t.not(signingKey(right), null, right);
  for (const wrong of [of(23), of(65), of(32).slice(6), 'whsec_', 'whsec_%%%%', 'hunter2', 'whsk_AAAA', `${of(32)}A`]) {
    t.equal(signingKey(wrong), null, wrong);
  }
  const bytes = Buffer.alloc(24, 1);
  const wanted = createHmac('sha256', bytes).update(`${id}.${timestamp}.`).update(body).digest('base64');
  t.equal(signatureOf([keyOf(of(24))], id, timestamp, body), `v1,${wanted}`);
  t.end();
});
