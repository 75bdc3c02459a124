import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Asker, perMinuteOf, readRate } from '../../dispatcher/handshake/ask.ts';
import { HandshakeCallbacks } from '../../dispatcher/handshake/callbacks.ts';
import { SubscriberPermits } from '../../dispatcher/permits.ts';
import { Signers } from '../../dispatcher/sign.ts';
import { Secret } from '../../runtime/secrets.ts';
import { testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';

const origin = 'events.example.com';

/** The permits of a broker whose subscriber answers what the test says. */
async function start(t: Test, answer: { now: SinkAnswer }, callbackUrl: string | null = null) {
  const sink = await startSink(() => answer.now);
  const clock = new ManualClock();
  const asker = new Asker(clock);
  const callbacks = new HandshakeCallbacks(callbackUrl);
  const lines: Record<string, unknown>[] = [];
  let changes = 0;
  const permits = new SubscriberPermits({
    ...{ broker: 'default/default', origin, asker, callbacks, clock, random: () => 0.5 },
    signers: new Signers(new Map([['plain', new Secret('plain', ['hunter2'])]])),
    logger: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    onChange: () => {
      changes++;
    },
  });
  t.teardown(async () => {
    permits.close();
    await asker.close();
    await sink.close();
  });
  const trigger = testTrigger(`${sink.url}/in?key=1`, { webhookHandshake: true });
  const refresh = (...triggers: (typeof trigger)[]) => permits.refresh(new Map(triggers.map((one) => [one.uid, one])));
  return { ...{ sink, clock, callbacks, lines, permits, trigger, refresh }, changes: () => changes };
}

const allowed: SinkAnswer = { headers: { 'WebHook-Allowed-Origin': origin, 'WebHook-Allowed-Rate': '120' } };
const silent: SinkAnswer = { headers: { allow: 'POST' } };

t.test(
  'the subscriber is asked by OPTIONS, and allows deliveries at a rate (CloudEvents webhook 4.1, 4.2)',
  async (t) => {
    const { sink, permits, trigger, refresh, lines, changes } = await start(t, { now: allowed });
    const rated = { ...trigger, rate: { attempts: 10, perMs: 1_000 } };
    refresh(rated);
    t.strictSame(permits.of(rated), { heldBy: 'handshake', rate: null }, 'held until it has answered');
    await until(() => changes() === 1, 'it has answered');
    t.strictSame(permits.of(rated), { heldBy: null, rate: { attempts: 120, perMs: 60_000 } });
    t.match(sink.requests, [{ method: 'OPTIONS', path: '/in?key=1' }]);
    t.match(sink.requests[0]?.headers, { 'webhook-request-origin': origin, 'webhook-request-rate': '600' });
    t.notOk(sink.requests[0]?.headers['webhook-request-callback'], 'without a URL of ours there is none');
    t.match(lines, [{ msg: 'the subscriber allows deliveries', trigger: 'all', allowedPerMinute: 120 }]);
    t.notMatch(JSON.stringify(lines), 'key=1', 'what stands in the query of a URL may be a key');
  },
);

t.test('only the headers of the answer allow anything, whatever its status', async (t) => {
  const answers: [SinkAnswer, string | null][] = [
    [{ headers: { 'webhook-allowed-origin': '*' } }, null],
    [{ headers: { 'webhook-allowed-origin': 'EVENTS.example.com', 'webhook-allowed-rate': '*' } }, null],
    [silent, 'its answer has no WebHook-Allowed-Origin'],
    [{ status: 405 }, 'its answer has no WebHook-Allowed-Origin'],
    [
      { headers: { 'webhook-allowed-origin': 'other.example' } },
      'its WebHook-Allowed-Origin is "other.example", not events',
    ],
    [{ headers: { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '0' } }, 'its WebHook-Allowed-Rate is "0"'],
    [{ headers: { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': 'x' } }, 'its WebHook-Allowed-Rate is "x"'],
    [{ destroy: true }, 'ECONNRESET'],
  ];
  for (const [answer, why] of answers) {
    const sink = await startSink(() => answer);
    const asker = new Asker(new ManualClock());
    const question = { origin, perMinute: null, callback: null };
    const permission = await asker.ask(sink.url, question, 1_000, new AbortController().signal);
    if (why === null) t.strictSame(permission, { kind: 'granted', rate: null });
    else t.match(permission, { kind: 'refused', why });
    t.notOk(sink.requests[0]?.headers['webhook-request-rate']);
    await asker.close();
    await sink.close();
  }
});

t.test('who does not answer in time has not allowed anything; a metadata address is not asked', async (t) => {
  const sink = await startSink(() => ({ delayMs: 60_000 }));
  const clock = new ManualClock();
  const asker = new Asker(clock);
  t.teardown(async () => {
    await asker.close();
    await sink.close();
  });
  const question = { origin, perMinute: null, callback: null };
  const asking = asker.ask(sink.url, question, 1_000, new AbortController().signal);
  await until(() => sink.requests.length === 1, 'it is asked');
  await clock.advance(1_000);
  t.match(await asking, { kind: 'refused', why: 'no answer within 1000 ms' });
  const metadata = await asker.ask('http://169.254.169.254/', question, 1_000, new AbortController().signal);
  t.match(metadata, { kind: 'refused', why: '169.254.169.254 is a link-local or metadata address' });
});

t.test('a refusal holds the deliveries, and is asked again after 1 s, 2 s, 4 s', async (t) => {
  const answer = { now: silent };
  const { sink, clock, permits, trigger, refresh, lines, changes } = await start(t, answer);
  refresh(trigger);
  for (const [asked, delayMs] of [1_000, 2_000, 4_000].entries()) {
    await until(() => lines.length === asked + 1, 'the refusal is told');
    t.match(lines[asked], { level: 40, trigger: 'all', why: 'its answer has no WebHook-Allowed-Origin' });
    t.match(lines[asked]?.msg, 'the subscriber has not allowed deliveries (webhook handshake)');
    t.equal(permits.of(trigger).heldBy, 'handshake');
    await clock.advance(delayMs - 1);
    t.equal(sink.requests.length, asked + 1, 'not before');
    if (asked === 2) answer.now = allowed;
    await clock.advance(1);
    await until(() => sink.requests.length === asked + 2, 'it is asked again');
  }
  await until(() => changes() === 1, 'it allows deliveries');
  t.equal(permits.of(trigger).heldBy, null);
});

t.test('a new revision asks again, the same one does not; a trigger without the annotation is free', async (t) => {
  const { sink, permits, trigger, refresh, changes } = await start(t, { now: allowed });
  refresh(trigger);
  await until(() => changes() === 1, 'it has answered');
  refresh(trigger);
  t.equal(permits.of(trigger).heldBy, null, 'as it was');
  const next = { ...trigger, generation: 2 };
  refresh(next);
  t.equal(permits.of(next).heldBy, 'handshake');
  await until(() => changes() === 2, 'it has answered');
  t.equal(sink.requests.length, 2);
  refresh({ ...trigger, generation: 3, webhookHandshake: false });
  t.strictSame(permits.of({ ...trigger, webhookHandshake: false }), { heldBy: null, rate: null });
  t.equal(sink.requests.length, 2);
});

t.test('permission is given later by the callback, once, with a rate or without (4.1.2)', async (t) => {
  const { sink, permits, callbacks, trigger, refresh, changes } = await start(t, { now: silent }, 'https://in.example');
  refresh(trigger);
  await until(() => sink.requests.length === 1, 'it is asked');
  const url = String(sink.requests[0]?.headers['webhook-request-callback']);
  const key = /^https:\/\/in\.example\/webhook-callback\?key=([\w-]{32})$/.exec(url)?.[1] ?? '';
  t.equal(callbacks.called('guessed', null), 'unknown');
  t.equal(callbacks.called(key, '0'), 'bad rate');
  t.equal(permits.of(trigger).heldBy, 'handshake');
  t.equal(callbacks.called(key, '30'), 'granted');
  t.strictSame(permits.of(trigger), { heldBy: null, rate: { attempts: 30, perMs: 60_000 } });
  t.equal(changes(), 1);
  t.equal(callbacks.called(key, null), 'unknown', 'the key ends with its request');
});

t.test(
  'a trigger whose secret is missing or of no use is held, and an error line says so once a revision',
  async (t) => {
    const { permits, trigger, refresh, lines } = await start(t, { now: allowed });
    const signed = { ...trigger, webhookHandshake: false, signWith: 'plan' };
    refresh(signed);
    refresh(signed);
    t.strictSame(permits.of(signed), { heldBy: 'secret', rate: null });
    refresh({ ...signed, generation: 2, signWith: 'plain' });
    t.equal(permits.of({ ...signed, signWith: 'plain' }).heldBy, 'secret');
    t.match(lines, [
      { level: 50, trigger: 'all', problem: 'there is no secret plan (known: plain); did you mean plain?' },
      { level: 50, problem: "the secret plain can't be used: a secret of Standard Webhooks is whsec_" },
    ]);
    t.equal(lines.length, 2);
    t.notMatch(JSON.stringify(lines), 'hunter2');
  },
);

t.test('rates are requests a minute, at least one', (t) => {
  t.equal(perMinuteOf({ attempts: 50, perMs: 1_000 }), 3_000);
  t.equal(perMinuteOf({ attempts: 10, perMs: 3_600_000 }), 1);
  t.strictSame(['*', '1', '0', '', '-1', '1.5', '1e3'].map(readRate), [
    null,
    { attempts: 1, perMs: 60_000 },
    ...[undefined, undefined, undefined, undefined, undefined],
  ]);
  t.end();
});
