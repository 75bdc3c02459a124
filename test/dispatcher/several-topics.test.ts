import t from 'tap';
import { OwnLane } from '../../dispatcher/lane/own.ts';
import { SharedLane } from '../../dispatcher/lane/shared.ts';
import { toRecord } from '../../event/kafka.ts';
import { brokerOf } from '../support/brokers.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord, logRecord } from '../support/scripted-log.ts';

const [eqiad, codfw] = ['eqiad.pages', 'codfw.pages'];
const topics = [eqiad, codfw];
const trigger = testTrigger('http://127.0.0.1:1', { name: 'one', lane: 'own' });

async function startOwn({ isOrdered }: { isOrdered: boolean }) {
  const double = new LaneDouble([trigger]);
  const lane = new OwnLane({
    ...double.options,
    ...{ triggerUid: trigger.uid, group: 'own', topics, isOrdered, startAt: [] },
  });
  await lane.start();
  double.script.assign(topics.map((topic) => ({ topic })));
  const offer = (topic: string, offset: number, id: string, key?: string) => {
    const event = testEvent({ id, ...(key !== undefined && { partitionkey: key }) });
    double.script.offer([asLogRecord(toRecord(event), offset)], { topic });
  };
  const settle = (id: string) => double.delivered.findLast((one) => one.id === id)?.hold.settle();
  return Object.assign(double, { lane, offer, settle, ids: () => double.delivered.map(({ id }) => id) });
}

t.test('an ordered key is in order over all topics, and what has no key in that of its own partition', async (t) => {
  const lane = await startOwn({ isOrdered: true });
  lane.offer(eqiad, 0, 'a1', 'a');
  lane.offer(codfw, 0, 'a2', 'a');
  lane.offer(eqiad, 1, 'eqiad1');
  lane.offer(codfw, 1, 'codfw1');
  lane.offer(codfw, 2, 'codfw2');
  t.strictSame(lane.ids(), ['a1', 'eqiad1', 'codfw1']);
  lane.settle('a1');
  lane.settle('codfw1');
  t.strictSame(lane.ids(), ['a1', 'eqiad1', 'codfw1', 'a2', 'codfw2']);
});

t.test('each topic has its positions, and its own end where another lane takes over', async (t) => {
  const lane = await startOwn({ isOrdered: false });
  lane.offer(eqiad, 0, 'e0');
  lane.offer(codfw, 0, 'c0');
  lane.lane.endAt(
    new Map([
      [eqiad, [{ partition: 0, offset: 1 }]],
      [codfw, [{ partition: 0, offset: 2 }]],
    ]),
  );
  lane.offer(eqiad, 1, 'e1');
  lane.offer(codfw, 1, 'c1');
  t.strictSame(lane.ids(), ['e0', 'c0', 'c1'], 'what is at the end or above is left to the other lane');
  lane.settle('e0');
  lane.settle('c0');
  t.equal(lane.lane.isAtEnd, false);
  lane.settle('c1');
  t.equal(lane.lane.isAtEnd, true);
  await lane.clock.advance(100);
  const committed = (lane.script.commits.at(-1) ?? []).map(({ topic, offset }) => `${topic} ${offset}`);
  t.strictSame(committed.sort(), [`${codfw} 2`, `${eqiad} 1`]);
});

async function startShared(laneSpans = trigger.laneSpans) {
  const double = new LaneDouble([{ ...trigger, laneSpans }]);
  const lane = new SharedLane({ ...double.options, group: 'shared', topics, startAt: 'earliest' });
  await lane.start();
  double.script.assign(topics.map((topic) => ({ topic })));
  return double;
}

t.test('the shared lane leaves to a group of its own what that has of each topic', async (t) => {
  const double = await startShared([
    { group: 'shared', from: [] },
    { group: 'own', from: { [eqiad]: [1], [codfw]: [2] } },
  ]);
  for (const topic of topics) {
    const records = [0, 1, 2].map((offset) => asLogRecord(toRecord(testEvent({ id: `${topic} ${offset}` })), offset));
    double.script.offer(records, { topic });
  }
  const ids = double.delivered.map(({ id }) => id);
  t.strictSame(ids, [`${eqiad} 0`, `${codfw} 0`, `${codfw} 1`]);
});

t.test('plain records are read as the Broker says that is in force when they are matched', async (t) => {
  const double = await startShared();
  double.setFresh(false);
  double.setTriggers([trigger], brokerOf(topics));
  const plain = { ...logRecord(0), headers: {}, value: Buffer.from('{"old":"1","new":"2"}') };
  double.script.offer([plain], { topic: eqiad });
  t.strictSame(double.delivered, []);
  double.setTriggers([trigger], brokerOf(topics, 'id: /new'));
  double.setFresh(true);
  await double.clock.advance(0);
  t.strictSame(
    double.delivered.map(({ id }) => id),
    ['2'],
  );
  double.script.offer([{ ...plain, offset: 1 }], { topic: codfw });
  double.script.offer([{ ...plain, offset: 2, value: Buffer.from('{}') }], { topic: codfw });
  double.script.offer([{ ...plain, offset: 3 }], { topic: codfw });
  t.equal(double.delivered.length, 3);
  t.strictSame(
    double.unreadable.map(({ offset }) => offset),
    [2],
    'what the mapping finds nothing in holds nothing back',
  );
});
