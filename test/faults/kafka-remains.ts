import { readFileSync } from 'node:fs';
import { decodeRecordSet } from '../../broker/log/kafka/record-batch.ts';
import type { Log, LogRecord } from '../../broker/log/log.ts';
import type { BrokerTopics } from '../../broker/topics.ts';
import { fromRetryRecord } from '../../dispatcher/retry.ts';
import { numberOf } from '../support/unsettled.ts';
import type { Exposure } from './account.ts';
import { attemptsByEvent, latestAttempts, type NumberedAttempt } from './attempts.ts';
import { deadLettersIn } from './dead-letters.ts';
import { type GroupEntry, groupEntryOf } from './group-history.ts';
import { groupsOf } from './groups.ts';
import { type GivenUp, GroupTracker, type Handover, unsettledOf } from './handovers.ts';
import type { KeptSegments } from './kept-segments.ts';
import type { FaultLedger } from './ledger.ts';
import type { Life } from './member.ts';
import type { FaultTrigger, Remains } from './stage.ts';

export interface KafkaRemainsOptions {
  readonly segments: Pick<KeptSegments, 'filesOf'>;
  readonly log: Log;
  readonly topics: BrokerTopics;
  readonly ledger: FaultLedger;
  readonly triggers: readonly FaultTrigger[];
  readonly lives: readonly Life[];
  readonly slotOf: (host: string) => number;
  readonly givenUp: readonly GivenUp[];
}

interface Numbered extends NumberedAttempt {
  readonly offset: number;
}

/** Reads from a Kafka that nobody uses any more what a run has left there, and how its groups got on. */
export async function kafkaRemains(options: KafkaRemainsOptions): Promise<Remains> {
  const { log, topics, triggers } = options;
  const records = new Map<string, Numbered[]>();
  const appended: number[][] = [];
  for (const topic of topics.eventTopics) {
    for (const { partition } of await log.ranges(topic)) {
      const its: Numbered[] = [];
      for await (const record of recordsOf(log, topic, partition)) {
        its.push({ offset: record.offset, event: numberOf(record), attempt: 1 });
      }
      records.set(`${topic}/${partition}`, its);
      appended.push(its.map(({ event }) => event));
    }
  }
  const retried = new Map<string, Map<number, number>>();
  const retriesTwice = new Map<string, Map<number, number>>();
  for (const { name } of triggers) {
    const all = await keptRecords(options.segments.filesOf(topics.retry(name)));
    const its = all.map((record) => ({
      ...{ offset: record.offset, event: numberOf(record), attempt: fromRetryRecord(record).attempt },
    }));
    records.set(`${topics.retry(name)}/0`, its);
    retried.set(name, latestAttempts(its));
    retriesTwice.set(name, repeatedRetries(all));
  }
  const groups = await groupsOf(log, topics, triggers);
  const { handovers, entries } = await groupsIn(options, groups);
  return {
    appended,
    deadLettered: await deadLettersIn(log, topics.deadLetter),
    exposures: handovers.map((handover) => exposureOf(handover, options, groups, records)),
    history: [...handovers.map(handoverLine), ...entries.map(entryLine), ...options.givenUp.map(givenUpLine)].sort(),
    ...{ retried, retriesTwice },
  };
}

function exposureOf(
  { group, topic, partition, committed, atMs, cause, from }: Handover,
  { topics, triggers, ledger }: KafkaRemainsOptions,
  groups: ReadonlyMap<FaultTrigger, string>,
  records: ReadonlyMap<string, readonly Numbered[]>,
): Exposure {
  const wasThere = ({ event }: Numbered): boolean => (ledger.sent.get(event)?.sentAtMs ?? 0) <= atMs;
  const its = unsettledOf(records.get(`${topic}/${partition}`) ?? [], committed).filter(wasThere);
  const concerned = triggers.filter((trigger) =>
    topics.eventTopics.includes(topic) ? group === groups.get(trigger) : topic === topics.retry(trigger.name),
  );
  return {
    ...{ atMs, cause, from, isRetry: !topics.eventTopics.includes(topic) },
    triggers: concerned.map(({ name }) => name),
    events: attemptsByEvent(its),
  };
}

function handoverLine({ atMs, cause, from, group, topic, partition, committed }: Handover): string {
  const process = `Posthorn ${from.slot} of ${from.startedAtMs}`;
  return `${atMs} ${cause} ${process}: ${group} ${topic}/${partition} committed ${committed.offset} ${committed.metadata}`;
}

function entryLine(entry: GroupEntry): string {
  const { kind, group, atMs } = entry;
  if (kind === 'commit') {
    const { topic, partition, offset, metadata } = entry;
    return `${atMs} commit: ${group} ${topic}/${partition} ${offset} ${metadata}`;
  }
  const members = entry.members.map(({ host, assignment }) => {
    const all = Object.entries(assignment).map(([topic, partitions]) => `${topic}/${partitions.join('+')}`);
    return `${host} has ${all.join(' ')}`;
  });
  return `${atMs} generation: ${group} ${members.join('; ')}`;
}

function givenUpLine({ atMs, group, slot, wasMember }: GivenUp): string {
  return `${atMs} given up: ${group} by Posthorn ${slot}${wasMember ? '' : ', which may not have been a member'}`;
}

/** The history of the groups is in one topic, each group's in one partition of it. */
async function groupsIn(
  { log, topics, lives, slotOf, givenUp }: KafkaRemainsOptions,
  groups: ReadonlyMap<FaultTrigger, string>,
): Promise<{ handovers: Handover[]; entries: GroupEntry[] }> {
  const entries: GroupEntry[] = [];
  const trackers = new Map(
    [...new Set([topics.sharedGroup, topics.retryGroup(0), ...groups.values()])].map((group) => {
      const its = givenUp.filter((one) => one.group === group);
      return [group, new GroupTracker(group, { lives, slotOf, givenUp: its })];
    }),
  );
  for (const { partition } of await log.ranges('__consumer_offsets')) {
    for await (const record of recordsOf(log, '__consumer_offsets', partition)) {
      const entry = groupEntryOf(record);
      const tracker = entry === null ? undefined : trackers.get(entry.group);
      if (entry === null || tracker === undefined) continue;
      tracker.take(entry);
      entries.push(entry);
    }
  }
  return { handovers: [...trackers.values()].flatMap((tracker) => tracker.handovers), entries };
}

async function* recordsOf(log: Log, topic: string, partition: number): AsyncGenerator<LogRecord> {
  for (let offset = 0; ; ) {
    const { records, nextOffset } = await log.read(topic, partition, offset, 4_194_304);
    yield* records;
    if (nextOffset === offset) return;
    offset = nextOffset;
  }
}

/** All records that a topic of one partition ever had. */
async function keptRecords(files: readonly string[]): Promise<LogRecord[]> {
  const records = new Map<number, LogRecord>();
  for (const file of files) {
    const { records: its } = await decodeRecordSet(readFileSync(file), 0, []);
    for (const record of its) records.set(record.offset, record);
  }
  return [...records.values()].sort((a, b) => a.offset - b.offset);
}

/** By event: how many records are the same delivery, in the same state, once more. */
function repeatedRetries(records: readonly LogRecord[]): Map<number, number> {
  const seen = new Set<string>();
  const repeated = new Map<number, number>();
  for (const record of records) {
    const { attempt, dueAtMs, origin } = fromRetryRecord(record);
    const state = `${origin.topic}/${origin.partition}/${origin.offset} ${attempt} ${dueAtMs}`;
    const event = numberOf(record);
    if (seen.has(state)) repeated.set(event, (repeated.get(event) ?? 0) + 1);
    seen.add(state);
  }
  return repeated;
}
