import t from 'tap';
import { LogUnavailableError, RecordTooLargeError } from '../../broker/log/errors.ts';
import { Appender, type AppenderOptions } from '../../broker/log/kafka/append.ts';
import { kafkajsVersion } from '../../broker/log/kafka/kafkajs.ts';
import { Outage } from '../../broker/log/kafka/outage.ts';
import type { ProduceRequest } from '../../broker/log/kafka/produce.ts';
import { decodeRecordSet } from '../../broker/log/kafka/record-batch.ts';
import { systemClock } from '../../runtime/clock.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from '../support/silent.ts';

const errorCodes = { notLeader: 6, messageTooLarge: 10, notEnoughReplicas: 19, topicAuthorizationFailed: 29 };
const record = { key: null, value: Buffer.from('value'), headers: {} };

interface Answer {
  readonly topic?: string;
  readonly partition?: number;
  readonly errorCode?: number;
  readonly offset?: number;
}

interface Request {
  readonly partition: number;
  readonly values: string[];
}

/** A broker that gives the answers in turn: what an answer to a produce request holds, or an error that breaks it. */
function scripted(script: readonly (readonly Answer[] | Error)[], options: Partial<AppenderOptions> = {}) {
  const requests: Request[] = [];
  const answers = [...script];
  const toLeader: unknown = async (_question: unknown, _api: string, { partition, batch }: ProduceRequest) => {
    const { records } = await decodeRecordSet(batch, 0, []);
    requests.push({ partition, values: records.map(({ value }) => String(value)) });
    const answer = answers.shift();
    if (answer === undefined) return new Promise(() => {});
    if (answer instanceof Error) throw answer;
    const partitions = answer.map(({ topic = 'events', partition = 0, errorCode = 0, offset = 7 }) => {
      return { topic, partition, errorCode, baseOffset: offset };
    });
    return { partitions };
  };
  const appender = new Appender({
    cluster: { toLeader, forgetTopic: () => {} } as AppenderOptions['cluster'],
    appendTimeoutMs: 5_000,
    clock: systemClock,
    logger: silent,
    outage: new Outage(systemClock, silent),
    maxMessageBytes: async () => 1_000,
    ...options,
  });
  return { appender, requests };
}

t.test('an answer that is not about exactly the partition is no success: the records are sent again', async (t) => {
  const wrong: Record<string, readonly Answer[]> = {
    'an empty answer': [],
    'another partition': [{ partition: 1 }],
    'another topic': [{ topic: 'other' }],
    'two partitions': [{}, { partition: 1 }],
  };
  for (const [name, answer] of Object.entries(wrong)) {
    const { appender, requests } = scripted([answer, [{ offset: 42 }]]);
    t.equal(await appender.append('events', 0, [record]), 42, name);
    t.equal(requests.length, 2, name);
  }
});

t.test('a broken connection and an error that passes are sent again', async (t) => {
  const script = [
    new Error('Closed connection'),
    [{ errorCode: errorCodes.notLeader }],
    [{ errorCode: errorCodes.notEnoughReplicas }],
    [{ offset: 3 }],
  ];
  const { appender, requests } = scripted(script);
  t.equal(await appender.append('events', 0, [record]), 3);
  t.equal(requests.length, 4);
});

t.test('an append keeps its place before later ones of its partition when it is sent again', async (t) => {
  const { appender, requests } = scripted([new Error('cut'), [{}], [{}], [{}]]);
  const value = (text: string) => [{ ...record, value: Buffer.from(text) }];
  await Promise.all(['a', 'b', 'c'].map((text) => appender.append('events', 0, value(text))));
  t.strictSame(
    requests.flatMap(({ values }) => values),
    ['a', 'a', 'b', 'c'],
  );
});

t.test('an append that failed for good does not hold up the next one of its partition', async (t) => {
  const { appender } = scripted([[{ errorCode: errorCodes.topicAuthorizationFailed }], [{ offset: 9 }]]);
  const first = appender.append('events', 0, [record]);
  const second = appender.append('events', 0, [record]);
  await t.rejects(first, LogUnavailableError);
  t.equal(await second, 9);
});

t.test('partitions do not wait for each other', async (t) => {
  const { appender, requests } = scripted([]);
  appender.append('events', 0, [record]).catch(() => {});
  appender.append('events', 1, [record]).catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(
    requests.map(({ partition }) => partition),
    [0, 1],
  );
  appender.close();
});

t.test('a batch that the topic does not take is refused by name, and not repeated', async (t) => {
  const { appender, requests } = scripted([[{ errorCode: errorCodes.messageTooLarge }]]);
  await t.rejects(appender.append('events', 0, [record]), RecordTooLargeError);
  t.equal(requests.length, 1);
});

t.test('an append that nothing answers ends as unknown at its deadline', async (t) => {
  const clock = new ManualClock();
  const { appender, requests } = scripted([], { clock, appendTimeoutMs: 30_000 });
  const rejected = t.rejects(appender.append('events', 0, [record]), LogUnavailableError);
  await clock.advance(29_999);
  t.equal(requests.length, 1);
  await clock.advance(1);
  await rejected;
  t.equal(clock.pending, 0);
});

t.test('kafkajs is the version whose inner parts we know', async (t) => {
  t.equal(kafkajsVersion, '2.2.4');
});
