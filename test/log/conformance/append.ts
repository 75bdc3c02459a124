import { RecordTooLargeError } from '../../../broker/log/errors.ts';
import { encodedBytes, type Log, type LogRecord, type NewRecord } from '../../../broker/log/log.ts';
import { type Case, counting, makeTopic, numbered, rangeOf, readAll, record, uniqueName, valuesOf } from './harness.ts';

export const appendCases: Record<string, Case> = {
  async 'append answers the offset of the first record, and the records follow in order'(t, { log }) {
    const topic = await makeTopic(log, 2);
    t.equal(await log.append(topic, 0, numbered(0, 3)), 0);
    t.equal(await log.append(topic, 0, numbered(3, 4)), 3);
    t.equal(await log.append(topic, 1, numbered(50, 1)), 0);
    const records = await readAll(log, topic, 0);
    t.strictSame(
      records.map((one) => one.offset),
      [0, 1, 2, 3, 4, 5, 6],
    );
    t.strictSame(valuesOf(records), counting(0, 7));
    t.strictSame(valuesOf(await readAll(log, topic, 1)), ['50']);
  },

  async 'appends at the same time each get offsets of their own, in a row'(t, { log }) {
    const topic = await makeTopic(log, 3);
    const appends = Array.from({ length: 60 }, async (_, i) => {
      const partition = i % 3;
      return { partition, from: i * 10, first: await log.append(topic, partition, numbered(i * 10, 1 + (i % 4))) };
    });
    const done = await Promise.all(appends);
    for (const partition of [0, 1, 2]) {
      const records = await readAll(log, topic, partition);
      const mine = done.filter((one) => one.partition === partition);
      for (const { from, first } of mine) {
        const count = 1 + ((from / 10) % 4);
        t.strictSame(valuesOf(records.slice(first, first + count)), counting(from, count));
      }
      t.equal(new Set(records.map((one) => one.offset)).size, records.length);
    }
  },

  async 'what was appended outlives the log, and offsets go on'(t, opened) {
    const topic = await makeTopic(opened.log);
    await opened.log.append(topic, 0, numbered(0, 10));
    const log = await opened.reopen();
    t.strictSame(valuesOf(await readAll(log, topic, 0)), counting(0, 10));
    t.equal(await log.append(topic, 0, numbered(10, 1)), 10);
  },

  async 'a key or value that is null stays null, and one that is empty stays empty'(t, { log }) {
    const empty = Buffer.alloc(0);
    const records = await roundTrip(log, [
      { key: null, value: null, headers: {} },
      { key: empty, value: empty, headers: {} },
      { key: null, value: empty, headers: {} },
      { key: empty, value: null, headers: {} },
    ]);
    const shapes = records.map((one) => [one.key?.length ?? null, one.value?.length ?? null]);
    t.strictSame(shapes, [
      [null, null],
      [0, 0],
      [null, 0],
      [0, null],
    ]);
  },

  async 'keys and values pass byte for byte'(t, { log }) {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const [one] = await roundTrip(log, [{ key: Buffer.from('clé-鍵'), value: every, headers: {} }]);
    t.equal(one?.key?.toString(), 'clé-鍵');
    t.ok(one?.value?.equals(every));
  },

  async 'headers keep their names, their bytes, and their order where a name repeats'(t, { log }) {
    const bytes = Buffer.from([0, 255, 128, 10]);
    const [one] = await roundTrip(log, [
      {
        key: null,
        value: null,
        headers: {
          'content-type': 'text/plain',
          ce_subject: 'Zürich – 東京 🚲',
          'x-naïve': 'name',
          none: '',
          bytes,
          list: [Buffer.from('b'), Buffer.from(''), Buffer.from('a')],
          single: [Buffer.from('only')],
        },
      },
    ]);
    t.strictSame(headersOf(one), {
      'content-type': 'text/plain',
      ce_subject: 'Zürich – 東京 🚲',
      'x-naïve': 'name',
      none: '',
      bytes: bytes.toString(),
      list: ['b', '', 'a'],
      single: 'only',
    });
    const raw = one?.headers.bytes;
    t.ok(Buffer.isBuffer(raw) && raw.equals(bytes));
  },

  async 'a value of 1 MiB passes, through read and over a reopen'(t, opened) {
    const value = Buffer.alloc(1_048_576, 'posthorn ');
    const topic = await makeTopic(opened.log);
    await opened.log.append(topic, 0, [record('before')]);
    t.equal(await opened.log.append(topic, 0, [{ key: Buffer.from('k'), value, headers: { h: 'v' } }]), 1);
    const log = await opened.reopen();
    const records = await readAll(log, topic, 0);
    t.ok(records[1]?.value?.equals(value));
  },

  async 'a batch up to what the topic takes is appended, whatever its records are'(t, { log }) {
    const topic = uniqueName('topic');
    await log.ensureTopics([topic], { partitions: 1, retentionMs: null, maxMessageBytes: 100_000 });
    const one = sized(encodedBytes(record('')), 99_900);
    t.equal(await log.append(topic, 0, [one]), 0);
    const small = Array.from({ length: 900 }, () => record('x'.repeat(70)));
    t.ok(small.reduce((sum, each) => sum + encodedBytes(each), 0) < 100_000);
    t.equal(await log.append(topic, 0, small), 1);
    t.equal((await rangeOf(log, topic, 0)).end, 901);
  },

  async 'a record larger than the topic takes is refused and nothing is appended'(t, { log }) {
    const topic = uniqueName('topic');
    await log.ensureTopics([topic], { partitions: 1, retentionMs: null, maxMessageBytes: 100_000 });
    await t.rejects(log.append(topic, 0, [record('x'.repeat(100_001))]), RecordTooLargeError);
    await t.rejects(log.append(topic, 0, [record('small'), record('x'.repeat(200_000))]), RecordTooLargeError);
    const together = Array.from({ length: 30 }, () => record('x'.repeat(5_000)));
    await t.rejects(log.append(topic, 0, together), RecordTooLargeError);
    t.equal(await log.append(topic, 0, [record('fits')]), 0);
  },

  async 'a time that is given is kept, and one that is not is the time of the append'(t, { log }) {
    const topic = await makeTopic(log);
    const givenMs = Date.now() - 3_600_000;
    const beforeMs = Date.now();
    await log.append(topic, 0, [{ ...record('given'), timestampMs: givenMs }, record('absent')]);
    const [given, absent] = await readAll(log, topic, 0);
    t.equal(given?.timestampMs, givenMs);
    t.ok(absent !== undefined && absent.timestampMs >= beforeMs - 5_000 && absent.timestampMs <= Date.now() + 5_000);
  },

  async 'what is read is the appended bytes also when the appender reuses its buffer'(t, { log }) {
    const topic = await makeTopic(log);
    const value = Buffer.from('first');
    await log.append(topic, 0, [{ key: null, value, headers: {} }]);
    value.write('XXXXX');
    t.strictSame(valuesOf(await readAll(log, topic, 0)), ['first']);
  },
};

async function roundTrip(log: Log, records: readonly NewRecord[]): Promise<LogRecord[]> {
  const topic = await makeTopic(log);
  await log.append(topic, 0, records);
  return readAll(log, topic, 0);
}

function sized(overheadBytes: number, bytes: number): NewRecord {
  return record('x'.repeat(bytes - overheadBytes));
}

function headersOf(record: LogRecord | undefined): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(record?.headers ?? {})) {
    const isOne = typeof value === 'string' || Buffer.isBuffer(value);
    headers[name] = isOne ? value.toString() : value.map((one) => one.toString());
  }
  return headers;
}
