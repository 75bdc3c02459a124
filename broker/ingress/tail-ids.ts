import { fromRecord } from '../../event/kafka.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { type EventId, eventIdOf } from './recent-ids.ts';

/** An event that the log has. */
export interface LoggedId {
  readonly id: EventId;
  /** When the log took it, milliseconds since 1970. */
  readonly appendedAtMs: number;
}

export interface TailBounds {
  /** Bytes of records that are read, at most about. */
  readonly bytesMax: number;
  readonly idsMax: number;
}

/** Records are read in blocks of so many offsets, the last block first: about one read of 1 KB events. */
const blockOffsets = 1_000;
const readMaxBytes = 1_048_576;

/**
 * The ids of the events that the topic took since a time, oldest first; of more than the bounds allow, the last.
 * @throws what the log throws
 */
export async function idsInTail(
  log: Pick<Log, 'ranges' | 'offsetsAt' | 'read'>,
  topic: string,
  sinceMs: number,
  { bytesMax, idsMax }: TailBounds,
): Promise<LoggedId[]> {
  const starts = new Map((await log.offsetsAt(topic, sinceMs)).map(({ partition, offset }) => [partition, offset]));
  // From what is above `end` nothing is left to be read.
  const tails = (await log.ranges(topic)).map(({ partition, end }) => ({
    partition,
    start: starts.get(partition) ?? end,
    end,
  }));
  const found: LoggedId[] = [];
  let bytes = 0;
  while (tails.some(({ start, end }) => end > start)) {
    for (const tail of tails) {
      const from = Math.max(tail.start, tail.end - blockOffsets);
      for (let offset = from; offset < tail.end; ) {
        if (bytes >= bytesMax || found.length >= idsMax) return inOrder(found);
        const { records, nextOffset } = await log.read(topic, tail.partition, offset, readMaxBytes);
        for (const record of records) {
          bytes += bytesOf(record);
          if (record.offset < tail.end) found.push(...loggedIdOf(record));
        }
        // A log that was cut off under us would be asked for ever.
        offset = Math.max(nextOffset, offset + 1);
      }
      tail.end = from;
    }
  }
  return inOrder(found);
}

function loggedIdOf(record: LogRecord): LoggedId[] {
  try {
    return [{ id: eventIdOf(fromRecord(record)), appendedAtMs: record.timestampMs }];
  } catch {
    // What is no event was not accepted here.
    return [];
  }
}

function bytesOf({ key, value }: LogRecord): number {
  // 512 stands for the headers: to count those exactly costs more than it tells.
  return 512 + (key?.length ?? 0) + (value?.length ?? 0);
}

function inOrder(ids: LoggedId[]): LoggedId[] {
  return ids.sort((a, b) => a.appendedAtMs - b.appendedAtMs);
}
