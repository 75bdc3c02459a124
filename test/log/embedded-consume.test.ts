import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LogUnavailableError, StaleEpochError, UnknownTopicError } from '../../broker/log/errors.ts';
import type { Log } from '../../broker/log/log.ts';
import { collectGarbage } from '../support/garbage.ts';
import { until } from '../support/until.ts';
import { Collector } from './conformance/collector.ts';
import { counting, numbered, readAll } from './conformance/harness.ts';
import { onePartition, openLog } from './embedded/open.ts';

const topic = 'topic';

t.test('no handler is called before consume has resolved', async (t) => {
  const log = await openLog(t.testdir());
  t.teardown(() => log.close());
  await log.ensureTopics([topic], onePartition);
  await log.append(topic, 0, numbered(0, 3));
  const calls: string[] = [];
  await log.consume({
    group: 'group',
    topics: [topic],
    startAt: 'earliest',
    handler: {
      assigned: () => void calls.push('assigned'),
      records: (batch) => {
        calls.push('records');
        return batch.records.length;
      },
      lost: () => {},
      disturbed: () => {},
    },
  });
  calls.push('resolved');
  await until(() => calls.length === 3, 'the records have come');
  t.strictSame(calls, ['resolved', 'assigned', 'records']);
});

t.test('a running consumer is told what was trimmed ahead of it', async (t) => {
  const log = await openLog(t.testdir());
  t.teardown(() => log.close());
  const collector = await joined(log);
  collector.pause([{ topic, partition: 0 }]);
  await log.append(topic, 0, numbered(0, 10));
  await log.trim(topic, 0, 4);
  collector.resume([{ topic, partition: 0 }]);
  await until(() => collector.count === 6, 'the rest has come');
  t.strictSame(collector.lostRanges, [{ topic, partition: 0, from: 0, to: 4 }]);
  t.strictSame(collector.valuesOf(topic, 0), counting(4, 6));
  t.strictSame(collector.violations, []);
});

t.test('commit metadata over 4,096 units is refused and nothing is committed', async (t) => {
  const log = await openLog(t.testdir());
  t.teardown(() => log.close());
  const collector = await joined(log);
  await log.append(topic, 0, numbered(0, 2));
  const commit = { topic, partition: 0, offset: 1 };
  await t.rejects(collector.commit([{ ...commit, metadata: 'x'.repeat(4_097) }]), RangeError);
  t.strictSame(await log.committed('group', topic), [{ partition: 0, offset: 0, metadata: '' }]);
});

t.test('a topic that is deleted is taken from its consumer, and given back when it is made again', async (t) => {
  const log = await openLog(t.testdir());
  t.teardown(() => log.close());
  const collector = await joined(log);
  await log.append(topic, 0, numbered(0, 5));
  await until(() => collector.count === 5, 'the records have come');
  const epoch = collector.epoch;
  await log.deleteTopic(topic);
  await until(() => collector.assignments.length === 0, 'the partition is gone');
  await log.ensureTopics([topic], onePartition);
  await log.append(topic, 0, numbered(100, 2));
  await until(() => collector.count === 2, 'the new records have come');
  t.strictSame(collector.valuesOf(topic, 0), ['100', '101']);
  t.ok(collector.epoch > epoch);
  t.strictSame(collector.violations, []);
});

t.test('a group that has members is not deleted', async (t) => {
  const log = await openLog(t.testdir());
  t.teardown(() => log.close());
  const collector = await joined(log);
  await t.rejects(log.deleteGroup('group'), /still has members/);
  await collector.close();
  await log.deleteGroup('group');
  t.strictSame(await log.committed('group', topic), []);
});

t.test('consuming a topic that is not there is refused', async (t) => {
  const log = await openLog(t.testdir());
  t.teardown(() => log.close());
  const options = { group: 'group', topics: ['nowhere'], startAt: 'earliest' } as const;
  await t.rejects(new Collector().join(log, options), UnknownTopicError);
});

t.test('what handlers leave of many partitions is not all kept in memory, and comes after resume', async (t) => {
  const directory = t.testdir();
  const writing = await openLog(directory);
  const all = Array.from({ length: 100 }, (_, partition) => ({ topic: 'wide', partition }));
  await writing.ensureTopics(['wide'], { ...onePartition, partitions: all.length });
  const record = { key: null, value: Buffer.alloc(400_000, 'x'), headers: {} };
  for (const { partition } of all) await writing.append('wide', partition, [record, record]);
  await writing.close();
  const log = await openLog(directory);
  t.teardown(() => log.close());
  const collector = new Collector();
  const refused = new Set<number>();
  collector.take = (batch) => {
    refused.add(batch.partition);
    return 0;
  };
  const before = externalBytes();
  await collector.join(log, { group: 'wide', topics: ['wide'], startAt: 'earliest' });
  await until(() => refused.size === all.length, 'every partition was refused once');
  await until(() => externalBytes() - before < 30_000_000, 'little of the 80 MB is held');
  collector.take = (batch) => batch.records.length;
  collector.resume(all);
  await until(() => collector.count === 2 * all.length, 'everything has come');
  t.strictSame(collector.violations, []);
});

t.test('a damaged database fails the log, loudly and for good', async (t) => {
  const directory = t.testdir();
  const writing = await openLog(directory);
  await writing.ensureTopics([topic], onePartition);
  const value = Buffer.alloc(100_000, 'x');
  for (let i = 0; i < 100; i++) await writing.append(topic, 0, [{ key: null, value, headers: {} }]);
  await writing.close();

  const log = await openLog(directory);
  const collector = await joined(log);
  await until(() => collector.count === 100, 'all records have come');
  const epoch = collector.epoch;
  garble(join(directory, 'log.db'));
  // What SQLite still has in memory is read once more; then the file.
  await t.rejects(
    until(async () => (await readAll(log, topic, 0)).length === 0, 'never', 5_000),
    LogUnavailableError,
  );
  await t.rejects(log.append(topic, 0, numbered(0, 1)), { message: new RegExp(`log in ${directory} has failed`) });
  await t.rejects(log.ranges(topic), LogUnavailableError);
  t.match(await log.failed, { code: 'LOG_UNAVAILABLE', message: /has failed/ });
  t.strictSame(collector.assignedLists.at(-1), []);
  t.type(collector.disturbances.at(-1), LogUnavailableError);
  await t.rejects(collector.commit([]), StaleEpochError);
  t.ok(collector.epoch >= epoch);
  await collector.close();
  await log.close();
  t.strictSame(collector.violations, []);
});

/** A collector of group `group` that has the only partition of `topic`. */
async function joined(log: Log): Promise<Collector> {
  await log.ensureTopics([topic], onePartition);
  const collector = new Collector();
  await collector.join(log, { group: 'group', topics: [topic], startAt: 'earliest' });
  await until(() => collector.assignments.length === 1, 'the partition is assigned');
  return collector;
}

function externalBytes(): number {
  collectGarbage();
  return process.memoryUsage().external;
}

/** Overwrites everything but the first page. */
function garble(file: string): void {
  const handle = openSync(file, 'r+');
  const piece = Buffer.alloc(4_096, 0x5a);
  const { size } = statSync(file);
  for (let at = 4_096; at < size; at += piece.length) writeSync(handle, piece, 0, piece.length, at);
  closeSync(handle);
}
