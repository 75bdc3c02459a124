import type { Log } from '../../../broker/log/log.ts';
import { Collector } from './collector.ts';
import { type Case, counting, eventually, makeTopic, numbered, uniqueName } from './harness.ts';

export const groupCases: Record<string, Case> = {
  async 'two consumers of a group share the partitions, and what was not committed comes again'(t, { log }) {
    const topic = await makeTopic(log, 4);
    const group = uniqueName('group');
    for (const partition of partitions) await log.append(topic, partition, numbered(0, 10));
    const first = await member(log, group, topic);
    await eventually(() => first.count === 40, 'the first consumer has everything');
    const second = await member(log, group, topic);
    await eventually(() => shared(first, second), 'the partitions are shared');
    await eventually(() => first.count + second.count === 40, 'what was not committed came again');
    const owned = [...first.assignments, ...second.assignments].map((one) => one.partition).sort();
    t.strictSame(owned, partitions, 'each partition has one owner');
    for (const partition of partitions) {
      const values = [...first.valuesOf(topic, partition), ...second.valuesOf(topic, partition)];
      t.strictSame(values, counting(0, 10));
    }
    for (const partition of partitions) await log.append(topic, partition, numbered(10, 5));
    await eventually(() => first.count + second.count === 60, 'both go on');
    await first.close();
    await second.close();
    t.strictSame([first.violations, second.violations], [[], []]);
  },

  async 'who is left takes over from the committed positions'(t, { log }) {
    const topic = await makeTopic(log, 4);
    const group = uniqueName('group');
    const first = await member(log, group, topic);
    const second = await member(log, group, topic);
    await eventually(() => shared(first, second), 'the partitions are shared');
    for (const partition of partitions) await log.append(topic, partition, numbered(0, 10));
    await eventually(() => first.count + second.count === 40, 'the records have come');
    const commits = second.assignments.map(({ partition }) => ({ topic, partition, offset: 7, metadata: 'seven' }));
    await second.commit(commits);
    await second.close();
    await eventually(() => first.assignments.length === 4, 'the first owns all partitions');
    await eventually(() => first.count === 20 + 2 * 3, 'what was not committed has come');
    for (const { partition } of commits) {
      t.equal(first.assignment(topic, partition)?.metadata, 'seven');
      t.strictSame(first.valuesOf(topic, partition), counting(7, 3));
    }
    await first.close();
    t.strictSame([first.violations, second.violations], [[], []]);
  },

  async 'a pause holds while the partition is owned, over a rebalance too'(t, { log }) {
    const topic = await makeTopic(log, 4);
    const group = uniqueName('group');
    const first = await member(log, group, topic);
    await eventually(() => first.assignments.length === 4, 'the partitions are assigned');
    first.pause(first.assignments);
    const second = await member(log, group, topic);
    await eventually(() => shared(first, second), 'the partitions are shared');
    for (const partition of partitions) await log.append(topic, partition, numbered(0, 3));
    await eventually(() => second.count === 6, 'the partitions that moved are read');
    t.equal(first.count, 0);
    first.resume(first.assignments);
    await eventually(() => first.count === 6, 'the partitions that stayed are read after resume');
    await second.close();
    await eventually(() => first.assignments.length === 4, 'the first owns all partitions');
    await eventually(() => first.count === 12, 'a partition that comes back is not paused');
    await first.close();
    t.strictSame([first.violations, second.violations], [[], []]);
  },

  async 'a consumer with nothing to own waits until there is something'(t, { log }) {
    const topic = await makeTopic(log, 1);
    const group = uniqueName('group');
    const first = await member(log, group, topic);
    await eventually(() => first.assignments.length === 1, 'the partition is assigned');
    const epoch = first.epoch;
    const second = await member(log, group, topic);
    await eventually(() => first.epoch > epoch || second.assignments.length === 1, 'both have joined');
    await log.append(topic, 0, numbered(0, 5));
    await eventually(() => first.count + second.count === 5, 'one of them has the records');
    t.equal(first.assignments.length + second.assignments.length, 1);
    const [owner, idle] = first.assignments.length === 1 ? [first, second] : [second, first];
    await owner.commit([{ topic, partition: 0, offset: 5, metadata: '' }]);
    await owner.close();
    await log.append(topic, 0, numbered(5, 5));
    await eventually(() => idle.count === 5, 'the other one has taken over');
    t.strictSame(idle.valuesOf(topic, 0), counting(5, 5));
    await idle.close();
    t.strictSame([first.violations, second.violations], [[], []]);
  },

  async 'groups do not disturb each other'(t, { log }) {
    const topic = await makeTopic(log, 2);
    for (const partition of [0, 1]) await log.append(topic, partition, numbered(0, 5));
    const one = await member(log, uniqueName('group'), topic);
    await eventually(() => one.count === 10, 'the first group has everything');
    const two = await member(log, uniqueName('group'), topic);
    await eventually(() => two.count === 10, 'the second group has everything too');
    t.equal(one.count, 10);
    t.equal(one.assignments.length, 2);
    await one.close();
    await two.close();
    t.strictSame([one.violations, two.violations], [[], []]);
  },
};

const partitions = [0, 1, 2, 3];

async function member(log: Log, group: string, topic: string): Promise<Collector> {
  const collector = new Collector();
  await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
  return collector;
}

function shared(first: Collector, second: Collector): boolean {
  return first.assignments.length === 2 && second.assignments.length === 2;
}
