import t, { type Test } from 'tap';
import type { Filtering } from '../../broker/filter/verdict.ts';
import type { Log, LogRecord } from '../../broker/log/log.ts';
import { eventReader } from '../../broker/records.ts';
import { planTry, runTry, type TryOptions, type TryProgress, type TryResult } from '../../console/try.ts';
import { fromRecord, toRecord } from '../../event/kafka.ts';
import type { Clock } from '../../runtime/clock.ts';
import { systemClock } from '../../runtime/clock.ts';
import { eventWith } from '../filter/sample.ts';
import { openLog } from '../registry/setup.ts';
import { brokerOf } from '../support/brokers.ts';

const topic = 'events';
const baseMs = Date.UTC(2026, 0, 1);
const spec = { partitions: 3, retentionMs: null, maxMessageBytes: 1_048_576 };

const created: Filtering = { filters: [{ dialect: 'exact', attributes: { type: 'order.created' } }], dataFilter: null };
const ofShop: Filtering = { filters: [{ dialect: 'prefix', attributes: { source: '/shop' } }], dataFilter: null };

async function tried(
  options: Pick<TryOptions, 'log'> & Partial<TryOptions>,
): Promise<{ result: TryResult | null; steps: TryProgress[] }> {
  const whole: TryOptions = {
    ...{
      topics: [topic],
      readEvent: fromRecord,
      sinceMs: 0,
      tried: created,
      running: null,
      samplesMax: 5,
      clock: systemClock,
    },
    signal: new AbortController().signal,
    ...options,
  };
  const steps: TryProgress[] = [];
  const generator = runTry(whole, await planTry(whole));
  for (;;) {
    const { value, done } = await generator.next();
    if (done) return { result: value, steps };
    steps.push(value);
  }
}

interface Given {
  readonly type: string;
  readonly source?: string;
  readonly subject?: string;
  readonly data?: string;
}

/** A topic with these events in turn in each partition, one a second, their ids counted from 0. */
async function logWith(t: Test, events: readonly Given[]): Promise<Log> {
  const log = await openLog(t);
  await log.ensureTopics([topic], spec);
  for (const [n, { data, ...attributes }] of events.entries()) {
    const event = eventWith({ source: '/shop', datacontenttype: 'application/json', ...attributes, id: String(n) });
    const record = toRecord({ ...event, data: data === undefined ? undefined : Buffer.from(data) });
    await log.append(topic, n % 3, [{ ...record, timestampMs: baseMs + n * 1_000 }]);
  }
  return log;
}

const ids = (samples: readonly { readonly id: string }[] | undefined): string[] => (samples ?? []).map(({ id }) => id);

t.test('the topics of a broker are tried together, their records read as its lanes read them', async (t) => {
  const log = await openLog(t);
  const topics = ['eqiad.pages', 'codfw.pages'];
  for (const [n, name] of topics.entries()) {
    await log.ensureTopics([name], { ...spec, partitions: 1 });
    const record = { key: null, headers: {}, timestampMs: baseMs + n * 1_000 };
    await log.append(name, 0, [{ ...record, value: Buffer.from('{"kind":"order.created"}') }]);
    await log.append(name, 0, [{ ...record, value: Buffer.from('?') }]);
  }
  const readEvent = eventReader({ namespace: 'default', name: 'pages' }, brokerOf(topics, 'type: /kind'));
  const { result } = await tried({ log, topics, readEvent });
  t.match(result, { events: 2, unreadable: 2, matched: 2 });
  t.match(result?.samples.matched, [
    { topic: 'eqiad.pages', partition: 0, offset: 0, source: /#eqiad\.pages$/ },
    { topic: 'codfw.pages', partition: 0, offset: 0, source: /#codfw\.pages$/ },
  ]);
});

t.test('it counts what matches, in all partitions, and shows the newest, newest last', async (t) => {
  const types = Array.from({ length: 30 }, (_, n) => ({ type: n % 2 === 0 ? 'order.created' : 'order.deleted' }));
  const log = await logWith(t, types);
  const { result, steps } = await tried({ log, samplesMax: 3 });
  t.match(result, { events: 30, unreadable: 0, matched: 15, compared: null });
  t.strictSame(ids(result?.samples.matched), ['24', '26', '28']);
  t.strictSame(result?.samples.newlyMatched, []);
  t.match(result?.samples.matched[2], {
    appendedAt: '2026-01-01T00:00:28.000Z',
    partition: 1,
    offset: 9,
    source: '/shop',
    type: 'order.created',
    subject: null,
    reasons: [],
  });
  t.strictSame(steps.at(-1), { read: 30, total: 30, matched: 15 });
  t.strictSame(ids((await tried({ log, samplesMax: 0 })).result?.samples.matched), []);
});

t.test('of what does not match the newest of each type is shown, nearest first, with the reasons', async (t) => {
  const both = { filters: [...created.filters, ...ofShop.filters], dataFilter: null };
  const log = await logWith(t, [
    { type: 'bill.paid', source: '/bank' },
    { type: 'order.deleted' },
    { type: 'order.deleted', subject: 'newest' },
    { type: 'order.created', source: '/market' },
    { type: 'order.created' },
  ]);
  const { result } = await tried({ log, tried: both, samplesMax: 2 });
  t.match(result?.samples.unmatched, [
    { id: '2', type: 'order.deleted', subject: 'newest', reasons: [{ field: 'spec.filters[0].exact.type' }] },
    { id: '3', type: 'order.created', reasons: [{ field: 'spec.filters[1].prefix.source' }] },
  ]);
  t.equal(result?.samples.unmatched.length, 2);
});

t.test('beside the running version it says what is newly matched and what no longer is', async (t) => {
  const log = await logWith(t, [
    { type: 'order.created' },
    { type: 'order.deleted' },
    { type: 'order.created', source: '/market' },
    { type: 'order.deleted', source: '/market' },
    { type: 'order.deleted' },
  ]);
  const { result } = await tried({ log, running: ofShop });
  t.match(result, { events: 5, matched: 2, compared: { matched: 3, newlyMatched: 1, noLongerMatched: 2 } });
  t.strictSame(ids(result?.samples.newlyMatched), ['2']);
  t.strictSame(ids(result?.samples.noLongerMatched), ['1', '4']);
  t.match(result?.samples.noLongerMatched[0]?.reasons, [{ message: /type must be "order\.created"/ }]);
});

t.test('a data filter is tried as it would be in force: what it has no answer for is counted apart', async (t) => {
  const log = await logWith(t, [
    { type: 'order.created', data: '{"total":7}' },
    { type: 'order.created', data: '{"total":5}' },
    { type: 'order.created', data: '{' },
    { type: 'order.deleted', data: '{' },
  ]);
  const { result } = await tried({ log, tried: { ...created, dataFilter: 'data.total > 5' }, running: created });
  t.match(result, {
    events: 4,
    matched: 1,
    undecided: 1,
    compared: { matched: 3, newlyMatched: 0, noLongerMatched: 2 },
  });
  t.strictSame(ids(result?.samples.matched), ['0']);
  t.match(result?.samples.undecided, [
    { id: '2', reasons: [{ message: /^has no answer, so the event is dead-lettered/ }] },
  ]);
  t.match(result?.samples.noLongerMatched, [
    { id: '1', reasons: [{ message: 'data.total > 5 does not hold, as data.total is 5' }] },
    { id: '2' },
  ]);
  t.strictSame(ids(result?.samples.unmatched), ['1', '3']);
});

t.test('it begins at the time, ends at the end as it was, and does not count what is no event', async (t) => {
  const log = await logWith(t, Array(12).fill({ type: 'order.created' }));
  await log.append(topic, 0, [{ key: null, value: Buffer.from('?'), headers: {}, timestampMs: baseMs + 20_000 }]);
  const late = new Proxy(log, {
    get(target, property) {
      const value = Reflect.get(target, property);
      if (property !== 'read') return typeof value === 'function' ? value.bind(target) : value;
      return async (...args: Parameters<Log['read']>) => {
        const record = toRecord(eventWith({ type: 'order.created', id: 'late' }));
        await target.append(topic, args[1], [{ ...record, timestampMs: baseMs + 30_000 }]);
        return target.read(...args);
      };
    },
  });
  const { result } = await tried({ log: late, sinceMs: baseMs + 5_000, samplesMax: 100 });
  t.match(result, { events: 7, unreadable: 1, matched: 7 });
  t.strictSame(ids(result?.samples.matched), ['5', '6', '7', '8', '9', '10', '11']);
  const nothing = await tried({ log, sinceMs: baseMs + 3_600_000 });
  t.match(nothing, { result: { events: 0, matched: 0 }, steps: [] });
});

t.test('what retention deletes meanwhile is passed over', async (t) => {
  const log = await logWith(t, Array(9).fill({ type: 'order.created' }));
  const { ranges, offsetsAt } = log;
  const trimmed: TryOptions['log'] = {
    ranges: ranges.bind(log),
    offsetsAt: offsetsAt.bind(log),
    async read(topic, partition, from, maxBytes) {
      // What the samples are read by.
      if (maxBytes === 1) await log.trim(topic, partition, 3);
      return log.read(topic, partition, from, maxBytes);
    },
  };
  const { result } = await tried({ log: trimmed });
  t.match(result, { matched: 9, samples: { matched: [] } });
  const gone = await tried({ log: { ...trimmed, ranges: async () => [{ partition: 0, start: 0, end: 3 }] } });
  t.match(gone.result, { events: 0, matched: 0 }, 'all of a partition');
});

/** One partition with so many events, all of them in one answer. */
function virtualLog(count: number): TryOptions['log'] & { reads: number } {
  const { headers, key, value } = toRecord(eventWith({ type: 'order.created' }));
  const buffers = Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]));
  const records = Array.from({ length: count }, (_, offset): LogRecord => {
    return { offset, timestampMs: offset, key, value, headers: buffers };
  });
  return {
    reads: 0,
    ranges: async () => [{ partition: 0, start: 0, end: count }],
    offsetsAt: async () => [{ partition: 0, offset: 0 }],
    async read(_topic, _partition, from, maxBytes) {
      this.reads += 1;
      const some = maxBytes === 1 ? records.slice(from, from + 1) : records.slice(from);
      return { records: some, nextOffset: (some.at(-1)?.offset ?? from) + 1 };
    },
  };
}

t.test('the event loop has half of the time, also within one read', async (t) => {
  // Each event takes 1 ms of this clock, and a rest is a turn of the event loop.
  let nowMs = 0;
  const rests: number[] = [];
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs++,
    setTimer(callback, delayMs) {
      rests.push(delayMs);
      nowMs += delayMs;
      const handle = setImmediate(callback);
      return { cancel: () => clearImmediate(handle) };
    },
  };
  let turns = 0;
  const count = (): void => {
    turns += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const { result } = await tried({ log: virtualLog(1_000), clock });
  clearImmediate(next);
  t.match(result, { events: 1_000, matched: 1_000 });
  t.ok(turns >= 200, `${turns} turns of the event loop`);
  t.ok(rests.length >= 200 && rests.every((ms) => ms === 5), 'slices of 5 ms with rests as long');
});

t.test('it ends soon after nobody waits for it any more', async (t) => {
  const log = virtualLog(1_000);
  const gone = new AbortController();
  gone.abort();
  const { result, steps } = await tried({ log, signal: gone.signal });
  t.strictSame([result, steps, log.reads], [null, [], 1]);
});
