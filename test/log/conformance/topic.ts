import { UnknownTopicError } from '../../../broker/log/errors.ts';
import { Collector } from './collector.ts';
import {
  type Case,
  eventually,
  makeTopic,
  numbered,
  rangeOf,
  readAll,
  record,
  topicSpec,
  uniqueName,
  valuesOf,
} from './harness.ts';

export const topicCases: Record<string, Case> = {
  async 'ensureTopics makes a topic that can be appended to and read at once'(t, { log }) {
    const topic = uniqueName('topic');
    t.strictSame([...(await log.ensureTopics([topic], topicSpec(3)))], [topic]);
    t.equal(await log.append(topic, 2, [record('first')]), 0);
    t.strictSame(valuesOf((await log.read(topic, 2, 0, 65_536)).records), ['first']);
  },

  async 'ensureTopics leaves an existing topic as it is'(t, { log }) {
    const topic = uniqueName('topic');
    const spec = { partitions: 2, retentionMs: 3_600_000, maxMessageBytes: 200_000 };
    await log.ensureTopics([topic], spec);
    await log.append(topic, 1, [record('kept')]);
    t.equal((await log.ensureTopics([topic], topicSpec(5))).size, 0);
    t.strictSame(await log.describeTopic(topic), spec);
    t.strictSame(valuesOf(await readAll(log, topic, 1)), ['kept']);
  },

  async 'ensureTopics of one topic many times at once makes it once'(t, { log }) {
    const topic = uniqueName('topic');
    const results = await Promise.all(Array.from({ length: 5 }, () => log.ensureTopics([topic], topicSpec(1))));
    t.equal(results.filter((made) => made.has(topic)).length, 1);
    t.equal(await log.append(topic, 0, [record('in')]), 0);
  },

  async 'ensureTopics makes many topics, and tells which of them were not there'(t, { log }) {
    const topics = Array.from({ length: 20 }, (_, i) => uniqueName(`many-${i}`));
    const [there = '', ...missing] = topics;
    await log.ensureTopics([there], topicSpec(1));
    const made = await log.ensureTopics([...topics, ...missing.slice(0, 1)], topicSpec(1));
    t.strictSame([...made].sort(), missing.sort());
    const offsets = await Promise.all(topics.map((topic) => log.append(topic, 0, [record('in')])));
    t.ok(
      offsets.every((offset) => offset === 0),
      'all can be appended to at once',
    );
  },

  async 'describeTopic tells partitions, retention and the largest batch'(t, { log }) {
    const topic = uniqueName('topic');
    const spec = { partitions: 4, retentionMs: null, maxMessageBytes: 2_000_000 };
    await log.ensureTopics([topic], spec);
    t.strictSame(await log.describeTopic(topic), spec);
  },

  async 'listTopics tells the topics of a prefix, sorted'(t, { log }) {
    const prefix = uniqueName('list');
    const suffixes = ['.b', '.a', '._a', 'X.a'];
    await log.ensureTopics(
      suffixes.map((suffix) => `${prefix}${suffix}`),
      topicSpec(1),
    );
    t.strictSame(await log.listTopics(`${prefix}.`), [`${prefix}._a`, `${prefix}.a`, `${prefix}.b`]);
    t.strictSame(await log.listTopics(`${prefix}._`), [`${prefix}._a`]);
    t.strictSame(await log.listTopics(`${prefix}%`), []);
  },

  async 'whatever is asked of a topic that is not there is answered with UnknownTopicError'(t, { log }) {
    const topic = uniqueName('nowhere');
    await t.rejects(log.append(topic, 0, [record('lost')]), UnknownTopicError);
    await t.rejects(log.describeTopic(topic), UnknownTopicError);
    await t.rejects(log.ranges(topic), UnknownTopicError);
    await t.rejects(log.ends(topic), UnknownTopicError);
    await t.rejects(log.offsetsAt(topic, 0), UnknownTopicError);
    await t.rejects(log.read(topic, 0, 0, 1_000), UnknownTopicError);
    t.strictSame(await log.listTopics(topic), []);
  },

  async 'deleteTopic takes the records and the commits with it'(t, { log }) {
    const topic = await makeTopic(log, 1);
    const group = uniqueName('group');
    await log.append(topic, 0, numbered(0, 5));
    const collector = new Collector();
    const consumer = await collector.join(log, { group, topics: [topic], startAt: 'earliest' });
    await eventually(() => collector.count === 5, 'the records have come');
    await consumer.commit(collector.epoch, [{ topic, partition: 0, offset: 4, metadata: 'old' }]);
    await collector.close();

    await log.deleteTopic(topic);
    await eventually(() => gone(log.ranges(topic)), 'the topic is gone');
    t.strictSame(await log.listTopics(topic), []);
    await log.deleteTopic(topic);

    await log.ensureTopics([topic], topicSpec(1));
    await eventually(async () => (await log.committed(group, topic)).length === 0, 'the commits are gone');
    await log.append(topic, 0, numbered(100, 1));
    await eventually(async () => (await rangeOf(log, topic, 0)).end === 1, 'the new topic begins at 0');
    t.strictSame(valuesOf(await readAll(log, topic, 0)), ['100']);
  },

  async 'deleting a topic that never was is no error'(t, { log }) {
    await log.deleteTopic(uniqueName('nowhere'));
    t.pass('resolved');
  },

  async 'topics and their settings outlive the log'(t, opened) {
    const topic = uniqueName('topic');
    const spec = { partitions: 3, retentionMs: 86_400_000, maxMessageBytes: 300_000 };
    await opened.log.ensureTopics([topic], spec);
    const log = await opened.reopen();
    t.strictSame(await log.describeTopic(topic), spec);
    t.strictSame(await log.listTopics(topic), [topic]);
    t.equal((await log.ensureTopics([topic], spec)).size, 0);
  },

  async 'close is idempotent'(t, { log }) {
    await makeTopic(log);
    await Promise.all([log.close(), log.close()]);
    await log.close();
    t.pass('resolved');
  },
};

async function gone(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return false;
  } catch (error) {
    if (error instanceof UnknownTopicError) return true;
    throw error;
  }
}
