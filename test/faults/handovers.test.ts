import t from 'tap';
import type { GroupEntry } from './group-history.ts';
import { type GivenUp, GroupTracker, unsettledOf } from './handovers.ts';
import type { Life } from './member.ts';

const group = 'group';
const topic = 'events';

function lifeOf(slot: number, startedAtMs: number, ended?: Pick<Life, 'endedAtMs' | 'how'>): Life {
  return { slot, number: 1, startedAtMs, endedAtMs: null, how: null, exitCode: null, ...ended };
}

/** Members by name; the address of each ends with its slot. */
function generation(
  atMs: number,
  members: Readonly<Record<string, { slot: number; partitions: number[] }>>,
): GroupEntry {
  return {
    ...{ kind: 'generation', group, atMs },
    members: Object.entries(members).map(([memberId, { slot, partitions }]) => ({
      ...{ memberId, host: `127.0.0.${slot}`, assignment: { [topic]: partitions } },
    })),
  };
}

function commit(atMs: number, partition: number, offset: number): GroupEntry {
  return { kind: 'commit', group, atMs, topic, partition, offset, metadata: '' };
}

function handovers(lives: readonly Life[], entries: readonly GroupEntry[], givenUp: readonly GivenUp[] = []) {
  const tracker = new GroupTracker(group, { lives, slotOf: (host) => Number(host.split('.')[3]), givenUp });
  for (const entry of entries) tracker.take(entry);
  return tracker.handovers.map(({ atMs, cause, from, partition, committed: { offset } }) => ({
    ...{ atMs, cause, slot: from.slot, partition, offset },
  }));
}

t.test('a partition that goes to another process does so with what was committed until then', async (t) => {
  const found = handovers(
    [lifeOf(1, 0), lifeOf(2, 0)],
    [
      generation(10, { a: { slot: 1, partitions: [0, 1] } }),
      commit(11, 0, 5),
      commit(12, 1, 7),
      generation(20, { a: { slot: 1, partitions: [0] }, b: { slot: 2, partitions: [1] } }),
      commit(21, 1, 9),
    ],
  );
  t.same(found, [{ atMs: 20, cause: 'rebalance', slot: 1, partition: 1, offset: 7 }]);
});

t.test('the cause is what became of the process that had it', async (t) => {
  const causeAfter = (ended: Pick<Life, 'endedAtMs' | 'how'>) => {
    const lives = [lifeOf(1, 0, ended), lifeOf(2, 0), lifeOf(1, 5_000)];
    const first = generation(10, { a: { slot: 1, partitions: [0] } });
    return handovers(lives, [first, generation(9_000, { b: { slot: 2, partitions: [0] } })])[0]?.cause;
  };
  t.equal(causeAfter({ endedAtMs: 3_000, how: 'kill' }), 'kill');
  t.equal(causeAfter({ endedAtMs: 8_500, how: 'leave' }), 'leave');
  t.equal(causeAfter({ endedAtMs: 60_000, how: 'kill' }), 'rebalance', 'it was killed later');
});

t.test('the next process of a slot is another one, and a new member of the same process is not', async (t) => {
  const lives = [lifeOf(1, 0, { endedAtMs: 100, how: 'kill' }), lifeOf(1, 200)];
  const first = generation(10, { a: { slot: 1, partitions: [0] } });
  t.same(handovers(lives, [first, generation(20, { b: { slot: 1, partitions: [0] } })]), []);
  t.equal(handovers(lives, [first, generation(300, { b: { slot: 1, partitions: [0] } })])[0]?.cause, 'kill');
});

t.test('a process that gave a group up had all its partitions up to then', async (t) => {
  const found = handovers(
    [lifeOf(1, 0), lifeOf(2, 0)],
    [
      generation(10, { a: { slot: 1, partitions: [0] }, b: { slot: 2, partitions: [1] } }),
      commit(11, 0, 5),
      commit(3_000, 0, 6),
    ],
    [{ group, slot: 1, atMs: 2_000, wasMember: true }],
  );
  t.same(found, [{ atMs: 2_000, cause: 'given-up', slot: 1, partition: 0, offset: 5 }]);
});

t.test('a process that gave a group up and fails to join it again has nothing to give up', async (t) => {
  const failed = (...times: number[]) => times.map((atMs) => ({ group, slot: 1, atMs, wasMember: false }));
  const owned = generation(10, { a: { slot: 1, partitions: [0] } });
  const timesWith = (...between: GroupEntry[]) =>
    handovers([lifeOf(1, 0)], [owned, ...between, commit(9_000, 0, 6)], failed(2_000, 4_000, 6_000)).map(
      (one) => one.atMs,
    );
  t.same(timesWith(), [2_000]);
  t.same(timesWith(commit(5_000, 0, 5)), [2_000, 6_000], 'who commits has joined');
});

t.test('unsettled is what is at or above the position and not in the settled set', async (t) => {
  const records = [3, 4, 5, 6, 7].map((offset) => ({ offset }));
  // One unsettled at the position, then two settled.
  t.same(unsettledOf(records, { offset: 4, metadata: 'r1:1.2' }), [{ offset: 4 }, { offset: 7 }]);
  const bitmap = `b1:${Buffer.of(0b01100000).toString('base64')}`;
  t.same(unsettledOf(records, { offset: 4, metadata: bitmap }), [{ offset: 4 }, { offset: 7 }]);
  t.same(unsettledOf(records, { offset: 4, metadata: '' }).length, 4);
});
