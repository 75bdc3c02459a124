import t from 'tap';
import { type DeliveryPolicy, defaultDelivery } from '../../broker/trigger/trigger.ts';
import { backoffMs, decide, delayMaxMs, healthOf } from '../../dispatcher/decide.ts';
import type { Outcome } from '../../dispatcher/fate.ts';

const nowMs = Date.UTC(2026, 0, 1);
const noJitter: DeliveryPolicy = { ...defaultDelivery, jitter: 0 };

function answered(status: number, headers: string[] = []): Outcome {
  return { kind: 'answered', status, headers, body: Buffer.alloc(0), truncated: false };
}

t.test('every status has its fate', async (t) => {
  const fateOf = (status: number) => decide(answered(status), 1, noJitter, nowMs, 0.5);
  for (const status of [200, 201, 202, 204, 299]) t.same(fateOf(status), { kind: 'delivered' }, `${status}`);
  for (const status of [404, 408, 409, 425, 429, 500, 502, 503, 504, 599]) {
    t.same(fateOf(status), { kind: 'retry', atMs: nowMs + 1_000, attempt: 2, reason: `status ${status}` }, `${status}`);
  }
  for (const status of [400, 401, 403, 405, 410, 413, 415, 422, 451]) {
    t.same(fateOf(status), { kind: 'deadLetter', category: 'rejected', reason: `status ${status}` }, `${status}`);
  }
  for (const status of [300, 301, 302, 303, 304, 307, 308]) {
    const reason = `status ${status}: redirects are not followed`;
    t.same(fateOf(status), { kind: 'deadLetter', category: 'redirected', reason }, `${status}`);
  }
});

t.test('the reason of a redirect says where it leads, but for what may be secret', async (t) => {
  const reasonOf = (location: string) => {
    const fate = decide(answered(307, ['location', location]), 1, noJitter, nowMs, 0.5);
    return fate.kind === 'deadLetter' ? fate.reason : '';
  };
  const reason = 'status 307: redirects are not followed (Location: https://shop.example/new)';
  t.equal(reasonOf('https://user:word@shop.example/new?token=s3cret#top'), reason);
  t.match(reasonOf('/login?next=%2F'), / \(Location: \/login\)$/);
});

t.test('no answer is retried, a refused address is not', async (t) => {
  for (const cause of ['timeout', 'connection', 'protocol'] as const) {
    const fate = decide({ kind: 'unanswered', cause, message: 'why' }, 1, noJitter, nowMs, 0.5);
    t.match(fate, { kind: 'retry', attempt: 2, reason: `${cause}: why` });
  }
  const refused = decide({ kind: 'unanswered', cause: 'address', message: 'why' }, 1, noJitter, nowMs, 0.5);
  t.match(refused, { kind: 'deadLetter', category: 'address_refused', reason: 'address: why' });
});

t.test('the last attempt that fails is dead-lettered with the count', async (t) => {
  const policy = { ...noJitter, attemptsMax: 3 };
  t.match(decide(answered(500), 2, policy, nowMs, 0.5), { kind: 'retry', attempt: 3 });
  t.same(decide(answered(500), 3, policy, nowMs, 0.5), {
    kind: 'deadLetter',
    category: 'attempts_exhausted',
    reason: 'status 500 (attempt 3 of 3)',
  });
});

t.test('delays follow the backoff policy and its cap', async (t) => {
  const exponential = { ...noJitter, backoffDelayMs: 200 };
  t.same(
    [1, 2, 3, 4].map((attempt) => backoffMs(attempt, exponential, 0.5)),
    [200, 400, 800, 1_600],
  );
  t.equal(backoffMs(60, exponential, 0.5), 3_600_000);
  const linear = { ...exponential, backoffPolicy: 'linear' as const };
  t.same(
    [1, 2, 3, 4].map((attempt) => backoffMs(attempt, linear, 0.5)),
    [200, 400, 600, 800],
  );
});

t.test('jitter varies a delay by its share to either side', async (t) => {
  t.equal(backoffMs(1, defaultDelivery, 0), 800);
  t.equal(backoffMs(1, defaultDelivery, 0.5), 1_000);
  t.equal(Math.round(backoffMs(1, defaultDelivery, 0.999999)), 1_200);
});

t.test('a 503 is retried no sooner than Retry-After', async (t) => {
  const at = (headers: string[], policy = noJitter, status = 503): number => {
    const fate = decide(answered(status, headers), 1, policy, nowMs, 0.5);
    return fate.kind === 'retry' ? fate.atMs - nowMs : Number.NaN;
  };
  t.equal(at(['retry-after', '30']), 30_000);
  t.equal(at(['retry-after', '30'], noJitter, 429), 30_000);
  t.equal(at(['retry-after', new Date(nowMs + 45_000).toUTCString()]), 45_000, 'an HTTP date');
  t.equal(at(['retry-after', '0']), 1_000, 'never sooner than the backoff');
  t.equal(at(['retry-after', 'soon']), 1_000, 'nonsense is ignored');
  t.equal(at(['retry-after', '999999999']), 3_600_000, 'bounded by the longest backoff');
  t.equal(at(['retry-after', '30'], { ...noJitter, retryAfterMaxMs: 10_000 }), 10_000, 'bounded by retryAfterMax');
  t.equal(at(['retry-after', '30'], { ...noJitter, retryAfterMaxMs: 0 }), 1_000, 'retryAfterMax PT0S ignores it');
  t.equal(at(['retry-after', '30'], noJitter, 500), 1_000, 'only of 429 and 503');
});

t.test('the longest delay bounds every delay', async (t) => {
  t.equal(delayMaxMs(defaultDelivery), 4_320_000);
  t.equal(delayMaxMs({ ...noJitter, retryAfterMaxMs: 7_200_000 }), 7_200_000);
  // A clock that was hours ahead for a moment holds nothing up for longer than the trigger's own delays.
  const short = { ...noJitter, attemptsMax: 5, backoffPolicy: 'linear', backoffDelayMs: 300 } as const;
  t.equal(delayMaxMs({ ...short, retryAfterMaxMs: 1_000 }), 1_200);
});

t.test('a 410 that pauses the trigger is tried again as the same attempt, even the last', async (t) => {
  const policy = { ...noJitter, attemptsMax: 3 };
  const fate = { kind: 'retry', atMs: nowMs, attempt: 3, reason: 'status 410' };
  t.same(decide(answered(410), 3, policy, nowMs, 0.5, 'pause'), fate);
  t.match(decide(answered(410), 3, policy, nowMs, 0.5, 'dead-letter'), { kind: 'deadLetter', category: 'rejected' });
  t.match(decide(answered(404), 3, policy, nowMs, 0.5, 'pause'), { kind: 'deadLetter' }, 'no other status');
});

t.test('no answer, 429 and 5xx say that the subscriber is failing; any other answer, that it is there', async (t) => {
  for (const status of [429, 500, 501, 503, 504, 599]) t.equal(healthOf(answered(status), 'dead-letter'), 'failing');
  for (const cause of ['timeout', 'connection', 'protocol'] as const) {
    t.equal(healthOf({ kind: 'unanswered', cause, message: 'why' }, 'dead-letter'), 'failing', cause);
  }
  for (const status of [200, 204, 302, 400, 404, 408, 409, 410, 425]) {
    t.equal(healthOf(answered(status), 'dead-letter'), 'well', `${status}`);
  }
  t.equal(healthOf({ kind: 'unanswered', cause: 'address', message: 'why' }, 'dead-letter'), 'unknown');
  t.equal(healthOf(answered(410), 'pause'), 'gone');
});
