import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silent } from '../../test/support/silent.ts';

export const logKinds = ['Kafka', 'embedded'] as const;
export type LogKind = (typeof logKinds)[number];

/** A log of one measurement, empty at first. */
export interface BenchLog {
  /** What `posthorn serve` is given to use it. */
  readonly args: readonly string[];
  /** The topic of the events of its broker. */
  readonly topic: string;
  /** Opens it in this process; the embedded one only while no Posthorn runs on it. Close it. */
  open(): Promise<Log>;
}

export function kafkaLog(brokers: string): BenchLog {
  const prefix = `bench${randomBytes(4).toString('hex')}`;
  return {
    args: ['--kafka', brokers, '--prefix', prefix, '--replication-factor', '1'],
    topic: `${prefix}.default.default`,
    open: () => openKafka(brokers),
  };
}

export function openKafka(brokers: string): Promise<Log> {
  return openKafkaLog({ brokers: brokers.split(','), replicationFactor: 1, logger: silent });
}

/** Calls with a log of its own, and removes it afterwards where it is ours. */
export async function withLog<T>(kind: LogKind, brokers: string, run: (log: BenchLog) => Promise<T>): Promise<T> {
  if (kind === 'Kafka') return run(kafkaLog(brokers));
  const directory = await mkdtemp(path.join(tmpdir(), 'posthorn-bench-'));
  try {
    return await run({
      args: ['--data', directory],
      topic: 'posthorn.default.default',
      open: () => openEmbeddedLog({ directory, clock: systemClock, logger: silent }),
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** How many records a topic holds. */
export async function recordsOf({ open, topic }: BenchLog): Promise<number> {
  const log = await open();
  try {
    return (await log.ranges(topic)).reduce((sum, { start, end }) => sum + end - start, 0);
  } finally {
    await log.close();
  }
}
