import { encodedBytes, type Log, type LogRecord } from '../broker/log/log.ts';

/** What one request may read. A megabyte takes some 10 ms; twenty thousand records of 1.5 KB fit. */
const bytesMax = 32 * 1_048_576;
const recordsMax = 50_000;

const readBytesMax = 1_048_576;

/** Of one partition, what was read: all from `from` on. */
interface PartitionTail<T> {
  readonly partition: number;
  readonly start: number;
  from: number;
  found: Found<T>[];
}

interface Found<T> {
  readonly timestampMs: number;
  readonly partition: number;
  readonly offset: number;
  readonly item: T;
}

export interface Tail<T> {
  /** Newest last. */
  readonly items: readonly T[];
  /** Whether there are records that were not looked at, or are left out for `limit`. */
  readonly hasMore: boolean;
}

/**
 * The newest items of a topic, at most `limit`. Each partition is read backwards in blocks that grow, so that large
 * records are not read for nothing; where `bytesMax` or `recordsMax` is reached it ends with what was found.
 * @param take what is to be kept of a record; null to pass over it
 * @throws what the log throws
 */
export async function readTail<T>(
  log: Pick<Log, 'ranges' | 'read'>,
  topic: string,
  limit: number,
  take: (record: LogRecord, partition: number) => T | null,
): Promise<Tail<T>> {
  const ranges = await log.ranges(topic);
  const tails = ranges.map(
    ({ partition, start, end }): PartitionTail<T> => ({ partition, start, from: end, found: [] }),
  );
  const isOpen = ({ start, from, found }: PartitionTail<T>): boolean => from > start && found.length < limit;
  const budget: Budget = { bytes: bytesMax, records: recordsMax };
  for (let blockRecords = 1; tails.some(isOpen) && isLeft(budget); blockRecords *= 4) {
    for (const tail of tails) {
      if (isOpen(tail) && isLeft(budget)) await readBlock(log, topic, tail, blockRecords, budget, take);
    }
  }
  const found = tails.flatMap((tail) => tail.found).toSorted(byTime);
  return {
    items: found.slice(-limit).map(({ item }) => item),
    hasMore: found.length > limit || tails.some(({ start, from }) => from > start),
  };
}

interface Budget {
  bytes: number;
  records: number;
}

function isLeft({ bytes, records }: Budget): boolean {
  return bytes > 0 && records > 0;
}

/** Reads what comes before the tail, and makes it part of it if the budget reaches to where the tail begins. */
async function readBlock<T>(
  log: Pick<Log, 'read'>,
  topic: string,
  tail: PartitionTail<T>,
  blockRecords: number,
  budget: Budget,
  take: (record: LogRecord, partition: number) => T | null,
): Promise<void> {
  const { partition } = tail;
  const from = Math.max(tail.start, tail.from - Math.min(blockRecords, budget.records));
  const found: Found<T>[] = [];
  for (let at = from; at < tail.from; ) {
    if (budget.bytes <= 0) return;
    const { records, nextOffset } = await log.read(topic, partition, at, Math.min(readBytesMax, budget.bytes));
    for (const record of records) {
      if (record.offset >= tail.from) break;
      budget.bytes -= encodedBytes(record);
      budget.records -= 1;
      const item = take(record, partition);
      if (item !== null) found.push({ timestampMs: record.timestampMs, partition, offset: record.offset, item });
    }
    // Retention can delete all that is left while it is read.
    if (nextOffset <= at) break;
    at = nextOffset;
  }
  tail.found = tail.found.concat(found);
  tail.from = from;
}

function byTime<T>(a: Found<T>, b: Found<T>): number {
  return a.timestampMs - b.timestampMs || a.partition - b.partition || a.offset - b.offset;
}
