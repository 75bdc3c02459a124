import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from '../support/silent.ts';
import { until } from '../support/until.ts';
import { counting, numbered, rangeOf, readAll, valuesOf } from './conformance/harness.ts';
import { onePartition, openLog, testReserveBytes } from './embedded/open.ts';

const hourMs = 3_600_000;

t.test('records are deleted when they are past the retention of their topic', async (t) => {
  const clock = new ManualClock();
  const log = await openWith(t.testdir(), clock);
  t.teardown(() => log.close());
  await log.ensureTopics(['hour'], { ...onePartition, retentionMs: hourMs });
  await log.ensureTopics(['ever'], onePartition);
  await log.append('hour', 0, numbered(0, 5));
  await log.append('ever', 0, numbered(0, 5));
  await clock.advance(hourMs / 2);
  await log.append('hour', 0, numbered(5, 5));
  await clock.advance(hourMs / 2 - 120_000);
  t.equal((await rangeOf(log, 'hour', 0)).start, 0, 'nothing goes before its time');
  await clock.advance(240_000);
  await until(async () => (await rangeOf(log, 'hour', 0)).start === 5, 'the first five are gone');
  t.strictSame(valuesOf(await readAll(log, 'hour', 0)), counting(5, 5));
  await clock.advance(hourMs);
  await until(async () => (await rangeOf(log, 'hour', 0)).start === 10, 'all are gone');
  t.equal(await log.append('hour', 0, numbered(10, 1)), 10, 'offsets go on');
  t.strictSame(await rangeOf(log, 'ever', 0), { partition: 0, start: 0, end: 5 });
});

t.test('what passed its retention while nobody ran is deleted at the next start, and offsets go on', async (t) => {
  const directory = t.testdir();
  const before = new ManualClock();
  const first = await openWith(directory, before);
  await first.ensureTopics(['hour'], { ...onePartition, retentionMs: hourMs });
  await first.append('hour', 0, numbered(0, 7));
  await first.close();
  t.equal(before.pending, 0, 'no timer is left');
  const second = await openWith(directory, new ManualClock(before.now() + 2 * hourMs));
  await until(async () => (await rangeOf(second, 'hour', 0)).start === 7, 'all are gone');
  await second.close();
  const third = await openLog(directory);
  t.strictSame(await rangeOf(third, 'hour', 0), { partition: 0, start: 7, end: 7 });
  t.equal(await third.append('hour', 0, numbered(7, 1)), 7);
  await third.close();
});

t.test('a record that is older than those before it waits for them', async (t) => {
  const clock = new ManualClock();
  const log = await openWith(t.testdir(), clock);
  t.teardown(() => log.close());
  await log.ensureTopics(['hour'], { ...onePartition, retentionMs: hourMs });
  const [young, old] = numbered(0, 2);
  if (!young || !old) throw new Error('two records');
  await log.append('hour', 0, [young]);
  await log.append('hour', 0, [{ ...old, timestampMs: clock.now() - 5 * hourMs }]);
  await clock.advance(hourMs - 60_000);
  t.strictSame(valuesOf(await readAll(log, 'hour', 0)), ['0', '1']);
  await clock.advance(120_000);
  await until(async () => (await rangeOf(log, 'hour', 0)).start === 2, 'both are gone');
});

t.test('much is deleted in small steps, and its room is used again', async (t) => {
  const directory = t.testdir();
  const log = await openLog(directory);
  t.teardown(() => log.close());
  await log.ensureTopics(['large'], onePartition);
  const value = Buffer.alloc(100_000, 'x');
  const fill = () =>
    Promise.all(Array.from({ length: 600 }, () => log.append('large', 0, [{ key: null, value, headers: {} }])));
  const bytesOnDisk = () => statSync(join(directory, 'log.db')).size + statSync(join(directory, 'log.db-wal')).size;
  await fill();
  const bytes = bytesOnDisk();
  t.ok(bytes < 100_000_000, 'the write-ahead log does not hold it all a second time');
  await log.ensureTopics(['small'], onePartition);
  for (const end of [600, 1_200, 1_800]) {
    await log.trim('large', 0, end);
    const offset = await log.append('small', 0, numbered(0, 1));
    t.equal(offset, end / 600 - 1, 'appends come in between');
    await fill();
  }
  t.ok(bytesOnDisk() < 2.2 * bytes, 'the file has not grown fourfold');
  t.strictSame(await rangeOf(log, 'large', 0), { partition: 0, start: 1_800, end: 2_400 });
  t.equal((await log.read('large', 0, 0, 1)).records[0]?.offset, 1_800);
});

t.test('the write-ahead log is moved into the database little by little, as appends wait for it', async (t) => {
  const directory = t.testdir();
  const log = await openLog(directory);
  t.teardown(() => log.close());
  await log.ensureTopics(['large'], onePartition);
  const value = Buffer.alloc(100_000, 'x');
  for (let i = 0; i < 150; i++) await log.append('large', 0, [{ key: null, value, headers: {} }]);
  t.ok(statSync(join(directory, 'log.db-wal')).size < 6_000_000, 'of 15 MB no more than 4 MiB wait');
});

t.test('what was left of a deleted topic is deleted, after a restart too', async (t) => {
  const directory = t.testdir();
  const log = await openLog(directory);
  await log.ensureTopics(['gone'], { ...onePartition, partitions: 3 });
  const value = Buffer.alloc(100_000, 'x');
  for (let i = 0; i < 300; i++) await log.append('gone', i % 3, [{ key: null, value, headers: {} }]);
  await log.deleteTopic('gone');
  await log.close();
  const bytes = statSync(join(directory, 'log.db')).size;
  const again = await openLog(directory);
  await again.ensureTopics(['next'], onePartition);
  for (let i = 0; i < 300; i++) await again.append('next', 0, [{ key: null, value, headers: {} }]);
  await again.close();
  t.ok(statSync(join(directory, 'log.db')).size < 1.3 * bytes, 'its room is used again');
});

function openWith(directory: string, clock: ManualClock): Promise<Log> {
  return openEmbeddedLog({ directory, clock, logger: silent, reserveBytes: testReserveBytes });
}
