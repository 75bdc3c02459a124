import t from 'tap';
import type { Cluster } from '../../broker/log/kafka/cluster.ts';
import { fetchInSession } from '../../broker/log/kafka/fetch.ts';
import { epochAfter, type FetchPosition, FetchSession } from '../../broker/log/kafka/fetch-session.ts';
import { code, KafkaCodeError } from '../../broker/log/kafka/kafka-error.ts';

function at(offsets: Readonly<Record<string, number>>): Map<string, FetchPosition> {
  return new Map(Object.entries(offsets).map(([topic, offset]) => [topic, { topic, partition: 0, offset }]));
}

function told({ sessionId, sessionEpoch, changed, forgotten }: ReturnType<FetchSession['next']>) {
  const topics = changed.map(({ topic, offset }) => `${topic} ${offset}`);
  return [sessionId, sessionEpoch, topics, forgotten.map(({ topic }) => topic)];
}

t.test('the first question names all, those that follow what has changed', async (t) => {
  const session = new FetchSession();
  t.strictSame(told(session.next(at({ a: 1, b: 2 }))), [0, 0, ['a 1', 'b 2'], []]);
  session.answered(7);
  t.strictSame(told(session.next(at({ a: 1, b: 2 }))), [7, 1, [], []]);
  session.answered(7);
  t.strictSame(told(session.next(at({ a: 5, b: 2 }))), [7, 2, ['a 5'], []]);
  session.answered(7);
  t.strictSame(told(session.next(at({ b: 2, c: 0 }))), [7, 3, ['c 0'], ['a']], 'in place of one that is not wanted');
  session.answered(7);
  t.strictSame(told(session.next(at({ a: 5, b: 2, c: 0 }))), [7, 4, ['a 5'], []], 'and is again');
});

t.test('whose last question may not have been understood opens a session in its place', async (t) => {
  const session = new FetchSession();
  session.next(at({ a: 1, b: 2 }));
  session.answered(7);
  session.next(at({ a: 1 }));
  session.lost();
  t.strictSame(told(session.next(at({ a: 1, b: 2 }))), [7, 0, ['a 1', 'b 2'], []]);
  session.answered(8);
  t.strictSame(told(session.next(at({ a: 1, b: 2 }))), [8, 1, [], []]);
});

t.test('with a broker that has room for no more sessions each question names all', async (t) => {
  const session = new FetchSession();
  for (let question = 0; question < 2; question++) {
    t.strictSame(told(session.next(at({ a: 1 }))), [0, 0, ['a 1'], []]);
    session.answered(0);
  }
});

t.test('after the last number that there is comes 1', async (t) => {
  t.strictSame([0, 1, 2_147_483_646, 2_147_483_647].map(epochAfter), [1, 2, 2_147_483_647, 1]);
});

const limits = { maxWaitMs: 1, partitionBytesMax: 1, bytesMax: 1 };

/** A broker that gives these answers, one after the other, and what it was asked. */
function brokerThatAnswers(...answers: ({ errorCode: number; sessionId: number } | Error)[]) {
  const asked: [number, number, number][] = [];
  const cluster: unknown = {
    async toNode(
      _node: number,
      _api: string,
      question: { sessionId: number; sessionEpoch: number; topics: unknown[] },
    ) {
      asked.push([question.sessionId, question.sessionEpoch, question.topics.length]);
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer;
      return { ...answer, partitions: [] };
    },
  };
  const session = new FetchSession();
  const wanted = at({ a: 1, b: 2 });
  return { asked, fetch: () => fetchInSession(cluster as Cluster, 1, session, wanted, limits) };
}

t.test('a session that the broker does not know any more is opened again at once', async (t) => {
  for (const errorCode of [code.fetchSessionIdNotFound, code.invalidFetchSessionEpoch]) {
    const opened = { errorCode: code.none, sessionId: 7 };
    const { asked, fetch } = brokerThatAnswers(
      opened,
      { errorCode, sessionId: 0 },
      { ...opened, sessionId: 8 },
      opened,
    );
    await fetch();
    await fetch();
    await fetch();
    t.strictSame(asked, [
      [0, 0, 2],
      [7, 1, 0],
      [7, 0, 2],
      [8, 1, 0],
    ]);
  }
});

t.test('after a failure all is named again', async (t) => {
  const opened = { errorCode: code.none, sessionId: 7 };
  const failed = { errorCode: code.unknownServerError, sessionId: 0 };
  const { asked, fetch } = brokerThatAnswers(opened, new Error('cut off'), failed, opened);
  await fetch();
  await t.rejects(fetch(), { message: 'cut off' });
  await t.rejects(fetch(), KafkaCodeError);
  await fetch();
  t.strictSame(asked, [
    [0, 0, 2],
    [7, 1, 0],
    [7, 0, 2],
    [7, 0, 2],
  ]);
});
