import kafkajs from 'kafkajs';
import t from 'tap';
import { LogFullError, LogUnavailableError, RecordTooLargeError, UnknownTopicError } from '../../broker/log/errors.ts';
import { BufferFullError, Gatherer, partitionOf } from '../../broker/log/gather.ts';
import { encodedBytes, type NewRecord } from '../../broker/log/log.ts';
import { systemClock } from '../../runtime/clock.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { FakeLog } from './fake-log.ts';

function record(value: string, key: string | null = null): NewRecord {
  return { key: key === null ? null : Buffer.from(key), value: Buffer.from(value), headers: {} };
}

/** A key of the partition, of four. */
function keyOf(partition: number): string {
  for (let n = 0; ; n++) if (partitionOf(Buffer.from(`key-${n}`), 4) === partition) return `key-${n}`;
}

function setUp(options: { lingerMs?: number; waitingBytesMax?: number } = {}) {
  const log = new FakeLog();
  const clock = new ManualClock();
  return { log, clock, gatherer: new Gatherer({ log, clock, ...options }) };
}

t.test("partitions are those of Kafka's default partitioner", async (t) => {
  const partitioner = kafkajs.Partitioners.DefaultPartitioner();
  const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({ partitionId, leader: 1 }));
  for (let length = 0; length < 200; length++) {
    const key = Buffer.from(Array.from({ length }, (_, at) => (at * 89 + length * 151) % 256));
    const expected = partitioner({
      topic: 'a',
      partitionMetadata: partitionMetadata as never,
      message: { key, value: null },
    });
    t.equal(partitionOf(key, 12), expected, `${length} bytes`);
  }
  // The vectors of Kafka's own UtilsTest, positive by clearing the sign bit; modulo 2^31 shows the whole hash.
  const vectors: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ];
  for (const [key, hash] of vectors) t.equal(partitionOf(Buffer.from(key), 2 ** 31), hash & 0x7fffffff, key);
});

t.test('a lone record goes at once, without the linger', async (t) => {
  const { log, clock, gatherer } = setUp({ lingerMs: 1_000 });
  await gatherer.append('a', record('1'));
  t.strictSame(log.held, ['1']);
  t.equal(clock.pending, 0);
});

t.test('records that come together go in one append', async (t) => {
  const { log, gatherer } = setUp();
  await Promise.all(['1', '2', '3'].map((value) => gatherer.append('a', record(value))));
  t.strictSame(
    log.appends.map((append) => append.values),
    [['1', '2', '3']],
  );
});

t.test('a sender that waits for each append never waits for the linger', async (t) => {
  const { log, clock, gatherer } = setUp({ lingerMs: 1_000 });
  for (const value of ['1', '2', '3']) await gatherer.append('a', record(value));
  t.strictSame(log.held, ['1', '2', '3']);
  t.equal(clock.pending, 0);
});

t.test('while an append is in flight records are gathered for the linger, no longer', async (t) => {
  const { log, clock, gatherer } = setUp({ lingerMs: 2 });
  log.answer = 'wait';
  const first = gatherer.append('a', record('1'));
  await clock.advance(0.5);
  const later = [gatherer.append('a', record('2')), gatherer.append('a', record('3'))];
  await clock.advance(1.4);
  t.equal(log.appends.length, 1);
  await clock.advance(0.1);
  t.strictSame(log.appends[1]?.values, ['2', '3']);
  for (const append of log.appends) append.resolve();
  await Promise.all([first, ...later]);
});

t.test('keyless records are spread evenly, those of one flush to one partition', async (t) => {
  const { log, clock, gatherer } = setUp();
  for (let flush = 0; flush < 8; flush++) {
    const both = [gatherer.append('a', record('x')), gatherer.append('a', record('y'))];
    await clock.advance(2);
    await Promise.all(both);
  }
  t.strictSame(
    log.appends.map((append) => append.partition),
    [0, 1, 2, 3, 0, 1, 2, 3],
  );
});

t.test('keyless records pass by a partition whose append is in flight', async (t) => {
  const { log, clock, gatherer } = setUp();
  log.answer = (append) => {
    if (append.partition !== 0) append.resolve();
  };
  const hanging = gatherer.append('a', record('hangs'));
  for (let flush = 0; flush < 5; flush++) {
    await clock.advance(2);
    const passing = gatherer.append('a', record('passes'));
    await clock.advance(2);
    await passing;
  }
  t.strictSame(
    log.appends.map((append) => append.partition),
    [0, 1, 2, 3, 1, 2],
  );
  log.appends[0]?.resolve();
  await hanging;
});

t.test('a key keeps the order of the calls, with one append in flight', async (t) => {
  const { log, gatherer } = setUp({ lingerMs: 0 });
  log.answer = (append) => void setImmediate(() => append.resolve());
  const values = Array.from({ length: 500 }, (_, n) => String(n));
  const appended: Promise<void>[] = [];
  for (const [n, value] of values.entries()) {
    appended.push(gatherer.append('a', record(value, 'k')));
    if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(appended);
  t.strictSame(log.held, values);
  t.equal(log.inFlightMax, 1);
  t.ok(log.appends.length > 10);
  t.equal(new Set(log.appends.map((append) => append.partition)).size, 1);
});

t.test('a key goes where its partition is, an explicit partition wins', async (t) => {
  const { log, gatherer } = setUp();
  await Promise.all([
    gatherer.append('a', record('by key', 'user-1')),
    gatherer.append('a', record('told', 'user-1'), 3),
  ]);
  const partitions = new Map(log.appends.map((append) => [append.values[0], append.partition]));
  t.equal(partitions.get('by key'), partitionOf(Buffer.from('user-1'), 4));
  t.equal(partitions.get('told'), 3);
});

t.test('40 records of 64 KiB at one moment are split under maxMessageBytes', async (t) => {
  const { log, clock, gatherer } = setUp();
  log.info = { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 };
  const value = 'v'.repeat(65_536);
  const all = Array.from({ length: 40 }, () => gatherer.append('a', record(value, 'k')));
  await clock.advance(2);
  await Promise.all(all);
  t.equal(log.held.length, 40);
  t.ok(log.appends.every((append) => append.bytes + 61 <= 1_048_576));
  t.equal(log.appends.length, 3);
});

t.test('keyless records beyond one append go on to the next partition', async (t) => {
  const { log, gatherer } = setUp();
  log.info = { partitions: 4, retentionMs: null, maxMessageBytes: 1_048_576 };
  const value = 'v'.repeat(65_536);
  await Promise.all(Array.from({ length: 40 }, () => gatherer.append('a', record(value))));
  t.strictSame(
    log.appends.map((append) => append.partition),
    [0, 1, 2],
  );
});

t.test('the largest record that the topic takes passes, one byte more is refused alone', async (t) => {
  const { log, gatherer } = setUp();
  const frame = encodedBytes(record(''));
  const outcomes = await Promise.allSettled([
    gatherer.append('a', record('small')),
    gatherer.append('a', record('x'.repeat(log.info.maxMessageBytes - frame + 1))),
    gatherer.append('a', record('y'.repeat(log.info.maxMessageBytes - frame))),
  ]);
  t.strictSame(
    outcomes.map((outcome) => outcome.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  t.ok(outcomes[1]?.status === 'rejected' && outcomes[1].reason instanceof RecordTooLargeError);
  t.equal(log.held.length, 2);
});

t.test('where the log takes less than it said, only the record that is too large alone fails', async (t) => {
  const { log, gatherer } = setUp();
  log.answer = (append) => {
    const tooLarge = append.values.length > 3 || append.values.includes('huge');
    if (tooLarge) append.reject(new RecordTooLargeError('a', append.bytes, 10));
    else append.resolve();
  };
  const values = ['1', '2', '3', 'huge', '4', '5', '6', '7', '8'];
  const outcomes = await Promise.allSettled(values.map((value) => gatherer.append('a', record(value, 'k'))));
  t.strictSame(
    values.filter((_, n) => outcomes[n]?.status === 'rejected'),
    ['huge'],
  );
  t.strictSame(log.held, ['1', '2', '3', '4', '5', '6', '7', '8'], 'in order');
});

t.test('appendAll resolves only when every record is in', async (t) => {
  const { log, clock, gatherer } = setUp();
  log.answer = 'wait';
  let settled = false;
  const all = gatherer
    .appendAll('a', [record('1', keyOf(0)), record('2', keyOf(1)), record('3', keyOf(2))])
    .then(() => {
      settled = true;
    });
  await clock.advance(2);
  const open = [...log.appends];
  t.equal(open.length, 3);
  for (const append of open) {
    t.equal(settled, false);
    append.resolve();
    await clock.advance(0);
  }
  await all;
  t.equal(settled, true);
});

t.test('appendAll with one record too large appends none', async (t) => {
  const { log, gatherer } = setUp();
  await t.rejects(gatherer.appendAll('a', [record('1'), record('x'.repeat(200_000))]), {
    code: 'LOG_RECORD_TOO_LARGE',
  });
  t.equal(log.appends.length, 0);
  await gatherer.appendAll('a', []);
});

t.test('appendAll rejects if one of its appends fails, after all have ended', async (t) => {
  const { log, gatherer } = setUp();
  log.answer = (append) => {
    if (append.values.includes('2')) append.reject(new LogFullError('the disk'));
    else setImmediate(() => append.resolve());
  };
  await t.rejects(gatherer.appendAll('a', [record('1', keyOf(0)), record('2', keyOf(1))]), { code: 'LOG_FULL' });
  t.strictSame(log.held, ['1']);
});

t.test('beyond waitingBytesMax records are refused, and taken again when there is room', async (t) => {
  const one = encodedBytes(record('1'));
  const { log, clock, gatherer } = setUp({ waitingBytesMax: 3 * one });
  log.answer = 'wait';
  const waiting = ['1', '2', '3'].map((value) => gatherer.append('a', record(value)));
  await t.rejects(gatherer.append('a', record('4')), BufferFullError);
  await t.rejects(gatherer.append('a', record('4')), { code: 'LOG_BUFFER_FULL' });
  await clock.advance(2);
  await t.rejects(gatherer.append('a', record('4')), BufferFullError, 'what is being appended waits too');
  log.appends[0]?.resolve();
  await Promise.all(waiting);
  log.answer = (append) => append.resolve();
  const fourth = gatherer.append('a', record('4'));
  await clock.advance(2);
  await fourth;
});

t.test('records that failed leave room', async (t) => {
  const { log, clock, gatherer } = setUp({ waitingBytesMax: encodedBytes(record('1')) });
  log.describeError = new LogUnavailableError('away');
  await t.rejects(gatherer.append('a', record('1')), { code: 'LOG_UNAVAILABLE' });
  log.describeError = undefined;
  log.answer = (append) => append.reject(new LogFullError('the disk'));
  const second = gatherer.append('a', record('2'));
  void clock.advance(2);
  await t.rejects(second, { code: 'LOG_FULL' });
  log.answer = (append) => append.resolve();
  const third = gatherer.append('a', record('3'));
  await clock.advance(2);
  await third;
});

t.test('what waits behind an append that the log did not answer fails with it', async (t) => {
  const { log, clock, gatherer } = setUp();
  log.answer = 'wait';
  const first = gatherer.append('a', record('1', 'k'));
  await clock.advance(2);
  const second = gatherer.append('a', record('2', 'k'));
  await clock.advance(2);
  log.appends[0]?.reject(new LogUnavailableError('no answer'));
  await t.rejects(first, { code: 'LOG_UNAVAILABLE' });
  await t.rejects(second, { code: 'LOG_UNAVAILABLE' });
  t.equal(log.appends.length, 1);
  log.answer = (append) => append.resolve();
  const third = gatherer.append('a', record('3', 'k'));
  await clock.advance(2);
  await third;
  t.strictSame(log.held, ['3']);
});

t.test('an unknown topic fails its own records only', async (t) => {
  const { log, gatherer } = setUp();
  log.describeTopic = async function (this: FakeLog, topic?: string) {
    if (topic === 'gone') throw new UnknownTopicError('gone');
    return this.info;
  };
  const other = gatherer.append('a', record('1'));
  await t.rejects(gatherer.append('gone', record('2')), { code: 'LOG_UNKNOWN_TOPIC' });
  await other;
  t.strictSame(log.held, ['1']);
});

t.test('close flushes what lingers, waits for what is in flight, and then refuses', async (t) => {
  const { log, clock, gatherer } = setUp({ lingerMs: 60_000 });
  log.answer = 'wait';
  const first = gatherer.append('a', record('1', 'k'));
  await clock.advance(0);
  const second = gatherer.append('a', record('2', 'k'));
  let closed = false;
  const closing = gatherer.close().then(() => {
    closed = true;
  });
  await t.rejects(gatherer.append('a', record('3')), { code: 'LOG_UNAVAILABLE' });
  await clock.advance(0);
  t.equal(closed, false);
  log.appends[0]?.resolve();
  await first;
  await until(() => log.appends.length === 2, 'the second append begins');
  t.equal(closed, false);
  log.appends[1]?.resolve();
  await Promise.all([second, closing, gatherer.close()]);
  t.equal(clock.pending, 0);
});

t.test('the real clock: 2,000 concurrent records of many keys are all appended, each key in order', async (t) => {
  const log = new FakeLog();
  log.answer = (append) => void setImmediate(() => append.resolve());
  const gatherer = new Gatherer({ log, clock: systemClock });
  const all = Array.from({ length: 2_000 }, (_, n) => gatherer.append('a', record(`${n % 50}:${n}`, `key-${n % 50}`)));
  await Promise.all(all);
  const last = new Map<string, number>();
  for (const value of log.held) {
    const [key = '', n] = value.split(':');
    if (Number(n) <= (last.get(key) ?? -1)) t.fail(`${value} overtook`);
    last.set(key, Number(n));
  }
  t.equal(log.held.length, 2_000);
  await gatherer.close();
});
