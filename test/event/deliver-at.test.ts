import t from 'tap';
import { checkDeliverAt, deliverAtOf } from '../../event/deliver-at.ts';
import { testEvent } from '../support/events.ts';

const dayMs = 86_400_000;

t.test('deliverat is a time of RFC 3339, in any of its forms', async (t) => {
  const times: Record<string, number> = {
    '2026-01-31T12:00:00Z': Date.UTC(2026, 0, 31, 12),
    '2026-01-31t12:00:00z': Date.UTC(2026, 0, 31, 12),
    '2026-01-31T12:00:00.250+02:00': Date.UTC(2026, 0, 31, 10, 0, 0, 250),
    '2026-01-31T12:00:00.123987654-05:30': Date.UTC(2026, 0, 31, 17, 30, 0, 123),
    '2016-12-31T23:59:60Z': Date.UTC(2017, 0, 1),
    '2017-01-01T01:59:60.5+02:00': Date.UTC(2017, 0, 1, 0, 0, 0, 500),
  };
  for (const [text, ms] of Object.entries(times)) t.equal(deliverAtOf(testEvent({ deliverat: text })), ms, text);
  t.equal(deliverAtOf(testEvent()), undefined);
  for (const text of ['', 'tomorrow', '2026-02-30T12:00:00Z', '2026-01-31', '2026-01-31T12:00:00', '1769860800']) {
    t.strictSame(deliverAtOf(testEvent({ deliverat: text })), Number.NaN, text);
  }
});

t.test('what is no time, or more than a year ahead, is refused by its name', async (t) => {
  const nowMs = Date.UTC(2026, 0, 1);
  const check = (deliverat: string) => () => checkDeliverAt(testEvent({ deliverat }), nowMs);
  const at = (ms: number) => new Date(ms).toISOString();
  t.doesNotThrow(check('1970-01-01T00:00:00Z'), 'the past is allowed');
  t.doesNotThrow(check(at(nowMs + 366 * dayMs)));
  t.doesNotThrow(() => checkDeliverAt(testEvent(), nowMs));
  t.throws(check(at(nowMs + 366 * dayMs + 1)), {
    attribute: 'deliverat',
    message: 'attribute deliverat is "2027-01-02T00:00:00.001Z": at most 366 days ahead are taken',
  });
  t.throws(check('tomorrow'), {
    attribute: 'deliverat',
    message: 'attribute deliverat is "tomorrow": a time of RFC 3339 is wanted, as 2026-01-31T12:00:00Z',
  });
});
