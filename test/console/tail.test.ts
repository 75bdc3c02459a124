import t from 'tap';
import type { Log, LogRecord } from '../../broker/log/log.ts';
import { readTail } from '../../console/tail.ts';
import { onBothLogs } from '../support/logs.ts';

const spec = { partitions: 3, retentionMs: null, maxMessageBytes: 2 * 1_048_576 };
const textOfValue = ({ value }: LogRecord): string => String(value);

onBothLogs(
  'the newest records of all partitions come in order of time, at most as many as asked for',
  async (t, under) => {
    const log = await under.open();
    t.teardown(() => log.close());
    const topic = `${under.prefix}.tail`;
    await log.ensureTopics([topic], spec);
    t.strictSame(await readTail(log, topic, 5, textOfValue), { items: [], hasMore: false });

    // 30 records: 0 to 9 in partition 0, every other one of the rest in 1; partition 2 stays empty.
    for (let n = 0; n < 30; n++) {
      const record = { key: null, value: Buffer.from(String(n)), headers: {}, timestampMs: 1_700_000_000_000 + n };
      await log.append(topic, n < 10 || n % 2 === 0 ? 0 : 1, [record]);
    }
    t.strictSame(await readTail(log, topic, 5, textOfValue), { items: ['25', '26', '27', '28', '29'], hasMore: true });
    const all = Array.from({ length: 30 }, (_, n) => String(n));
    t.strictSame(await readTail(log, topic, 30, textOfValue), { items: all, hasMore: false });
    t.strictSame(await readTail(log, topic, 29, textOfValue), { items: all.slice(1), hasMore: true });

    const early = (record: LogRecord): string | null => (Number(textOfValue(record)) < 5 ? textOfValue(record) : null);
    t.strictSame(await readTail(log, topic, 3, early), { items: ['2', '3', '4'], hasMore: true }, 'far back');
    t.strictSame(await readTail(log, topic, 20, early), { items: ['0', '1', '2', '3', '4'], hasMore: false });

    await log.trim(topic, 0, 3);
    t.strictSame(await readTail(log, topic, 30, textOfValue), { items: all.slice(3), hasMore: false }, 'after a trim');
  },
);

/** A topic of one partition with as many records of as many bytes. */
function virtualLog(count: number, bytes: number) {
  const value = Buffer.alloc(bytes);
  const seen = { records: 0, bytes: 0 };
  const log: Pick<Log, 'ranges' | 'read'> = {
    ranges: async () => [{ partition: 0, start: 0, end: count }],
    async read(_topic, _partition, fromOffset, maxBytes) {
      const length = Math.min(count - fromOffset, Math.max(1, Math.floor(maxBytes / bytes)));
      seen.records += length;
      seen.bytes += length * bytes;
      const records = Array.from({ length }, (_, n) => {
        return { offset: fromOffset + n, timestampMs: fromOffset + n, key: null, value, headers: {} };
      });
      return { records, nextOffset: fromOffset + length };
    },
  };
  return { log, seen };
}

t.test('no more is read than a bound allows, and what was found by then is shown', async (t) => {
  const large = virtualLog(1_000, 1_048_576);
  const tail = await readTail(large.log, 'large', 100, ({ offset }) => offset);
  t.ok(tail.hasMore);
  t.strictSame(
    tail.items,
    Array.from({ length: 21 }, (_, n) => 979 + n),
    'the newest, without a gap',
  );
  t.ok(large.seen.bytes < 64 * 1_048_576, `${large.seen.bytes} bytes`);

  const many = virtualLog(1_000_000, 100);
  t.strictSame(await readTail(many.log, 'many', 20, () => null), { items: [], hasMore: true });
  t.ok(many.seen.records < 200_000, `${many.seen.records} records`);
  const reached = await readTail(many.log, 'many', 20, ({ offset }) => (offset < 955_000 ? offset : null));
  t.equal(reached.items.at(-1), 954_999, 'as far as the bound for records');
});

t.test('one record that is larger than the bound is shown', async (t) => {
  const huge = virtualLog(3, 40 * 1_048_576);
  t.strictSame(await readTail(huge.log, 'huge', 3, ({ offset }) => offset), { items: [2], hasMore: true });
});
