import t from 'tap';
import {
  assign,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../broker/log/kafka/assign.ts';

const twelve = Array.from({ length: 12 }, (_, partition) => partition);

function counts(assignment: ReturnType<typeof assign>): number[] {
  return [...assignment.values()].map((its) => Object.values(its).flat().length);
}

t.test('partitions are divided evenly, each to one member', async (t) => {
  const members = ['c', 'a', 'b'].map((memberId) => ({ memberId, topics: ['events'] }));
  const assignment = assign(members, new Map([['events', twelve]]));
  t.strictSame(counts(assignment), [4, 4, 4]);
  const all = [...assignment.values()].flatMap((its) => its.events ?? []);
  t.strictSame(
    all.sort((a, b) => a - b),
    twelve,
  );
});

t.test('many topics of one partition are divided evenly too', async (t) => {
  const topics = Array.from({ length: 100 }, (_, i) => `retry.${i}`);
  const members = ['a', 'b', 'c'].map((memberId) => ({ memberId, topics }));
  const assignment = assign(members, new Map(topics.map((topic) => [topic, [0]])));
  t.strictSame(counts(assignment), [34, 33, 33]);
});

t.test('the order in which members are told of changes nothing', async (t) => {
  const members = ['b', 'a', 'c'].map((memberId) => ({ memberId, topics: ['events'] }));
  const partitions = new Map([['events', twelve]]);
  t.strictSame([...assign(members, partitions)].sort(), [...assign([...members].reverse(), partitions)].sort());
});

t.test('a topic goes to those who subscribe to it, and one without subscribers to nobody', async (t) => {
  const members = [
    { memberId: 'a', topics: ['one'] },
    { memberId: 'b', topics: ['one', 'two'] },
  ];
  const partitions = new Map([
    ['one', [0, 1]],
    ['two', [0, 1]],
    ['three', [0]],
  ]);
  const assignment = assign(members, partitions);
  t.strictSame({ ...assignment.get('a') }, { one: [0] });
  t.strictSame({ ...assignment.get('b') }, { one: [1], two: [0, 1] });
});

t.test('what is encoded for the group is decoded again', async (t) => {
  t.strictSame(decodeSubscription(encodeSubscription(['a', 'b'])), ['a', 'b']);
  t.strictSame({ ...decodeAssignment(encodeAssignment({ a: [0, 3], b: [1] })) }, { a: [0, 3], b: [1] });
  t.strictSame(decodeAssignment(Buffer.alloc(0)), {});
});
