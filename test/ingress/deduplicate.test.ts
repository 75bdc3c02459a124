import t, { type Test } from 'tap';
import { request } from 'undici';
import { LogUnavailableError } from '../../broker/log/errors.ts';
import type { Log } from '../../broker/log/log.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { asLogRecord, logRecord } from '../support/scripted-log.ts';
import { until } from '../support/until.ts';
import { eventHeaders, type StartOptions, startIngress } from './start.ts';

const windowMs = 600_000;

async function start(t: Test, options: StartOptions = {}) {
  const ingress = await startIngress(options);
  t.teardown(ingress.close);
  ingress.target.deduplicateMs = windowMs;
  /** Sends an event by its id, or the members of a batch; tells the status and the number of duplicates. */
  const send = async (...ids: string[]): Promise<string> => {
    const [id = ''] = ids;
    const batch = ids.map((one) => ({ specversion: '1.0', id: one, source: '/tests', type: 'test', data: one }));
    const answer =
      ids.length === 1
        ? await request(ingress.url, { method: 'POST', headers: { ...eventHeaders, 'ce-id': id }, body: id })
        : await request(ingress.url, {
            method: 'POST',
            headers: { 'content-type': 'application/cloudevents-batch+json' },
            body: JSON.stringify(batch),
          });
    await answer.body.dump();
    return `${answer.statusCode} ${answer.headers['posthorn-duplicates'] ?? '-'}`;
  };
  /** Each when the append of the one before has begun: two that come together may be one append. */
  const sendInTurn = async (...requests: string[][]): Promise<Promise<string>[]> => {
    const answers: Promise<string>[] = [];
    for (const ids of requests) {
      const before = ingress.log.appends.length;
      answers.push(send(...ids));
      await until(() => ingress.log.appends.length > before, `${ids} to have come`);
    }
    return answers;
  };
  /** The ids of the events that the log has. Data in JSON is in quotes. */
  const held = () => ingress.log.held.map((data) => data.replaceAll('"', ''));
  return Object.assign(ingress, { send, sendInTurn, held });
}

t.test('an event that comes again is answered 202, says so, and is appended once', async (t) => {
  const { send, held, url, counted, duplicates } = await start(t);
  t.equal(await send('1'), '202 -');
  t.equal(await send('1'), '202 1');
  t.equal(await send('2'), '202 -');
  const other = { ...eventHeaders, 'ce-id': '1', 'ce-source': '/another' };
  t.equal(
    (await request(url, { method: 'POST', headers: other, body: 'other' })).headers['posthorn-duplicates'],
    undefined,
  );
  t.strictSame(held(), ['1', '2', 'other']);
  t.strictSame(counted.accepted, Array(3).fill('default/default 1'), 'accepted is what is in the log');
  t.equal(duplicates.events, 1);
});

t.test('a broker that does not ask for it takes all', async (t) => {
  const { send, held, target } = await start(t);
  target.deduplicateMs = null;
  for (let i = 0; i < 2; i++) t.equal(await send('1'), '202 -');
  t.strictSame(held(), ['1', '1']);
});

t.test('members of a batch that are known, or twice in it, are left out and counted', async (t) => {
  const { send, held, counted } = await start(t);
  await send('1');
  t.equal(await send('1', '2', '2', '3'), '202 2');
  t.strictSame(held().sort(), ['1', '2', '3']);
  t.strictSame(counted.accepted, ['default/default 1', 'default/default 2']);
  t.equal(await send('3', '2', '1'), '202 3');
  t.equal(held().length, 3);
});

t.test('a duplicate is answered no sooner than the append of the first is durable', async (t) => {
  const { send, sendInTurn, held, log } = await start(t);
  log.answer = 'wait';
  const first = send('1');
  await until(() => log.appends.length === 1, 'the append of the first has begun');
  const answers: string[] = [];
  const both = await sendInTurn(['1', '2'], ['1', '3']);
  const again = both.map((one) => one.then((answer) => answers.push(answer)));
  log.appends[1]?.resolve();
  log.appends[2]?.resolve();
  log.answer = (append) => append.resolve();
  t.equal(await send('4'), '202 -');
  t.strictSame(answers, [], 'nobody is told that the log has the first');
  log.appends[0]?.resolve();
  t.equal(await first, '202 -');
  await Promise.all(again);
  t.strictSame(answers, ['202 1', '202 1']);
  t.strictSame(held().sort(), ['1', '2', '3', '4']);
});

t.test('while the log is away, those that wait for the first are refused as it is, and nothing is known', async (t) => {
  const { send, sendInTurn, held, log } = await start(t);
  log.answer = 'wait';
  const first = send('1');
  await until(() => log.appends.length === 1, 'the append of the first has begun');
  const again = await sendInTurn(['1', '2'], ['1', '3']);
  log.appends[0]?.reject(new LogUnavailableError('no leader'));
  log.appends[1]?.resolve();
  log.appends[2]?.resolve();
  t.same(await Promise.all([first, ...again]), ['503 -', '503 -', '503 -']);
  log.answer = (append) => append.resolve();
  t.equal(await send('1', '2'), '202 1', 'sent again, it is appended; the other member was');
  t.equal(await send('1', '3'), '202 2');
  t.strictSame(held().sort(), ['1', '2', '3']);
});

t.test('where the first fails for another reason, one that waits for it is appended itself', async (t) => {
  const { send, sendInTurn, held, log } = await start(t);
  log.answer = 'wait';
  const first = send('1');
  await until(() => log.appends.length === 1, 'the append of the first has begun');
  const again = await sendInTurn(['1', '2'], ['1', '3']);
  log.answer = (append) => append.resolve();
  log.appends[1]?.resolve();
  log.appends[2]?.resolve();
  log.appends[0]?.reject(new Error('a bug'));
  t.equal(await first, '500 -');
  t.same((await Promise.all(again)).sort(), ['202 -', '202 1'], 'one of them, and the other waits for that');
  t.strictSame(held().sort(), ['1', '2', '3']);
});

t.test('it is known from the append on for the window, whatever the wall clock does', async (t) => {
  const clock = new ManualClock();
  const { send, held, target } = await start(t, { clock });
  await send('1');
  clock.jump(86_400_000);
  await clock.advance(windowMs - 1);
  t.equal(await send('1'), '202 1');
  await clock.advance(2);
  t.equal(await send('1'), '202 -', 'that it came again does not prolong it');
  t.equal(held().length, 2);
  await clock.advance(1_000);
  target.deduplicateMs = 500;
  t.equal(await send('1'), '202 -', 'a shorter window holds at once');
});

t.test('beyond the bound the oldest is forgotten, and that is counted', async (t) => {
  const { send, held, duplicates } = await start(t, { limits: { deduplicatedIdsMax: 4 } });
  for (const id of ['1', '2', '3', '4', '5']) await send(id);
  t.equal(duplicates.forgotten, 1);
  t.equal(await send('2', '3', '4', '5'), '202 4');
  t.equal(await send('1'), '202 -');
  t.equal(held().length, 6);
});

/** A log that took these events before. */
function tailOf(
  ids: readonly { id: string; atMs: number }[],
  reads: number[] = [],
): Pick<Log, 'ranges' | 'offsetsAt' | 'read'> {
  const records = ids.map(({ id, atMs }, offset) => ({
    ...asLogRecord(toRecord(testEvent({ id, source: '/tests' })), offset),
    timestampMs: atMs,
  }));
  const end = records.length;
  return {
    ranges: async () => [{ partition: 0, start: 0, end }],
    offsetsAt: async (_topic, timestampMs) => {
      const found = records.findIndex((record) => record.timestampMs >= timestampMs);
      return [{ partition: 0, offset: found === -1 ? end : found }];
    },
    read: async (_topic, _partition, from) => {
      reads.push(from);
      const some = [...records.slice(from, from + 600), logRecord(end)];
      return { records: some, nextOffset: from + 600 };
    },
  };
}

t.test('after a start, what the log took within the window is known, for what is left of it', async (t) => {
  const clock = new ManualClock();
  const nowMs = clock.now();
  const tail = tailOf([
    { id: 'too old', atMs: nowMs - windowMs - 1 },
    { id: 'old', atMs: nowMs - windowMs + 1_000 },
    { id: 'young', atMs: nowMs - 1_000 },
  ]);
  const { send } = await start(t, { clock, tail });
  t.equal(await send('too old', 'old', 'young', 'new'), '202 2');
  await clock.advance(1_001);
  t.equal(await send('old'), '202 -');
  t.equal(await send('young'), '202 1');
});

t.test('of a long tail the last is read', async (t) => {
  const clock = new ManualClock();
  const ids = Array.from({ length: 10_000 }, (_, n) => ({ id: `${n}`, atMs: clock.now() - 10_000 + n }));
  const reads: number[] = [];
  // 512 bytes count for the headers of each.
  const limits = { deduplicatedTailMaxBytes: 512 * 2_000 };
  const { send } = await start(t, { clock, tail: tailOf(ids, reads), limits });
  t.equal(await send('9999', '8500', '7000'), '202 2');
  t.strictSame(reads, [9_000, 9_600, 8_000, 8_600], 'in blocks, the last first');
});

t.test('what stands in a topic of others was not accepted here', async (t) => {
  const tail = tailOf([{ id: 'theirs', atMs: Date.now() }]);
  const { send, target } = await start(t, { tail });
  target.hasForeign = true;
  t.equal(await send('theirs'), '202 -');
});

t.test('a tail that can not be read is read for the next request, and nothing is taken before', async (t) => {
  const tail = tailOf([{ id: '1', atMs: Date.now() }]);
  let isAway = true;
  const ranges = async (topic: string) => {
    if (isAway) throw new LogUnavailableError('no leader');
    return tail.ranges(topic);
  };
  const { send, held } = await start(t, { tail: { ...tail, ranges } });
  t.equal(await send('1'), '503 -');
  isAway = false;
  t.equal(await send('1', '2'), '202 1');
  t.strictSame(held(), ['2']);
});
