import type { Assignment } from '../../broker/log/log.ts';
import { LaneReader, type LaneReaderOptions } from '../../dispatcher/lane/reader.ts';
import type { TakenRecord } from '../../dispatcher/lane/taken-record.ts';
import type { WindowLimits } from '../../dispatcher/lane/window.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { logRecord, ScriptedLog } from '../support/scripted-log.ts';
import { silent } from '../support/silent.ts';

export const roomy: WindowLimits = { recordsMax: 1_000, bytesMax: 10_000_000 };

/** A reader on a log that the test plays. */
export async function startReader(window = roomy, more: Partial<LaneReaderOptions> = {}) {
  const clock = new ManualClock();
  const taken: TakenRecord[] = [];
  const script = new ScriptedLog();
  const reader = new LaneReader({
    ...{ log: script.log, clock, window, logger: silent },
    group: 'group',
    startAt: 'earliest',
    onRecord: (record) => taken.push(record),
    onRevoked: () => {},
    onLost: () => {},
    onDisturbed: () => {},
    ...more,
  });
  await reader.start(['events']);
  const { commits, paused } = script;
  return {
    ...{ reader, clock, taken, commits, paused, script },
    assign: (partitions: readonly Partial<Assignment>[], epoch?: number) => script.assign(partitions, epoch),
    offer: (offsets: readonly number[], partition = 0, nextOffset?: number) =>
      script.offer(
        offsets.map((offset) => logRecord(offset)),
        { partition, ...(nextOffset !== undefined && { nextOffset }) },
      ),
    offsets: () => taken.map((one) => one.record.offset),
  };
}
