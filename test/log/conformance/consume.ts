import type { Log } from '../../../broker/log/log.ts';
import { Collector } from './collector.ts';
import { type Case, counting, eventually, makeTopic, numbered, record, uniqueName } from './harness.ts';

export const consumeCases: Record<string, Case> = {
  async 'a consumer gets every record once, in order of its partition'(t, { log }) {
    const topic = await makeTopic(log, 3);
    for (const partition of [0, 1, 2]) await log.append(topic, partition, numbered(0, 300));
    const collector = await joined(log, [topic]);
    await eventually(() => collector.count === 900, 'the records from before have come');
    const partitions = [0, 1, 2];
    for (let i = 300; i < 400; i += 10) {
      await Promise.all(partitions.map((partition) => log.append(topic, partition, numbered(i, 10))));
    }
    await eventually(() => collector.count >= 1_200, 'the records from after have come');
    for (const partition of partitions) t.strictSame(collector.valuesOf(topic, partition), counting(0, 400));
    await collector.close();
    t.strictSame(collector.violations, []);
    t.strictSame(collector.lostRanges, []);
  },

  async 'a record is handed out as it was appended'(t, { log }) {
    const topic = await makeTopic(log);
    const value = Buffer.alloc(1_048_576, 'large ');
    const timestampMs = Date.now() - 1_000;
    const headers = { text: 'Zürich', list: [Buffer.from('a'), Buffer.from('b')], none: '' };
    await log.append(topic, 0, [{ key: Buffer.from('k'), value, headers, timestampMs }]);
    await log.append(topic, 0, [{ key: null, value: null, headers: {} }]);
    const collector = await joined(log, [topic]);
    await eventually(() => collector.count === 2, 'both records have come');
    const [first, second] = collector.recordsOf(topic, 0);
    t.equal(first?.key?.toString(), 'k');
    t.ok(first?.value?.equals(value));
    t.equal(first?.timestampMs, timestampMs);
    t.strictSame(
      [first?.headers.text, first?.headers.list, first?.headers.none].map((one) =>
        Array.isArray(one) ? one.map(String) : String(one),
      ),
      ['Zürich', ['a', 'b'], ''],
    );
    t.strictSame([second?.key, second?.value, second?.offset], [null, null, 1]);
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'assigned tells all partitions, where they start and where they end'(t, { log }) {
    const topic = await makeTopic(log, 2);
    await log.append(topic, 0, numbered(0, 3));
    const collector = await joined(log, [topic]);
    await eventually(() => collector.assignments.length === 2, 'both partitions are assigned');
    t.strictSame(collector.assignments.map(plain), [
      { topic, partition: 0, offset: 0, metadata: '', end: 3 },
      { topic, partition: 1, offset: 0, metadata: '', end: 0 },
    ]);
    await collector.close();
    t.strictSame(collector.assignedLists.at(-1), [], 'ownership ends with an empty list');
    t.strictSame(collector.violations, []);
  },

  async 'a consumer reads several topics'(t, { log }) {
    const topics = [await makeTopic(log, 2), await makeTopic(log, 1), await makeTopic(log, 1)];
    const [first = '', second = '', third = ''] = topics;
    await log.append(first, 1, numbered(0, 20));
    await log.append(second, 0, numbered(100, 20));
    const collector = await joined(log, topics);
    await eventually(() => collector.count === 40, 'the records of two topics have come');
    await log.append(third, 0, numbered(200, 20));
    await eventually(() => collector.count === 60, 'the records of the third topic have come');
    t.equal(collector.assignments.length, 4);
    t.strictSame(collector.valuesOf(first, 1), counting(0, 20));
    t.strictSame(collector.valuesOf(second, 0), counting(100, 20));
    t.strictSame(collector.valuesOf(third, 0), counting(200, 20));
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'what is not taken of a batch is offered again after resume'(t, { log }) {
    const topic = await makeTopic(log);
    const collector = await joined(log, [topic]);
    collector.take = (batch) => Math.min(batch.records.length, 3);
    await log.append(topic, 0, numbered(0, 10));
    for (const taken of [3, 6, 9]) {
      await eventually(() => collector.count === taken, `${taken} records were taken`);
      collector.resume([{ topic, partition: 0 }]);
    }
    await eventually(() => collector.count === 10, 'the last record was taken');
    t.strictSame(collector.valuesOf(topic, 0), counting(0, 10));
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'a handler may take nothing at all'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const collector = await joined(log, [topic]);
    let refused = 0;
    collector.take = (batch) => {
      if (batch.partition === 1 || refused > 0) return batch.records.length;
      refused++;
      return 0;
    };
    await log.append(topic, 0, numbered(0, 5));
    await eventually(() => refused === 1, 'the batch was refused');
    await log.append(topic, 1, numbered(50, 5));
    await eventually(() => collector.count === 5, 'the other partition goes on');
    t.strictSame(collector.valuesOf(topic, 0), []);
    collector.resume([{ topic, partition: 0 }]);
    await eventually(() => collector.count === 10, 'the refused records came again');
    t.strictSame(collector.valuesOf(topic, 0), counting(0, 5));
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'what a handler leaves without a pause is offered again, and holds up nothing else'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const collector = await joined(log, [topic]);
    collector.pausesWhatItLeaves = false;
    let offers = 0;
    let isWilling = false;
    collector.take = (batch) => {
      if (batch.partition === 1 || isWilling || ++offers > 10_000) return batch.records.length;
      return offers === 1 ? 2 : 0;
    };
    await log.append(topic, 0, numbered(0, 5));
    await eventually(() => offers >= 4, 'it was offered some times');
    await log.append(topic, 1, numbered(50, 5));
    await eventually(() => collector.recordsOf(topic, 1).length === 5, 'the other partition goes on');
    t.ok(offers < 1_000, 'it is not offered without a break');
    isWilling = true;
    await eventually(() => collector.count === 10, 'the rest came again');
    t.strictSame(collector.valuesOf(topic, 0), counting(0, 5));
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'a paused partition stands still while others go on'(t, { log }) {
    const topic = await makeTopic(log, 2);
    const collector = await joined(log, [topic]);
    await eventually(() => collector.assignments.length === 2, 'both partitions are assigned');
    collector.pause([{ topic, partition: 0 }]);
    await log.append(topic, 0, numbered(0, 5));
    for (let i = 0; i < 5; i++) {
      await log.append(topic, 1, numbered(i, 1));
      await eventually(() => collector.valuesOf(topic, 1).length === i + 1, 'the other partition goes on');
    }
    t.strictSame(collector.valuesOf(topic, 0), []);
    collector.resume([{ topic, partition: 0 }]);
    await eventually(() => collector.count === 10, 'the paused records have come');
    t.strictSame(collector.valuesOf(topic, 0), counting(0, 5));
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'a trim behind the position disturbs nobody'(t, { log }) {
    const topic = await makeTopic(log);
    const collector = await joined(log, [topic]);
    await log.append(topic, 0, numbered(0, 10));
    await eventually(() => collector.count === 10, 'the records have come');
    await log.trim(topic, 0, 10);
    await log.append(topic, 0, numbered(10, 5));
    await eventually(() => collector.count >= 15, 'the records after the trim have come');
    t.strictSame(collector.valuesOf(topic, 0), counting(0, 15));
    await collector.close();
    t.strictSame([collector.violations, collector.lostRanges], [[], []]);
  },

  async 'closing a consumer is idempotent, and nothing is handed out after it'(t, { log }) {
    const topic = await makeTopic(log);
    const collector = new Collector();
    const group = uniqueName('group');
    const consumer = await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => collector.assignments.length === 1, 'the partition is assigned');
    await Promise.all([consumer.close(), consumer.close()]);
    await collector.close();
    t.equal(collector.assignments.length, 0);
    await log.append(topic, 0, [record('late')]);
    const other = new Collector();
    await other.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => other.count === 1, 'another consumer has the record');
    await other.close();
    t.strictSame(collector.violations, []);
  },

  async 'closing the log closes its consumers'(t, { log }) {
    const topic = await makeTopic(log);
    const collector = await joined(log, [topic]);
    await log.append(topic, 0, numbered(0, 1));
    await eventually(() => collector.count === 1, 'the record has come');
    await log.close();
    t.strictSame(collector.assignedLists.at(-1), []);
    await collector.close();
    t.strictSame(collector.violations, []);
  },

  async 'a consumer may close itself while it handles records'(t, { log }) {
    const topic = await makeTopic(log);
    const collector = new Collector();
    const group = uniqueName('group');
    const consumer = await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
    let closing: Promise<void> | null = null;
    collector.take = (batch) => {
      closing = consumer.close();
      return batch.records.length;
    };
    await log.append(topic, 0, numbered(0, 1));
    await eventually(() => closing !== null, 'the consumer has begun to close');
    await closing;
    await collector.close();
    t.strictSame(collector.assignedLists.at(-1), []);
    t.strictSame(collector.violations, []);
  },
};

/** A collector in a group of its own that reads from the beginning. */
async function joined(log: Log, topics: readonly string[]): Promise<Collector> {
  const collector = new Collector();
  await collector.join(log, { group: uniqueName('group'), topics, startAt: 'earliest' });
  return collector;
}

function plain<T extends object>(value: T): T {
  return { ...value };
}
