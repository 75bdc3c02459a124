import t from 'tap';
import { StaleEpochError } from '../../broker/log/errors.ts';
import { RepeatBound } from '../../dispatcher/repeat-bound.ts';
import { decodeSettled, Offsets } from '../../dispatcher/settle.ts';
import { roomy, startReader } from './reader-setup.ts';

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

t.test('a commit is made 100 ms after something has settled', async (t) => {
  const { assign, offer, taken, commits, clock } = await startReader();
  assign([{}]);
  await clock.advance(100);
  commits.length = 0;
  offer([0, 1, 2]);
  taken[0]?.settle();
  await clock.advance(99);
  t.same(commits, []);
  await clock.advance(1);
  t.same(commits, [[{ topic: 'events', partition: 0, offset: 1, metadata: '' }]]);
  await clock.advance(1_000);
  t.equal(commits.length, 1, 'nothing new, no commit');
});

t.test('a commit is made at once when 128 records have settled', async (t) => {
  const { assign, offer, taken, commits, clock } = await startReader();
  assign([{}]);
  await clock.advance(100);
  commits.length = 0;
  offer(range(0, 200));
  for (const one of taken.slice(0, 127)) one.settle();
  await clock.advance(0);
  t.equal(commits.length, 0);
  taken[127]?.settle();
  await clock.advance(0);
  t.match(commits, [[{ offset: 128 }]]);
});

t.test('the settled set is committed with the position, and what it holds is not handed out again', async (t) => {
  const first = await startReader();
  first.assign([{}]);
  first.offer([0, 1, 2, 3]);
  first.taken[1]?.settle();
  first.taken[3]?.settle();
  await first.clock.advance(100);
  const commit = first.commits.at(-1)?.[0];
  t.equal(commit?.offset, 0);
  t.same(decodeSettled(0, commit?.metadata ?? ''), { unsettled: [0, 2], next: 4 });
  const second = await startReader();
  second.assign([{ metadata: commit?.metadata ?? '' }]);
  second.offer(range(0, 6));
  t.same(second.offsets(), [0, 2, 4, 5]);
});

t.test('a full window holds the partition and lets it go when half is free', async (t) => {
  const { assign, offer, taken, paused, offsets, reader } = await startReader({ recordsMax: 10, bytesMax: 10_000_000 });
  assign([{}]);
  t.equal(offer(range(0, 25)), 10);
  t.ok(reader.isFull);
  t.same([...paused], ['events/0']);
  for (const one of taken.slice(0, 4)) one.settle();
  t.same([...paused], ['events/0']);
  taken[4]?.settle();
  t.same([...paused], []);
  t.equal(offer(range(10, 25)), 5);
  t.same(offsets(), range(0, 15));
});

t.test('the window counts bytes, and one record is let in whatever its size', async (t) => {
  const { assign, offer, taken } = await startReader({ recordsMax: 1_000, bytesMax: 100 });
  assign([{}]);
  t.equal(offer([0, 1]), 1);
  taken[0]?.settle();
  t.equal(offer([1]), 1);
});

t.test('one partition may be bounded below the window', async (t) => {
  const { assign, offer, paused, taken } = await startReader({ ...roomy, partitionRecordsMax: 4 });
  assign([{}, { partition: 1 }]);
  t.equal(offer(range(0, 10), 0), 4);
  t.equal(offer(range(0, 3), 1), 3);
  t.same([...paused], ['events/0']);
  taken[0]?.settle();
  taken[1]?.settle();
  t.same([...paused], []);
});

t.test('a bound of a partition may change', async (t) => {
  let bound = 10;
  const { assign, offer, reader, paused } = await startReader(roomy, { recordsMaxOf: () => bound });
  assign([{}]);
  t.equal(offer(range(0, 100)), 10);
  reader.resumeHeld();
  t.same([...paused], ['events/0']);
  bound = 50;
  reader.resumeHeld();
  t.same([...paused], []);
  t.equal(offer(range(10, 100)), 40);
});

t.test('an answer that comes after a revocation is not committed by the former owner', async (t) => {
  const { assign, offer, taken, commits, clock, reader } = await startReader();
  assign([{}, { partition: 1 }]);
  offer([0], 0);
  offer([0], 1);
  assign([{ partition: 1 }], 2);
  commits.length = 0;
  for (const one of taken) one.settle();
  await clock.advance(100);
  t.same(commits, [[{ topic: 'events', partition: 1, offset: 1, metadata: '' }]]);
  t.equal(reader.unsettled, 0, 'its place in the window is free again');
});

t.test('what is kept over a rebalance is not handed out again, and is committed again', async (t) => {
  const { assign, offer, taken, commits, clock, offsets } = await startReader();
  assign([{}]);
  offer([0, 1, 2]);
  taken[0]?.settle();
  await clock.advance(100);
  commits.length = 0;
  assign([{ offset: 1 }], 2);
  t.equal(offer([1, 2, 3]), 3);
  t.same(offsets(), [0, 1, 2, 3]);
  await clock.advance(100);
  t.match(commits, [[{ partition: 0, offset: 1 }]], 'a late commit of an earlier owner is overwritten');
});

t.test('a commit that fails is repeated', async (t) => {
  const { assign, offer, taken, commits, clock, script } = await startReader();
  assign([{}]);
  await clock.advance(100);
  offer([0]);
  for (const error of [new Error('no coordinator'), new StaleEpochError(1, 2)]) {
    commits.length = 0;
    script.refuseCommits = error;
    taken[0]?.settle();
    await clock.advance(100);
    t.same(commits, []);
    script.refuseCommits = undefined;
    await clock.advance(100);
    t.match(commits, [[{ offset: 1 }]], error.message);
    assign([{ offset: 1 }], 2);
  }
});

t.test('gaps of the log move the position', async (t) => {
  const { assign, offer, taken, commits, clock } = await startReader();
  assign([{}]);
  offer([0, 7], 0, 20);
  taken[0]?.settle();
  taken[1]?.settle();
  await clock.advance(100);
  t.match(commits.at(-1), [{ offset: 20 }]);
});

t.test('closing waits for what is in flight, commits it, and takes nothing more', async (t) => {
  const { assign, offer, taken, commits, reader, paused } = await startReader();
  assign([{}]);
  offer([0, 1]);
  let closed = false;
  const closing = reader.close(new AbortController().signal).then(() => {
    closed = true;
  });
  t.equal(offer([2]), 0);
  t.same([...paused], ['events/0']);
  taken[0]?.settle();
  t.notOk(closed);
  taken[1]?.drop();
  await closing;
  t.match(commits.at(-1), [{ offset: 1 }], 'what was dropped is not settled');
});

t.test('closing does not wait for ever', async (t) => {
  const { assign, offer, reader, commits, taken } = await startReader();
  assign([{}]);
  offer([0, 1]);
  taken[0]?.settle();
  const late = new AbortController();
  const closing = reader.close(late.signal);
  late.abort();
  await closing;
  t.match(commits.at(-1), [{ offset: 1 }]);
});

t.test('a change of topics disturbs nothing that is in flight', async (t) => {
  const { assign, offer, taken, reader, offsets, script, commits, clock } = await startReader();
  assign([{}]);
  offer([0, 1]);
  await reader.changeTopics(['events', 'more']);
  t.equal(script.consumers, 2);
  assign([{}, { topic: 'more' }]);
  t.equal(offer([0, 1, 2]), 3);
  t.same(offsets(), [0, 1, 2]);
  for (const one of taken) one.settle();
  await clock.advance(100);
  t.match(commits.at(-1)?.[0], { topic: 'events', offset: 3 });
});

t.test('what settles between two consumers is committed by the second', async (t) => {
  const { assign, offer, taken, reader, commits, script, clock } = await startReader();
  assign([{}]);
  offer(range(0, 200));
  const { promise, resolve } = Promise.withResolvers<void>();
  script.consumeWaitsFor = promise;
  const change = reader.changeTopics(['events', 'more']);
  await clock.advance(0);
  for (const one of taken) one.settle();
  await clock.advance(1_000);
  resolve();
  await change;
  assign([{}, { topic: 'more' }]);
  await clock.advance(100);
  t.match(commits.at(-1)?.[0], { topic: 'events', offset: 200 });
});

t.test('a partition whose restored records are to be offered is not held for ever', async (t) => {
  const { assign, offer, taken, paused } = await startReader({ recordsMax: 10, bytesMax: 10_000_000 });
  // 300 unsettled offsets over a span that no bitmap holds: no new record may be taken before some have settled.
  const restored = new Offsets({ offset: 0, metadata: '' }, 100_000);
  for (let offset = 0; offset < 30_000; offset++)
    if (restored.take(offset) && offset % 150 > 0) restored.settle(offset);
  const { metadata } = restored.commit(0);
  assign([{ partition: 1 }, { metadata, end: 100_000 }]);
  offer(range(0, 10), 1);
  t.equal(offer([0, 150], 0), 0, 'the window is full of the other partition');
  for (const one of taken) one.settle();
  t.same([...paused], []);
  t.equal(offer([0, 150], 0), 2);
});

t.test('what was handed out of a revoked partition says so', async (t) => {
  const { assign, offer, taken } = await startReader();
  assign([{}, { partition: 1 }]);
  offer([0], 0);
  offer([0], 1);
  assign([{ partition: 1 }], 2);
  t.same(
    taken.map(({ isRevoked }) => isRevoked),
    [true, false],
  );
});

t.test('a commit that attempts wait for is made after 10 ms, or when 64 records have settled', async (t) => {
  const { assign, offer, taken, commits, clock } = await startReader();
  const bound = new RepeatBound(256);
  while (bound.begin() === undefined);
  assign([{}]);
  await clock.advance(100);
  commits.length = 0;
  offer(range(0, 200));
  taken[0]?.settle(bound);
  await clock.advance(9);
  t.same(commits, []);
  await clock.advance(1);
  t.match(commits, [[{ offset: 1 }]]);
  for (const one of taken.slice(1, 64)) one.settle(bound);
  await clock.advance(0);
  t.equal(commits.length, 1);
  taken[64]?.settle(bound);
  await clock.advance(0);
  t.match(commits[1], [{ offset: 65 }]);
});

t.test('a record counts for its bound until the commit that holds it is acknowledged', async (t) => {
  const { assign, offer, taken, clock, script } = await startReader();
  const bound = new RepeatBound(256);
  assign([{}]);
  offer([0, 1]);
  await clock.advance(100);
  script.refuseCommits = new Error('no coordinator');
  taken[0]?.settle(bound);
  await clock.advance(1_000);
  t.notOk(bound.isUnused, 'the commits fail');
  const { promise, resolve } = Promise.withResolvers<void>();
  script.commitsWaitFor = promise;
  script.refuseCommits = undefined;
  await clock.advance(1_000);
  taken[1]?.settle(bound);
  t.notOk(bound.isUnused, 'a commit is on its way');
  script.commitsWaitFor = Promise.resolve();
  resolve();
  await clock.advance(0);
  t.notOk(bound.isUnused, 'what settled after that commit had begun is not in it');
  await clock.advance(100);
  t.ok(bound.isUnused);
});

t.test('a record of a revoked partition counts for no bound any more', async (t) => {
  const { assign, offer, taken, clock, script } = await startReader();
  const bound = new RepeatBound(256);
  assign([{}, { partition: 1 }]);
  for (const partition of [0, 1]) offer([0, 1], partition);
  script.refuseCommits = new StaleEpochError(1, 2);
  taken[0]?.settle(bound);
  await clock.advance(100);
  assign([{ partition: 1 }], 2);
  t.ok(bound.isUnused);
  taken[1]?.settle(bound);
  t.ok(bound.isUnused, 'nor does one that settles too late');
});

t.test('one commit is on its way at a time', async (t) => {
  const { assign, offer, taken, commits, clock, script } = await startReader();
  assign([{}]);
  await clock.advance(100);
  commits.length = 0;
  offer(range(0, 400));
  const { promise, resolve } = Promise.withResolvers<void>();
  script.commitsWaitFor = promise;
  for (const one of taken) one.settle();
  await clock.advance(1_000);
  t.equal(script.commitsUnderWay, 1);
  resolve();
  await clock.advance(0);
  t.match(commits, [[{ offset: 128 }], [{ offset: 400 }]]);
});

t.test('a commit carries the epoch of the last assignment', async (t) => {
  const { assign, offer, taken, clock, script } = await startReader();
  assign([{}], 7);
  offer([0, 1]);
  await clock.advance(100);
  assign([{}], 9);
  taken[0]?.settle();
  await clock.advance(100);
  t.same(script.epochs, [7, 9]);
});

t.test('records that take the offsets of others, in a log that lost some, are handed out', async (t) => {
  const { assign, offer, taken, offsets, commits, clock, reader } = await startReader();
  assign([{ end: 10 }]);
  offer(range(0, 10));
  for (const one of taken.slice(0, 8)) one.settle();
  await clock.advance(100);
  assign([{ offset: 0, end: 5 }], 2);
  t.same(
    taken.map(({ isRevoked }) => isRevoked),
    taken.map(() => true),
  );
  commits.length = 0;
  offer(range(0, 7));
  t.same(offsets().slice(10), range(0, 7));
  for (const one of taken) one.settle();
  await clock.advance(100);
  t.match(commits, [[{ offset: 7, metadata: '' }]], 'the late answers settle nothing of the new records');
  t.equal(reader.unsettled, 0);
});

t.test('restored records that compaction has removed hold nothing back', async (t) => {
  const { assign, offer, paused } = await startReader();
  // More unsettled than runs may hold, over a span that no bitmap holds: nothing more could be taken beside them.
  const restored = new Offsets({ offset: 0, metadata: '' }, 100_000);
  for (let offset = 0; offset < 30_000; offset++)
    if (restored.take(offset) && offset % 145 > 0) restored.settle(offset);
  assign([{ metadata: restored.commit(0).metadata, end: 100_000 }]);
  t.equal(offer([50_000]), 1);
  t.same([...paused], []);
});
