import t from 'tap';
import type { LostRange } from '../../broker/log/log.ts';
import { LaneReader } from '../../dispatcher/lane/reader.ts';
import type { TakenRecord } from '../../dispatcher/lane/taken-record.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { logRecord, ScriptedLog } from '../support/scripted-log.ts';
import { silent } from '../support/silent.ts';

t.test('what the log deleted is told as lost, but for what has settled here', async (t) => {
  const script = new ScriptedLog();
  const taken: TakenRecord[] = [];
  const lost: LostRange[] = [];
  const reader = new LaneReader({
    ...{ log: script.log, clock: new ManualClock(), logger: silent, group: 'group', startAt: 'earliest' },
    window: { recordsMax: 1_000, bytesMax: 10_000_000 },
    onRecord: (record) => taken.push(record),
    onRevoked: () => {},
    onLost: (range) => lost.push(range),
    onDisturbed: () => {},
  });
  await reader.start(['events']);
  const deleted = (from: number, to: number): LostRange[] => {
    script.lose({ topic: 'events', partition: 0, from, to });
    return lost.splice(0);
  };
  const told = (from: number, to: number): LostRange[] => [{ topic: 'events', partition: 0, from, to }];

  script.assign([{ offset: 10 }]);
  t.same(deleted(4, 10), told(4, 10), 'from before it was ours');
  script.offer(Array.from({ length: 20 }, (_, index) => logRecord(10 + index)));
  for (const one of taken.slice(0, 12)) one.settle();
  // The reading begins again at the last commit.
  script.assign([{ offset: 10 }], 2);
  t.same(deleted(10, 20), [], 'all of it has settled');
  t.same(deleted(20, 22), [], 'up to the position');
  t.same(deleted(20, 40), told(22, 40), 'what is in flight, and what was never seen');
  t.same(deleted(35, 40), told(35, 40));
});

t.test('the position goes on behind what was lost, with no record to settle', async (t) => {
  const [script, clock] = [new ScriptedLog(), new ManualClock()];
  const reader = new LaneReader({
    ...{ log: script.log, clock, logger: silent, group: 'group', startAt: 'earliest' },
    window: { recordsMax: 1_000, bytesMax: 10_000_000 },
    onRecord: () => {},
    onRevoked: () => {},
    onLost: () => {},
    onDisturbed: () => {},
  });
  await reader.start(['events']);
  script.assign([{ offset: 10 }]);
  await clock.advance(100);
  script.lose({ topic: 'events', partition: 0, from: 10, to: 40 });
  await clock.advance(100);
  t.match(reader.positions(), [{ position: 40 }]);
  t.match(script.commits.at(-1), [{ offset: 40 }]);
});
