import t from 'tap';
import type { Cluster } from '../../broker/log/kafka/cluster.ts';
import { code } from '../../broker/log/kafka/kafka-error.ts';
import { Topics } from '../../broker/log/kafka/topics.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silent } from '../support/silent.ts';

const spec = { partitions: 1, retentionMs: null, maxMessageBytes: 100_000 };

/** A cluster of one broker that has these topics, and what it was asked to make: how many, with how many replicas. */
function clusterWith(topics: Set<string>) {
  const asked: { count: number; replicas: number | undefined }[] = [];
  const cluster: unknown = {
    brokerCount: 1,
    ask: (_what: string, attempt: () => Promise<unknown>) => attempt(),
    metadata: async (wanted: readonly string[]) => ({
      topicMetadata: wanted.map((topic) => ({
        topic,
        topicErrorCode: topics.has(topic) ? code.none : code.unknownTopicOrPartition,
      })),
    }),
    freshPartitions: async (wanted: readonly string[]) =>
      new Map(wanted.filter((topic) => topics.has(topic)).map((topic) => [topic, [0]])),
    leader: async () => 1,
    async toNode(_node: number, _api: string, question: { topics: readonly { topic: string }[] }) {
      return { responses: question.topics.map(({ topic }) => ({ topic, partitions: [{ ...answered, offset: '0' }] })) };
    },
    async toController(_api: string, request: { topics: readonly { topic: string; replicationFactor: number }[] }) {
      const replicas = request.topics[0]?.replicationFactor;
      asked.push({ count: request.topics.length, replicas });
      const errorCode = replicas === 1 ? code.none : code.invalidReplicationFactor;
      if (replicas === 1) for (const { topic } of request.topics) topics.add(topic);
      return { topicErrors: request.topics.map(({ topic }) => ({ topic, errorCode })) };
    },
    forgetTopic() {},
  };
  return { asked, topics: new Topics(cluster as Cluster, 3, systemClock, silent) };
}

const answered = { partition: 0, errorCode: code.none };

t.test('a thousand topics are made by a few requests, those that are there left out', async (t) => {
  const names = Array.from({ length: 1_001 }, (_, i) => `topic-${i}`);
  const there = new Set(names.slice(0, 1));
  const { topics, asked } = clusterWith(there);
  t.strictSame([...(await topics.ensure(names, spec))], names.slice(1));
  const refusedFirst = [499, 500, 1].flatMap((count) => [
    { count, replicas: 3 },
    { count, replicas: 1 },
  ]);
  t.strictSame(asked, refusedFirst, 'with fewer replicas where there are not as many brokers');
  t.equal((await topics.ensure(names, spec)).size, 0);
  t.equal(asked.length, refusedFirst.length, 'nothing is made again');
});
