import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { open, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { brokerTopics } from '../../broker/topics.ts';
import { fromRetryRecord } from '../../dispatcher/retry.ts';
import { silent } from '../support/silent.ts';
import { metric } from '../support/triggers.ts';
import { numberOf, readFrom, unsettledRecords } from '../support/unsettled.ts';
import type { Exposure } from './account.ts';
import { attemptsByEvent, latestAttempts, type NumberedAttempt } from './attempts.ts';
import { deadLettersIn } from './dead-letters.ts';
import { groupsOf } from './groups.ts';
import { Member } from './member.ts';
import { processFaults } from './process-faults.ts';
import type { Stage, StageOptions } from './stage.ts';
import { tearWal } from './torn-wal.ts';

/** Of a copy of the log, which nobody appends to. */
const copyReserveBytes = 65_536;

/** Posthorn measures what waits every 5 s. */
const measuredTwiceMs = 11_000;

const topics = brokerTopics('posthorn', { namespace: 'default', name: 'default' });

/** One Posthorn on the embedded log. @param disk a file system of its own, which can be filled */
export async function startEmbeddedStage(options: StageOptions & { readonly disk: string }): Promise<Stage> {
  const { directory, guardian, ledger, triggers, fakeTime, onLine, onKill, disk } = options;
  const data = path.join(disk, 'log');
  const filler = path.join(disk, 'filler');
  const clock = fakeTime === null ? null : { library: fakeTime, file: path.join(directory, 'clock') };
  const member = new Member({ slot: 1, args: ['--data', data], clock, guardian, onLine });
  const exposures: Exposure[] = [];
  const retries = new Map(triggers.map(({ name }) => [name, [] as NumberedAttempt[]]));
  let idleSinceMs = Date.now();

  /** Called between two processes. The log is read from a copy: the first to open it after a crash is Posthorn. */
  const noteExposure = async (): Promise<void> => {
    const life = member.lives.at(-1);
    if (life === undefined) return;
    const copy = path.join(directory, 'copy');
    mkdirSync(copy);
    cpSync(data, copy, { recursive: true, filter: (file) => path.basename(file) !== 'reserve' });
    const log = await openEmbeddedLog({ directory: copy, logger: silent, reserveBytes: copyReserveBytes });
    const byGroup = Map.groupBy(await groupsOf(log, topics, triggers), ([, group]) => group);
    const readers = [
      ...[...byGroup].map(([group, its]) => ({
        group,
        topic: topics.events,
        concerned: its.map(([trigger]) => trigger),
      })),
      ...triggers.map((one) => ({ group: topics.retryGroup(0), topic: topics.retry(one.name), concerned: [one] })),
    ];
    for (const { group, topic, concerned } of readers) {
      const isRetry = topic !== topics.events;
      const records = (await unsettledRecords(log, group, topic)).map((record) => ({
        ...{ event: numberOf(record), attempt: isRetry ? fromRetryRecord(record).attempt : 1 },
      }));
      const names = concerned.map(({ name }) => name);
      if (isRetry) retries.get(names[0] ?? '')?.push(...records);
      exposures.push({
        ...{ atMs: Date.now(), cause: life.how === 'leave' ? 'leave' : 'kill', from: life, isRetry },
        ...{ triggers: names, events: attemptsByEvent(records) },
      });
    }
    await log.close();
    rmSync(copy, { recursive: true });
  };
  const onTear = (): string => {
    const at = tearWal(path.join(data, 'log.db-wal'));
    return at === null ? 'there was nothing to tear' : `torn at byte ${at}`;
  };

  return {
    members: [member],
    guests: [],
    actions: {
      ...processFaults({ members: [member], ledger, onKill, onEnd: noteExposure, onTear }),
      async 'full-disk'({ dice }) {
        const bytes = await fill(filler);
        // In half of the cases somebody takes even what Posthorn kept in reserve.
        const more = dice[0] < 0.5 ? 0 : await fill(filler);
        return { what: `${bytes + more} bytes`, end: () => rmSync(filler, { force: true }) };
      },
    },
    async heal() {
      idleSinceMs = Date.now();
      rmSync(filler, { force: true });
    },
    async isDone() {
      const { adminUrl } = member;
      if (adminUrl === '') return false;
      const waiting = ['posthorn_retry_backlog_records', 'posthorn_lane_lag_records'];
      const counts = await Promise.all(waiting.map((name) => metric(adminUrl, name)));
      if (counts.some((count) => count > 0)) idleSinceMs = Date.now();
      return Date.now() - idleSinceMs > measuredTwiceMs;
    },
    async remains() {
      const log = await openEmbeddedLog({ directory: data, logger: silent, reserveBytes: copyReserveBytes });
      const appended = await partitionsOf(log);
      const deadLettered = await deadLettersIn(log, topics.deadLetter);
      await log.close();
      const retried = new Map([...retries].map(([trigger, its]) => [trigger, latestAttempts(its)]));
      return { appended, deadLettered, exposures, history: [], retried, retriesTwice: new Map() };
    },
    close: async () => {},
  };
}

async function partitionsOf(log: Log): Promise<number[][]> {
  const partitions: number[][] = [];
  for (const { partition, start } of await log.ranges(topics.events)) {
    partitions.push((await readFrom(log, topics.events, partition, start)).map(numberOf));
  }
  return partitions;
}

/** Takes all the room that is left. @returns how many bytes that was */
async function fill(file: string): Promise<number> {
  const { bavail, bsize } = await statfs(path.dirname(file));
  const before = (await stat(file).catch(() => null))?.size ?? 0;
  // In one go, which takes no time; what others were quicker to take or give back is a matter of some pieces.
  await promisify(execFile)('fallocate', ['-l', String(before + bavail * bsize), file]).catch(() => {});
  const handle = await open(file, 'a');
  const piece = Buffer.alloc(1_048_576, 'f');
  for (let bytes = piece.length; bytes >= 4_096; ) {
    try {
      await handle.write(piece, 0, bytes);
    } catch {
      bytes /= 2;
    }
  }
  const { size } = await handle.stat();
  await handle.close();
  return size - before;
}
