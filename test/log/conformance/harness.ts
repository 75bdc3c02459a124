import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import type { Log, LogRecord, NewRecord, PartitionRange, TopicSpec } from '../../../broker/log/log.ts';
import { until } from '../../support/until.ts';

/** A log under test. */
export interface OpenLog {
  readonly log: Log;
  /** Closes the log and opens another one on the same storage. */
  reopen(): Promise<Log>;
  /** Closes whichever log is open. */
  close(): Promise<void>;
}

export type Case = (t: Test, opened: OpenLog) => Promise<void>;

/** A rebalance on Kafka takes seconds, and tens of them when a coordinator moves. */
export const patienceMs = 60_000;

/** As `until`, with the patience that a real Kafka needs. */
export function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  return until(condition, what, patienceMs);
}

/** A name that nothing else has, for a topic, a group, or what the names of some topics start with. */
export function uniqueName(kind: string): string {
  return `conformance.${kind}.${randomUUID()}`;
}

export function topicSpec(partitions: number): TopicSpec {
  return { partitions, retentionMs: 7 * 86_400_000, maxMessageBytes: 1_048_576 + 65_536 };
}

export async function makeTopic(log: Log, partitions = 1): Promise<string> {
  const topic = uniqueName('topic');
  await log.ensureTopics([topic], topicSpec(partitions));
  return topic;
}

/** A record whose value is the text, without key and headers. */
export function record(value: string): NewRecord {
  return { key: null, value: Buffer.from(value), headers: {} };
}

/** Records with the values `from`, `from + 1`, … */
export function numbered(from: number, count: number): NewRecord[] {
  return Array.from({ length: count }, (_, i) => record(String(from + i)));
}

export function valuesOf(records: readonly LogRecord[]): (string | null)[] {
  return records.map((one) => one.value?.toString() ?? null);
}

/** The decimal numbers from `from` on, as valuesOf gives them. */
export function counting(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i));
}

/** Reads a partition from `fromOffset` to its end. */
export async function readAll(log: Log, topic: string, partition: number, fromOffset = 0): Promise<LogRecord[]> {
  const end = (await rangeOf(log, topic, partition)).end;
  const records: LogRecord[] = [];
  for (let offset = fromOffset; offset < end; ) {
    const result = await log.read(topic, partition, offset, 1_048_576);
    if (result.nextOffset <= offset) throw new Error(`read at ${offset} of ${end} does not advance`);
    records.push(...result.records);
    offset = result.nextOffset;
  }
  return records;
}

export async function rangeOf(log: Log, topic: string, partition: number): Promise<PartitionRange> {
  const range = (await log.ranges(topic)).find((one) => one.partition === partition);
  if (range === undefined) throw new Error(`ranges of ${topic} have no partition ${partition}`);
  return range;
}
