import { pino } from 'pino';
import t from 'tap';
import { LogUnavailableError, UnknownTopicError } from '../../broker/log/errors.ts';
import { code, KafkaCodeError, persist } from '../../broker/log/kafka/kafka-error.ts';
import { Outage } from '../../broker/log/kafka/outage.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from '../support/silent.ts';

function setUp() {
  const clock = new ManualClock();
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const outage = new Outage(clock, logger);
  return {
    ...{ clock, lines, outage },
    /** Each of `asked` fails every 500 ms, for so long. */
    async fails(ms: number, ...asked: string[]): Promise<void> {
      for (let leftMs = ms; leftMs > 0; leftMs -= 500) {
        for (const what of asked) outage.failed(what, new Error('connect ECONNREFUSED'));
        await clock.advance(500);
      }
    },
  };
}

const begun = { level: 40, msg: 'Kafka fails, trying on', err: 'connect ECONNREFUSED' };

t.test('an outage is a line when it has lasted 5 s, one each 30 s, and one when it is over', async (t) => {
  const { lines, outage, fails } = setUp();
  const asked = ['appending to events[3]', 'appending to events[1]', 'appending to events[2]', 'joining group g'];
  await fails(5_000, ...asked);
  t.strictSame(lines, []);
  await fails(90_000, ...asked);
  t.strictSame(
    lines,
    [5_000, 35_000, 65_000].map((forMs) => ({
      ...begun,
      forMs,
      affected: 'appending to events[1-3], joining group g',
    })),
  );
  for (const what of asked.slice(1)) outage.worked(what);
  t.equal(lines.length, 3, 'it is not over while one thing fails');
  outage.worked('appending to events[3]');
  t.strictSame(lines.slice(3), [{ level: 30, lastedMs: 94_500, msg: 'Kafka works again' }]);
  outage.worked('appending to events[3]');
  t.equal(lines.length, 4, 'said once');
  await fails(6_000, 'listing topics');
  t.match(
    lines.slice(4),
    [{ ...begun, forMs: 5_000, affected: 'listing topics' }],
    'the next one is told like the first',
  );
});

t.test('what is over within 5 s, as an election is, is no line', async (t) => {
  const { lines, outage, fails } = setUp();
  for (let i = 0; i < 10; i++) {
    await fails(4_500, 'appending to events[0]', 'reading events[0]');
    outage.worked('appending to events[0]');
    outage.worked('reading events[0]');
  }
  t.strictSame(lines, []);
});

t.test('an attempt that takes long counts from when it began', async (t) => {
  const { clock, lines, outage } = setUp();
  const beganMs = clock.monotonic();
  await clock.advance(10_000);
  outage.failed('appending to events[0]', new Error('connect ECONNREFUSED'), beganMs);
  t.match(lines, [{ ...begun, forMs: 10_000 }]);
});

t.test('what nobody asks for any more keeps no outage going', async (t) => {
  const { clock, lines, outage, fails } = setUp();
  await fails(6_000, 'appending to events[0]', 'reading events[0]', 'listing topics');
  outage.gaveUp('reading events[0]');
  outage.worked('listing topics');
  t.equal(lines.length, 1);
  await clock.advance(20_000);
  outage.worked('listing topics');
  t.match(lines.slice(1), [{ msg: 'Kafka works again', lastedMs: 5_500 }], 'it lasted up to the last failure');
});

t.test('a line names the six things that matter most, and how many more there are', async (t) => {
  const { lines, fails } = setUp();
  const groups = Array.from({ length: 20 }, (_, i) => `joining group g${i}`);
  const parts = ['reading a[0]', 'reading a[1]', 'reading a[5]', 'reading a[7]', 'reading a[6]', 'appending to a[0]'];
  await fails(5_500, ...groups, ...parts);
  const affected = /^appending to a\[0\], reading a\[0-1,5-7\], joining group g0, .*, joining group g3 and 16 more$/;
  t.match(lines, [{ affected }], 'first what events wait for');
});

t.test('a question that Kafka does not answer is told as an outage, and its error says so', async (t) => {
  const { clock, lines, outage } = setUp();
  const ask = (error: Error, topic?: string) => {
    const persistence = { what: 'asking', deadlineMs: clock.monotonic() + 8_000, clock, logger: silent, outage };
    return persist({ ...persistence, ...(topic !== undefined && { topic }) }, () => Promise.reject(error));
  };
  const asked = ask(new Error('connect ECONNREFUSED'));
  asked.catch(() => {});
  await clock.advance(8_000);
  await t.rejects(asked, { name: 'LogUnavailableError', isOutage: true });
  t.match(lines, [{ ...begun, affected: 'asking' }]);

  // What no waiting mends is the caller's to tell.
  const refused = new KafkaCodeError(29, 'topic events');
  const error = await ask(refused).catch((reason: unknown) => reason);
  t.match(error, { isOutage: false, message: /TOPIC_AUTHORIZATION_FAILED/ });
  t.type(error, LogUnavailableError);
  const unknown = ask(new KafkaCodeError(code.unknownTopicOrPartition, 'topic none'), 'none');
  unknown.catch(() => {});
  await clock.advance(2_000);
  await t.rejects(unknown, UnknownTopicError);
  outage.worked('another');
  t.match(lines.slice(1), [{ msg: 'Kafka works again' }]);
});
