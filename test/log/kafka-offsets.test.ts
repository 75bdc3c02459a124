import t from 'tap';
import type { Cluster } from '../../broker/log/kafka/cluster.ts';
import { latest, listOffsets } from '../../broker/log/kafka/offsets.ts';

/** Partition 0 is led by broker 1, partition 1 by broker 2; each answers with what is given. */
function clusterThatAnswers(answers: Readonly<Record<number, readonly { partition: number; offset: string }[]>>) {
  const forgotten: string[] = [];
  const cluster: unknown = {
    leader: async (_topic: string, partition: number) => partition + 1,
    async toNode(node: number) {
      const partitions = (answers[node] ?? []).map((one) => ({ ...one, errorCode: 0 }));
      return { responses: partitions.length === 0 ? [] : [{ topic: 'events', partitions }] };
    },
    forgetTopic: (topic: string) => forgotten.push(topic),
  };
  return { cluster: cluster as Cluster, forgotten };
}

const question = [{ topic: 'events', partitions: [0, 1] }];

t.test('the offsets of all partitions, from all that lead them', async (t) => {
  const { cluster } = clusterThatAnswers({ 1: [{ partition: 0, offset: '5' }], 2: [{ partition: 1, offset: '7' }] });
  const offsets = await listOffsets(cluster, question, latest);
  t.strictSame(
    [...(offsets.get('events') ?? [])].toSorted(([a], [b]) => a - b),
    [
      [0, 5],
      [1, 7],
    ],
  );
});

t.test('an answer that lacks a partition is none: left out, it would be taken for an offset of 0', async (t) => {
  const { cluster, forgotten } = clusterThatAnswers({ 1: [], 2: [{ partition: 1, offset: '7' }] });
  await t.rejects(listOffsets(cluster, question, latest), { message: /lacks the offset of events\[0\]/ });
  t.strictSame(forgotten, ['events'], 'who leads is asked anew');
});
