import type { Log } from '../../../broker/log/log.ts';
import { type Case, counting, eventually, makeTopic, numbered, rangeOf, readAll, record, valuesOf } from './harness.ts';

export const readCases: Record<string, Case> = {
  async 'ranges tells start and end of every partition, ends the end alone'(t, { log }) {
    const topic = await makeTopic(log, 3);
    await log.append(topic, 0, numbered(0, 4));
    await log.append(topic, 2, numbered(0, 1));
    const ranges = [...(await log.ranges(topic))].sort((a, b) => a.partition - b.partition);
    t.strictSame(ranges, [
      { partition: 0, start: 0, end: 4 },
      { partition: 1, start: 0, end: 0 },
      { partition: 2, start: 0, end: 1 },
    ]);
    const ends = [...(await log.ends(topic))].sort((a, b) => a.partition - b.partition);
    t.strictSame(
      ends,
      ranges.map(({ partition, end }) => ({ partition, offset: end })),
    );
  },

  async 'read goes on where nextOffset says, and gives all records once'(t, { log }) {
    const topic = await makeTopic(log);
    const value = Buffer.alloc(10_000, 'x');
    for (let i = 0; i < 10; i++) await log.append(topic, 0, [{ key: Buffer.from(String(i)), value, headers: {} }]);
    const keys: (string | undefined)[] = [];
    let reads = 0;
    for (let offset = 0; offset < 10; reads++) {
      const { records, nextOffset } = await log.read(topic, 0, offset, 25_000);
      t.ok(records.length > 0 && nextOffset > offset);
      keys.push(...records.map((one) => one.key?.toString()));
      offset = nextOffset;
    }
    t.strictSame(keys, counting(0, 10));
    t.ok(reads > 1, 'maxBytes bounds what one read gives');
  },

  async 'read gives at least one record, however large'(t, { log }) {
    const topic = await makeTopic(log);
    await log.append(topic, 0, [record('x'.repeat(500_000)), record('y'.repeat(500_000))]);
    const first = await log.read(topic, 0, 0, 100);
    t.ok(first.records.length >= 1);
    t.equal(first.records[0]?.offset, 0);
    const last = await log.read(topic, 0, 1, 100);
    t.equal(last.records[0]?.offset, 1);
    t.equal(last.nextOffset, 2);
  },

  async 'read from within what one append brought begins at that record'(t, { log }) {
    const topic = await makeTopic(log);
    await log.append(topic, 0, numbered(0, 10));
    await log.append(topic, 0, numbered(10, 10));
    t.strictSame(valuesOf(await readAll(log, topic, 0, 7)), counting(7, 13));
  },

  async 'read at the end gives nothing and stays there'(t, { log }) {
    const topic = await makeTopic(log);
    const empty = await log.read(topic, 0, 0, 65_536);
    t.strictSame([empty.records.length, empty.nextOffset], [0, 0]);
    await log.append(topic, 0, numbered(0, 3));
    const result = await log.read(topic, 0, 3, 65_536);
    t.strictSame([result.records.length, result.nextOffset], [0, 3]);
  },

  async 'offsetsAt finds the first record of that time or later, and the end where there is none'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const baseMs = Date.now() - 60_000;
    const times = [0, 5_000, 1_000, 9_000, 9_000];
    for (const [i, ms] of times.entries()) {
      await log.append(topic, 0, [{ ...record(String(i)), timestampMs: baseMs + ms }]);
    }
    const at = async (ms: number): Promise<number[]> => {
      const offsets = [...(await log.offsetsAt(topic, baseMs + ms))].sort((a, b) => a.partition - b.partition);
      return offsets.map((one) => one.offset);
    };
    t.strictSame(await at(-1_000), [0, 0]);
    t.strictSame(await at(0), [0, 0]);
    t.strictSame(await at(1), [1, 0]);
    t.strictSame(await at(5_000), [1, 0]);
    t.strictSame(await at(5_001), [3, 0]);
    t.strictSame(await at(9_000), [3, 0]);
    t.strictSame(await at(9_001), [5, 0]);
  },

  async 'offsetsAt finds a record within what one append brought'(t, { log }) {
    const topic = await makeTopic(log);
    const baseMs = Date.now() - 60_000;
    const records = numbered(0, 10).map((one, i) => ({ ...one, timestampMs: baseMs + i * 1_000 }));
    await log.append(topic, 0, records);
    t.strictSame(await log.offsetsAt(topic, baseMs + 6_500), [{ partition: 0, offset: 7 }]);
  },

  async 'trim deletes what is below an offset, and reading goes on at the next record held'(t, { log }) {
    const topic = await makeTopic(log, 2);
    await log.append(topic, 0, numbered(0, 10));
    await log.append(topic, 1, numbered(0, 2));
    await log.trim(topic, 0, 4);
    await eventualRange(log, topic, 4);
    t.strictSame(await rangeOf(log, topic, 0), { partition: 0, start: 4, end: 10 });
    t.strictSame(await rangeOf(log, topic, 1), { partition: 1, start: 0, end: 2 });
    t.equal((await log.read(topic, 0, 0, 65_536)).records[0]?.offset, 4);
    t.strictSame(valuesOf(await readAll(log, topic, 0)), counting(4, 6));
    await log.trim(topic, 0, 2);
    t.equal((await rangeOf(log, topic, 0)).start, 4, 'a trim never brings anything back');
  },

  async 'offsets go on after everything was trimmed, over a reopen too'(t, opened) {
    const topic = await makeTopic(opened.log);
    await opened.log.append(topic, 0, numbered(0, 6));
    await opened.log.trim(topic, 0, 6);
    await eventualRange(opened.log, topic, 6);
    const empty = await opened.log.read(topic, 0, 0, 65_536);
    t.strictSame([empty.records.length, empty.nextOffset], [0, 6]);
    const log = await opened.reopen();
    t.strictSame(await rangeOf(log, topic, 0), { partition: 0, start: 6, end: 6 });
    t.equal(await log.append(topic, 0, numbered(6, 1)), 6);
    t.strictSame(valuesOf(await readAll(log, topic, 0)), ['6']);
  },

  async 'offsetsAt never answers below what is held'(t, { log }) {
    const topic = await makeTopic(log);
    const baseMs = Date.now() - 60_000;
    const records = numbered(0, 6).map((one, i) => ({ ...one, timestampMs: baseMs + i * 1_000 }));
    for (const one of records) await log.append(topic, 0, [one]);
    await log.trim(topic, 0, 3);
    await eventualRange(log, topic, 3);
    t.strictSame(await log.offsetsAt(topic, baseMs), [{ partition: 0, offset: 3 }]);
    t.strictSame(await log.offsetsAt(topic, baseMs + 4_000), [{ partition: 0, offset: 4 }]);
  },
};

async function eventualRange(log: Log, topic: string, start: number): Promise<void> {
  await eventually(async () => (await rangeOf(log, topic, 0)).start === start, `the partition starts at ${start}`);
}
