import t from 'tap';
import type { EmbeddedConsumer } from '../../broker/log/embedded/consumer.ts';
import { Group } from '../../broker/log/embedded/group.ts';
import type { Partition } from '../../broker/log/embedded/partitions.ts';
import { LogFullError, LogUnavailableError } from '../../broker/log/errors.ts';
import { ManualClock } from '../support/manual-clock.ts';

const partition: Partition = { id: 1, topic: 'topic', partition: 0, start: 0, end: 0, readers: new Set() };

/** A group of one member, and a log that answers each question for its commits with the next of `refusals`. */
function groupOfOne(refusals: Error[]) {
  const clock = new ManualClock();
  const seen = { asked: 0, assigned: 0, failed: 0 };
  const context = {
    partitionsOf: () => [partition],
    committed: async () => {
      seen.asked++;
      const refusal = refusals.shift();
      if (refusal) throw refusal;
      return [];
    },
  };
  const member = {
    topics: ['topic'],
    suspend: () => {},
    assign: () => void seen.assigned++,
    fail: () => void seen.failed++,
  } as unknown as EmbeddedConsumer;
  const group = new Group(context, clock);
  group.join(member);
  return { clock, seen, group, member };
}

t.test('a group that could not be dealt because the disk was full is dealt when there is room', async (t) => {
  const { clock, seen } = groupOfOne([new LogFullError('here'), new LogFullError('here')]);
  await clock.advance(999);
  t.strictSame(seen, { asked: 1, assigned: 0, failed: 0 });
  await clock.advance(1_001);
  t.strictSame(seen, { asked: 3, assigned: 1, failed: 0 });
  t.equal(clock.pending, 0);
});

t.test('a group of a log that has failed or closed is not dealt again', async (t) => {
  const { clock, seen } = groupOfOne([new LogUnavailableError('failed')]);
  await clock.advance(60_000);
  t.strictSame(seen, { asked: 1, assigned: 0, failed: 0 });
  t.equal(clock.pending, 0);
});

t.test('a group whose log fails, or whose last member leaves, does not wait for its next turn', async (t) => {
  const failing = groupOfOne([new LogFullError('here')]);
  await failing.clock.advance(1);
  failing.group.fail(new LogUnavailableError('failed'));
  t.equal(failing.seen.failed, 1);
  t.equal(failing.clock.pending, 0);

  const leaving = groupOfOne([new LogFullError('here')]);
  await leaving.clock.advance(1);
  leaving.group.leave(leaving.member);
  t.equal(leaving.clock.pending, 0);
});
