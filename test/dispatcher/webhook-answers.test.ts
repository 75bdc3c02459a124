import t from 'tap';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import { decide, healthOf } from '../../dispatcher/decide.ts';
import type { Fate, Outcome } from '../../dispatcher/fate.ts';

/** What a delivery target may answer (CloudEvents HTTP webhooks 1.0.2, section 2.2), and what is made of it. */

const nowMs = Date.UTC(2026, 0, 1);

function answered(status: number, headers: string[] = []): Outcome {
  return { kind: 'answered', status, headers, body: Buffer.alloc(0), truncated: false };
}

function fateOf(outcome: Outcome, onGone?: 'pause'): Fate {
  return decide(outcome, 1, defaultDelivery, nowMs, 0.5, onGone);
}

t.test('2.2: 200, 201, 202 and 204 accept the delivery', (t) => {
  for (const status of [200, 201, 202, 204]) t.equal(fateOf(answered(status)).kind, 'delivered', String(status));
  t.end();
});

t.test('2.2: a redirect is not followed, whatever it says', (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const fate = fateOf(answered(status, ['location', 'https://elsewhere.example/']));
    t.match(fate, { kind: 'deadLetter', category: 'redirected', reason: /elsewhere\.example/ }, String(status));
  }
  t.end();
});

t.test('2.2: 410 Gone ends the deliveries where the trigger says so, else that of the event', (t) => {
  t.match(fateOf(answered(410)), { kind: 'deadLetter', category: 'rejected' });
  t.match(fateOf(answered(410), 'pause'), { kind: 'retry', attempt: 1 });
  t.equal(healthOf(answered(410), 'pause'), 'gone');
  t.end();
});

t.test('2.2: 429 is tried again no sooner than its Retry-After, in seconds or as a date, and slows down', (t) => {
  const date = new Date(nowMs + 120_000).toUTCString();
  for (const value of ['120', date]) {
    const fate = fateOf(answered(429, ['retry-after', value]));
    t.match(fate, { kind: 'retry', attempt: 2, atMs: nowMs + 120_000 }, value);
  }
  t.match(fateOf(answered(429)), { kind: 'retry', attempt: 2, atMs: nowMs + defaultDelivery.backoffDelayMs });
  t.equal(healthOf(answered(429), 'dead-letter'), 'failing');
  t.end();
});

t.test('2.2: 415 says that the format is not understood, which no other attempt changes', (t) => {
  t.match(fateOf(answered(415)), { kind: 'deadLetter', category: 'rejected', reason: 'status 415' });
  t.equal(healthOf(answered(415), 'dead-letter'), 'well', 'and nothing of the subscriber');
  t.end();
});
