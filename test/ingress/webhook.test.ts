import { createHmac } from 'node:crypto';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { parseWebhooks } from '../../broker/ingress/webhook/webhooks-file.ts';
import { signatureOf, signingKey } from '../../event/standard-webhooks.ts';
import { Secret } from '../../runtime/secrets.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startIngress } from './start.ts';

const standard = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const secrets = new Map([
  ['github', new Secret('github', ["It's a Secret to Everybody", 'the one before'])],
  ['crm', new Secret('crm', ['s3cret'])],
  ['standard', new Secret('standard', [standard])],
]);

async function start(t: Test, yaml: string) {
  const { webhooks, problems } = parseWebhooks(`webhooks:\n${yaml}`, secrets);
  t.strictSame(problems, []);
  const clock = new ManualClock();
  const ingress = await startIngress({ clock, webhooks, secrets });
  t.teardown(ingress.close);
  const post = async (path: string, headers: Record<string, string>, body: string) => {
    const answer = await request(ingress.origin + path, { method: 'POST', headers, body });
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  /** The attributes of the last event. */
  const last = () => ingress.log.appends.at(-1)?.records[0]?.headers;
  return { ingress, clock, post, last };
}

const hex = (secret: string, text: string) => createHmac('sha256', secret).update(text).digest('hex');

t.test("GitHub: its own example of a signature, and its payload as the event's data", async (t) => {
  const { post, last, ingress } = await start(t, '  - { path: /github, provider: github, secret: github }');
  const payload = JSON.stringify({
    action: 'opened',
    issue: { number: 7 },
    repository: { html_url: 'https://github.com/Codertocat/Hello-World' },
  });
  const headers = {
    'content-type': 'application/json',
    'X-GitHub-Event': 'issues',
    'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'X-Hub-Signature-256': `sha256=${hex("It's a Secret to Everybody", payload)}`,
  };
  t.equal((await post('/github', headers, payload)).status, 202);
  t.strictSame(last(), {
    ce_specversion: '1.0',
    ce_id: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    ce_type: 'com.github.issues.opened',
    ce_source: 'https://github.com/Codertocat/Hello-World',
    ce_subject: '7',
    'content-type': 'application/json',
  });
  t.equal(ingress.log.held[0], payload, 'byte for byte');
  const rotated = { ...headers, 'X-Hub-Signature-256': `sha256=${hex('the one before', payload)}` };
  t.equal((await post('/github', rotated, payload)).status, 202, 'the secret that is being replaced');

  // docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation"
  const published = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  const { status, text } = await post('/github', { ...headers, 'X-Hub-Signature-256': published }, 'Hello, World!');
  t.match([status, text], [400, /the value is not JSON/], 'the signature is right, the payload is none');
});

t.test('GitHub: payloads without an action, a repository or a subject', async (t) => {
  const { post, last } = await start(t, '  - { path: /github, provider: github, secret: github }');
  const send = async (event: string, payload: unknown) => {
    const body = JSON.stringify(payload);
    const signature = `sha256=${hex("It's a Secret to Everybody", body)}`;
    const headers = { 'X-GitHub-Event': event, 'X-GitHub-Delivery': '1', 'X-Hub-Signature-256': signature };
    t.equal((await post('/github', headers, body)).status, 202);
    const { ce_type, ce_source, ce_subject } = last() ?? {};
    return [ce_type, ce_source, ce_subject];
  };
  const sender = { html_url: 'https://github.com/Codertocat' };
  t.strictSame(await send('ping', { zen: 'x', organization: { login: 'Octo' }, sender }), [
    'com.github.ping',
    'https://github.com/Octo',
    undefined,
  ]);
  t.strictSame(await send('push', { ref: 'refs/heads/main', sender }), [
    'com.github.push',
    'https://github.com/Codertocat',
    'refs/heads/main',
  ]);
  t.strictSame(await send('security_advisory', { action: 'published', ref: '' }), [
    'com.github.security_advisory.published',
    'https://github.com',
    undefined,
  ]);
});

t.test('a signature that is missing, wrong or cut is 401, and nothing is appended', async (t) => {
  const { post, ingress } = await start(t, '  - { path: /github, provider: github, secret: github }');
  const right = `sha256=${hex("It's a Secret to Everybody", '{}')}`;
  for (const [signature, words] of [
    [null, /it has no header x-hub-signature-256/],
    [right.slice(7), /does not begin with sha256=/],
    [right.slice(0, -2), /its signature in x-hub-signature-256 is not right/],
    [`${right}00`, /is not right/],
    ['sha256=', /is not right/],
    [`sha256=${hex('another', '{}')}`, /is not right/],
    [right.replace('sha256=', 'sha256=zz'), /is not right/],
  ] as const) {
    const headers = { 'X-GitHub-Event': 'ping', 'X-GitHub-Delivery': '1' };
    const { status, text } = await post(
      '/github',
      signature === null ? headers : { ...headers, 'X-Hub-Signature-256': signature },
      '{}',
    );
    t.match([status, text], [401, words]);
  }
  t.ok(ingress.counted.refused.every((line) => line === 'default/default unauthorized'));
  t.strictSame(ingress.log.appends, []);
});

t.test('Stripe: t=, v1= over time and body, any of several, within five minutes', async (t) => {
  const { post, last, clock } = await start(t, '  - { path: /hooks/stripe, provider: stripe, secret: crm }');
  const created = 1_767_225_600;
  const body = JSON.stringify({ id: 'evt_1', type: 'charge.succeeded', created, data: { object: { id: 'ch_1' } } });
  const header = (secret: string, seconds: number) => `t=${seconds},v1=${hex(secret, `${seconds}.${body}`)},v0=00`;
  const now = Math.floor(clock.now() / 1_000);
  const send = (signature: string) => post('/hooks/stripe', { 'Stripe-Signature': signature }, body);
  t.equal((await send(header('s3cret', now))).status, 202);
  t.strictSame(last(), {
    ce_specversion: '1.0',
    ce_id: 'evt_1',
    ce_type: 'com.stripe.charge.succeeded',
    ce_source: 'https://api.stripe.com',
    ce_subject: 'ch_1',
    ce_time: '2026-01-01T00:00:00.000Z',
    'content-type': 'application/json',
  });
  t.equal((await send(`t=${now},v1=${'0'.repeat(64)},v1=${hex('s3cret', `${now}.${body}`)}`)).status, 202);
  t.match(await send(header('s3cret', now - 301)), {
    status: 401,
    text: /its time in stripe-signature \(t=\) is 301 s old/,
  });
  t.match(await send(header('s3cret', now).replace(`t=${now}`, `t=${now - 1}`)), { status: 401, text: /is not right/ });
  t.match(await send(header('other', now)), { status: 401, text: /is not right/ });
  t.match(await send(`t=${now},v0=${hex('s3cret', `${now}.${body}`)}`), { status: 401, text: /is not right/ });
  t.match(await send('v1=00'), { status: 401, text: /needs stripe-signature \(t=\) with the seconds/ });
});

t.test('any JSON webhook: algorithm, encoding, what is signed, where the attributes come from', async (t) => {
  const { post, last, clock, ingress } = await start(
    t,
    `  - path: /slack
    broker: default
    secret: crm
    verify:
      scheme: hmac
      header: X-Slack-Signature
      prefix: v0=
      signed: "v0:{header:X-Slack-Request-Timestamp}:{body}"
      timestampHeader: X-Slack-Request-Timestamp
      tolerance: PT1M
    type: com.slack.{/event/type}
    source: https://slack.com/{/team}
    time: /event_time
  - path: /shopify
    secret: crm
    verify: { scheme: hmac, header: X-Shopify-Hmac-Sha512, algorithm: sha512, encoding: base64 }
    id: ["{header:X-Id}", /id]
    type: com.shopify
    source: https://{/shop}
  - path: /open
    verify: { scheme: none }
    type: open
    source: https://example.com
    time: /at`,
  );
  const now = Math.floor(clock.now() / 1_000);
  const slack = (body: string, seconds: number) =>
    post(
      '/slack',
      {
        'X-Slack-Request-Timestamp': String(seconds),
        'X-Slack-Signature': `v0=${hex('s3cret', `v0:${seconds}:${body}`)}`,
      },
      body,
    );
  const body = JSON.stringify({ event: { type: 'message' }, team: 'Zürich', event_time: 1_767_225_600_123 });
  t.equal((await slack(body, now)).status, 202);
  t.match(last(), {
    ce_id: /^[\da-f]{8}-/,
    ce_type: 'com.slack.message',
    ce_source: 'https://slack.com/Z%C3%BCrich',
    ce_time: '2026-01-01T00:00:00.123Z',
  });
  t.match(await slack(body, now - 61), { status: 401, text: /is 61 s old, at most 60 s/ });
  t.match(await slack('{"event":{}}', now), {
    status: 400,
    text: /nothing at com\.slack\.\{\/event\/type\}, where the type of its event comes from/,
  });

  const shopify = (of: string, headers = {}) => {
    const signature = createHmac('sha512', 's3cret').update(of).digest('base64');
    return post('/shopify', { ...headers, 'X-Shopify-Hmac-Sha512': signature }, of);
  };
  t.equal((await shopify('{"id":12345678901234567890,"shop":"a.example"}')).status, 202);
  t.match(last(), { ce_id: '12345678901234567890', ce_source: 'https://a.example' });
  t.equal((await shopify('{"id":2,"shop":"a.example"}', { 'X-Id': 'h1' })).status, 202);
  t.match(last(), { ce_id: 'h1' });
  t.match(await shopify('{"id":{},"shop":"a.example"}'), { status: 400, text: /an object at \/id/ });

  t.equal((await post('/open', {}, '{}')).status, 202);
  t.match(await post('/open', {}, '{"at":"yesterday"}'), { status: 400, text: /attribute time is \\"yesterday\\"/ });
  t.match(await post('/open', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=b'), {
    status: 415,
    text: /webhooks are read in JSON, not application\/x-www-form-urlencoded/,
  });
  t.match(ingress.counted.refused.at(-1), 'unsupported_media_type');
});

t.test('Standard Webhooks of a service; a path refuses other methods; the broker may be missing', async (t) => {
  const { post, last, clock, ingress } = await start(
    t,
    `  - { path: /svix, provider: standard-webhooks, secret: standard, source: https://svix.example }
  - { path: /lost, broker: shop/none, verify: { scheme: none }, type: x, source: https://example.com }`,
  );
  const body = '{"type":"user.created","timestamp":"2026-01-01T00:00:00Z","data":{}}';
  const timestamp = Math.floor(clock.now() / 1_000);
  const key = signingKey(standard);
  const signature = signatureOf(key === null ? [] : [key], 'msg_9', timestamp, Buffer.from(body));
  const headers = { 'webhook-id': 'msg_9', 'webhook-timestamp': String(timestamp), 'webhook-signature': signature };
  t.equal((await post('/svix', headers, body)).status, 202);
  t.match(last(), { ce_id: 'msg_9', ce_type: 'user.created', ce_time: '2026-01-01T00:00:00Z' });
  t.match(await post('/svix', { ...headers, 'webhook-id': 'msg_8' }, body), { status: 401, text: /no signature/ });
  t.match(await post('/lost', {}, '{}'), { status: 404, text: /no broker shop\/none/ });
  const get = await request(`${ingress.origin}/svix?x=1`);
  t.match([get.statusCode, get.headers.allow], [405, 'POST, OPTIONS']);
  await get.body.dump();
});
