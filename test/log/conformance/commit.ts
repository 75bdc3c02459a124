import { StaleEpochError } from '../../../broker/log/errors.ts';
import type { Log, LogConsumer, TopicCommit } from '../../../broker/log/log.ts';
import { Collector } from './collector.ts';
import { type Case, counting, eventually, makeTopic, numbered, rangeOf, uniqueName } from './harness.ts';

export const commitCases: Record<string, Case> = {
  async 'a new consumer goes on at the commit, with its metadata, after the old one closed'(t, opened) {
    const { log } = opened;
    const topic = await makeTopic(log, 2);
    const group = uniqueName('group');
    const metadata = 'abcdefgh'.repeat(512);
    t.equal(metadata.length, 4_096);
    await log.append(topic, 0, numbered(0, 10));
    await log.append(topic, 1, numbered(50, 4));
    await commitOnce(log, group, topic, 14, [
      { topic, partition: 0, offset: 6, metadata },
      { topic, partition: 1, offset: 4, metadata: '' },
    ]);
    const next = new Collector();
    await next.join(log, { group, topics: [topic], startAt: 'latest' });
    await eventually(() => next.valuesOf(topic, 0).length === 4, 'the rest has come');
    t.strictSame(
      next.assignments.map(({ offset, metadata }) => ({ offset, metadata })),
      [
        { offset: 6, metadata },
        { offset: 4, metadata: '' },
      ],
    );
    t.strictSame(next.valuesOf(topic, 0), counting(6, 4));
    t.strictSame(next.valuesOf(topic, 1), []);
    await next.close();
    t.strictSame(next.violations, []);
  },

  async 'commits outlive the log'(t, opened) {
    const topic = await makeTopic(opened.log, 1);
    const group = uniqueName('group');
    await opened.log.append(topic, 0, numbered(0, 10));
    await commitOnce(opened.log, group, topic, 10, [{ topic, partition: 0, offset: 7, metadata: 'x' }]);
    const log = await opened.reopen();
    t.strictSame(await log.committed(group, topic), [{ partition: 0, offset: 7, metadata: 'x' }]);
  },

  async 'committed tells the latest commit of each partition that has one'(t, { log }) {
    const topic = await makeTopic(log, 3);
    const other = await makeTopic(log, 1);
    const group = uniqueName('group');
    t.strictSame(await log.committed(group, topic), []);
    await log.append(topic, 1, numbered(0, 10));
    const collector = new Collector();
    const consumer = await collector.join(log, { group, topics: [topic, other], startAt: 'earliest' });
    await eventually(() => collector.count === 10, 'the records have come');
    await consumer.commit(collector.epoch, [{ topic, partition: 1, offset: 3, metadata: 'three' }]);
    await consumer.commit(collector.epoch, [
      { topic, partition: 1, offset: 5, metadata: 'five' },
      { topic: other, partition: 0, offset: 0, metadata: 'other' },
    ]);
    const commits = [...(await log.committed(group, topic))].sort((a, b) => a.partition - b.partition);
    t.strictSame(commits, [
      { partition: 0, offset: 0, metadata: '' },
      { partition: 1, offset: 5, metadata: 'five' },
      { partition: 2, offset: 0, metadata: '' },
    ]);
    t.strictSame(await log.committed(group, other), [{ partition: 0, offset: 0, metadata: 'other' }]);
    t.strictSame(await log.committed(uniqueName('group'), topic), []);
    await collector.close();
  },

  async 'groups keep their commits apart'(t, { log }) {
    const topic = await makeTopic(log);
    const [one, two] = [uniqueName('group'), uniqueName('group')];
    await log.append(topic, 0, numbered(0, 5));
    await commitOnce(log, one, topic, 5, [{ topic, partition: 0, offset: 2, metadata: '' }]);
    await commitOnce(log, two, topic, 5, [{ topic, partition: 0, offset: 4, metadata: '' }]);
    t.equal((await log.committed(one, topic))[0]?.offset, 2);
    t.equal((await log.committed(two, topic))[0]?.offset, 4);
  },

  async 'a commit of an epoch that has passed is refused and commits nothing'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 5));
    const first = new Collector();
    const consumer = await first.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => first.count === 5, 'the records have come');
    const epoch = first.epoch;
    const second = new Collector();
    await second.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => first.epoch > epoch && second.assignments.length === 1, 'the partitions are shared');
    const commit = { topic, partition: 0, offset: 5, metadata: '' };
    await t.rejects(consumer.commit(epoch, [commit]), StaleEpochError);
    t.equal((await log.committed(group, topic)).find((one) => one.partition === 0)?.offset, 0);
    await first.close();
    await second.close();
  },

  async 'a commit after close is refused'(t, { log }) {
    const topic = await makeTopic(log);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 5));
    const collector = new Collector();
    const consumer = await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => collector.count === 5, 'the records have come');
    const epoch = collector.epoch;
    await collector.close();
    await t.rejects(consumer.commit(epoch, [{ topic, partition: 0, offset: 5, metadata: '' }]));
    t.equal((await log.committed(group, topic))[0]?.offset, 0);
  },

  async 'latest is resolved once: what comes while nobody reads is read later'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 3));
    const first = new Collector();
    await first.join(log, { group, topics: [topic], startAt: 'latest' });
    await eventually(() => first.assignments.length === 2, 'the partitions are assigned');
    const start = [...(await log.committed(group, topic))].sort((a, b) => a.partition - b.partition);
    t.strictSame(
      start.map((one) => one.offset),
      [3, 0],
    );
    await first.close();
    t.equal(first.count, 0);

    await log.append(topic, 0, numbered(3, 2));
    await log.append(topic, 1, numbered(50, 2));
    const second = new Collector();
    await second.join(log, { group, topics: [topic], startAt: 'latest' });
    await eventually(() => second.count === 4, 'the records from between have come');
    t.strictSame(second.valuesOf(topic, 0), counting(3, 2));
    t.strictSame(second.valuesOf(topic, 1), counting(50, 2));
    await second.close();
    t.strictSame(second.violations, []);
  },

  async 'starts that are kept elsewhere hold where no commit does'(t, { log }) {
    const topic = await makeTopic(log, 4);
    const group = uniqueName('group');
    for (const partition of [0, 1, 2, 3]) await log.append(topic, partition, numbered(10 * partition, 5));
    const first = new Collector();
    const consumer = await first.join(log, {
      group,
      topics: [topic],
      startAt: [3, 5, 1],
    });
    await eventually(() => first.count === 2 + 0 + 4 + 5, 'what is at and above the starts has come');
    t.strictSame(first.valuesOf(topic, 0), counting(3, 2));
    t.strictSame(first.valuesOf(topic, 2), counting(21, 4));
    await consumer.commit(first.epoch, [
      { topic, partition: 0, offset: 4, metadata: 'kept' },
      { topic, partition: 1, offset: 5, metadata: '' },
      { topic, partition: 2, offset: 4, metadata: '' },
      { topic, partition: 3, offset: 5, metadata: '' },
    ]);
    await first.close();

    const second = new Collector();
    await second.join(log, { group, topics: [topic], startAt: [5, 5, 5, 5] });
    await eventually(() => second.count === 1 + 0 + 1 + 0, 'the rest has come');
    t.match(second.assignment(topic, 0), { offset: 4, metadata: 'kept' });
    t.match(second.assignment(topic, 2), { offset: 4, metadata: '' });
    await second.close();
    t.strictSame([...first.violations, ...second.violations], []);
    t.strictSame([...first.lostRanges, ...second.lostRanges], []);
  },

  async 'a start is committed for every partition before the first record is handed out'(t, { log }) {
    const topic = await makeTopic(log, 3);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 1));
    const collector = new Collector();
    await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => collector.count === 1, 'the record has come');
    t.equal((await log.committed(group, topic)).length, 3);
    await collector.close();
  },

  async 'a position that was trimmed away is reported as lost, and reading goes on after it'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 10));
    await log.append(topic, 1, numbered(50, 5));
    await commitOnce(log, group, topic, 15, [
      { topic, partition: 0, offset: 3, metadata: 'settled above' },
      { topic, partition: 1, offset: 2, metadata: 'kept' },
    ]);
    await log.trim(topic, 0, 6);
    await eventually(async () => (await rangeOf(log, topic, 0)).start === 6, 'the records are gone');
    const next = new Collector();
    await next.join(log, { group, topics: [topic], startAt: 'latest' });
    await eventually(() => next.count === 7, 'the records that are left have come');
    t.strictSame(
      next.lostRanges.map((one) => ({ ...one })),
      [{ topic, partition: 0, from: 3, to: 6 }],
    );
    t.equal(next.assignment(topic, 0)?.offset, 6, 'an assignment is always within the log');
    t.equal(next.assignment(topic, 0)?.metadata, '', 'metadata belongs to the offset that it was committed with');
    t.equal(next.assignment(topic, 1)?.metadata, 'kept');
    t.strictSame(next.valuesOf(topic, 0), counting(6, 4));
    t.strictSame(next.valuesOf(topic, 1), counting(52, 3));
    await next.close();
    t.strictSame(next.violations, []);
  },

  async 'a position whose records were all trimmed away is reported, and new records come'(t, { log }) {
    const topic = await makeTopic(log);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 10));
    await commitOnce(log, group, topic, 10, [{ topic, partition: 0, offset: 2, metadata: '' }]);
    await log.trim(topic, 0, 10);
    await eventually(async () => (await rangeOf(log, topic, 0)).start === 10, 'the records are gone');
    const next = new Collector();
    await next.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => next.lostRanges.length > 0, 'the loss is reported');
    await log.append(topic, 0, numbered(10, 3));
    await eventually(() => next.count === 3, 'the new records have come');
    t.strictSame(
      next.lostRanges.map((one) => ({ ...one })),
      [{ topic, partition: 0, from: 2, to: 10 }],
    );
    t.strictSame(next.valuesOf(topic, 0), counting(10, 3));
    await next.close();
    t.strictSame(next.violations, []);
  },

  async 'a position above the end is reported, and reading goes on within the log'(t, { log }) {
    const topic = await makeTopic(log);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 5));
    await commitOnce(log, group, topic, 5, [{ topic, partition: 0, offset: 50, metadata: 'above' }]);
    const next = new Collector();
    await next.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => next.assignments.length === 1, 'the partition is assigned');
    const assignment = next.assignment(topic, 0);
    t.ok(assignment !== undefined && assignment.offset <= 5, 'an assignment is always within the log');
    t.equal(assignment?.metadata, '');
    await eventually(() => next.disturbances.length > 0, 'it is reported');
    await log.append(topic, 0, numbered(5, 1));
    await eventually(() => next.valuesOf(topic, 0).includes('5'), 'the new record has come');
    await next.close();
    t.strictSame(next.violations, []);
  },

  async 'hundreds of partitions are committed at once, each with as much metadata as there may be'(t, { log }) {
    const partitions = Array.from({ length: 500 }, (_, partition) => partition);
    const topic = await makeTopic(log, partitions.length);
    const group = uniqueName('group');
    await log.append(topic, 7, numbered(0, 1));
    const metadata = 'm'.repeat(4_096);
    const commits = partitions.map((partition) => ({ topic, partition, offset: 0, metadata }));
    await commitOnce(log, group, topic, 1, commits);
    const committed = await log.committed(group, topic);
    t.equal(committed.length, partitions.length);
    t.ok(
      committed.every((commit) => commit.metadata === metadata),
      'with all of it',
    );
  },

  async 'deleteGroup forgets the commits'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 5));
    await commitOnce(log, group, topic, 5, [{ topic, partition: 0, offset: 5, metadata: '' }]);
    await log.deleteGroup(group);
    t.strictSame(await log.committed(group, topic), []);
    const next = new Collector();
    await next.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => next.count === 5, 'the group reads from the beginning');
    await next.close();
  },

  async 'deleting a group that never was is no error'(t, { log }) {
    await log.deleteGroup(uniqueName('group'));
    t.pass('resolved');
  },
};

/** Joins the group, waits until `count` records have come, commits, and leaves. */
async function commitOnce(
  log: Log,
  group: string,
  topic: string,
  count: number,
  commits: readonly TopicCommit[],
): Promise<void> {
  const collector = new Collector();
  const consumer: LogConsumer = await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
  await eventually(() => collector.count === count, `${count} records have come`);
  await consumer.commit(collector.epoch, commits);
  await collector.close();
}
