import type { Log, LogRecord } from '../../broker/log/log.ts';
import { settledBy } from './settled-set.ts';

/** The records of a topic that the group has not committed as settled. */
export async function unsettledRecords(log: Log, group: string, topic: string): Promise<LogRecord[]> {
  const unsettled: LogRecord[] = [];
  const commits = await log.committed(group, topic);
  for (const { partition, start } of await log.ranges(topic)) {
    const commit = commits.find((one) => one.partition === partition) ?? { offset: start, metadata: '' };
    const isSettled = settledBy(commit);
    const records = await readFrom(log, topic, partition, Math.max(start, commit.offset));
    unsettled.push(...records.filter(({ offset }) => !isSettled(offset)));
  }
  return unsettled;
}

/** Records of one partition from an offset to its end. */
export async function readFrom(log: Log, topic: string, partition: number, fromOffset: number): Promise<LogRecord[]> {
  const all: LogRecord[] = [];
  for (let offset = fromOffset; ; ) {
    const { records, nextOffset } = await log.read(topic, partition, offset, 1_048_576);
    if (nextOffset === offset) return all;
    all.push(...records);
    offset = nextOffset;
  }
}

/** The number of the event that a record holds. */
export function numberOf(record: Pick<LogRecord, 'headers'>): number {
  return Number(record.headers.ce_id);
}

/** How often each number is there. */
export function countsOf(numbers: Iterable<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return counts;
}

export function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
