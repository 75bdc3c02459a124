import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedLog } from '../../../broker/log/embedded/embedded-log.ts';
import { LogFullError } from '../../../broker/log/errors.ts';
import type { Log, NewRecord } from '../../../broker/log/log.ts';
import { silent } from '../../support/silent.ts';
import { until } from '../../support/until.ts';
import { Collector } from '../conformance/collector.ts';
import { rangeOf, readAll } from '../conformance/harness.ts';

/*
 * Run by embedded-full.test.ts with a directory on a small file system of its own: fills it in several ways and
 * prints what it saw as one JSON object.
 */
const [, , root = ''] = process.argv;
const directory = join(root, 'log');
const reserve = join(directory, 'reserve');
const filler = join(root, 'filler');
const reserveBytes = 40 * 1_048_576;
const spec = { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 };

const log = await openEmbeddedLog({ directory, logger: silent, reserveBytes });
await log.ensureTopics(['kept'], spec);
await log.ensureTopics(['expired'], { ...spec, retentionMs: 3_600_000 });
const seen: Record<string, unknown> = { reserveAtFirst: existsSync(reserve) };

const collector = new Collector();
await collector.join(log, { group: 'group', topics: ['kept'], startAt: 'latest' });
await until(() => collector.assignments.length === 1, 'the partition is assigned');

const dayAgoMs = Date.now() - 86_400_000;
seen.refusedWith = await appendUntilFull(log, 'expired', 1, dayAgoMs);
const isAllExpired = async () => {
  const { start, end } = await rangeOf(log, 'expired', 0);
  return start === end;
};
// All of it: what were deleted later would make room where the test wants none.
await until(isAllExpired, 'what is past its retention is deleted');
await until(() => accepted(log, 'kept', 1), 'appends go on after that');

seen.refusedAgainWith = await appendUntilFull(log, 'kept', 4);
// Where four at once have no room, one may have.
await appendUntilFull(log, 'kept', 1);
seen.reserveWhenFull = existsSync(reserve);
seen.acceptedWhenFull = await accepted(log, 'kept', 1);
const end = (await rangeOf(log, 'kept', 0)).end;
await collector.commit([{ topic: 'kept', partition: 0, offset: 1, metadata: 'while full' }]);
seen.committedWhenFull = (await log.committed('group', 'kept'))[0]?.metadata;
seen.heldWhenFull = (await readAll(log, 'kept', 0)).length === end;

await log.trim('kept', 0, Math.floor(end / 2));
await until(() => accepted(log, 'kept', 40), 'appends go on after a trim');
const range = await rangeOf(log, 'kept', 0);
seen.heldAfterTrim = (await readAll(log, 'kept', 0)).length === range.end - range.start;

await appendUntilFull(log, 'kept', 4);
await collector.close();
await log.deleteTopic('kept');
await log.deleteTopic('expired');
await log.ensureTopics(['other'], spec);
await until(() => accepted(log, 'other', 40), 'appends go on after a topic was deleted');

await appendUntilFull(log, 'other', 4);
await log.close();
const again = await openEmbeddedLog({ directory, logger: silent, reserveBytes });
const otherRange = await rangeOf(again, 'other', 0);
seen.heldAfterReopen = (await readAll(again, 'other', 0)).length === otherRange.end - otherRange.start;
await again.close();

// A disk that others fill and empty.
rmSync(directory, { recursive: true });
const small = await openEmbeddedLog({ directory, logger: silent, reserveBytes });
await small.ensureTopics(['topic'], spec);
fill();
seen.refusedBesideOthersWith = await appendUntilFull(small, 'topic', 1);
fill();
await small.trim('topic', 0, 1);
rmSync(filler);
await until(() => accepted(small, 'topic', 1), 'appends go on when others made room');
seen.reserveAfterwards = existsSync(reserve);
const smallEnd = (await rangeOf(small, 'topic', 0)).end;
await small.close();

// A start when others have left no byte.
fill();
const full = await openEmbeddedLog({ directory, logger: silent, reserveBytes });
seen.heldAfterStartOnFullDisk = (await rangeOf(full, 'topic', 0)).end === smallEnd;
rmSync(filler);
await until(() => accepted(full, 'topic', 1), 'appends go on when others made room');
await full.close();
process.stdout.write(JSON.stringify(seen));

/** Appends records of 256 KiB, several at a time, until one is refused; returns the name of the error. */
async function appendUntilFull(log: Log, topic: string, atOnce: number, timestampMs = Date.now()): Promise<string> {
  const record: NewRecord = { key: null, value: Buffer.alloc(262_144, 'x'), headers: {}, timestampMs };
  for (;;) {
    const appends = Array.from({ length: atOnce }, () => log.append(topic, 0, [record]));
    for (const result of await Promise.allSettled(appends)) {
      if (result.status === 'rejected') return result.reason instanceof Error ? result.reason.name : 'no error';
    }
  }
}

/** Whether a record of 256 KiB times `count` can be appended. */
async function accepted(log: Log, topic: string, count: number): Promise<boolean> {
  try {
    for (let i = 0; i < count; i++) {
      await log.append(topic, 0, [{ key: null, value: Buffer.alloc(262_144, 'x'), headers: {} }]);
    }
    return true;
  } catch (error) {
    if (error instanceof LogFullError) return false;
    throw error;
  }
}

/** Takes all the room that is left. */
function fill(): void {
  for (let bytes = 1_048_576; bytes >= 4_096; ) {
    try {
      writeFileSync(filler, Buffer.alloc(bytes, 'f'), { flag: 'a' });
    } catch {
      bytes /= 2;
    }
  }
}
