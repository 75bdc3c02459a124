import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { systemClock } from '../../runtime/clock.ts';
import { kafkaBrokers } from './kafka.ts';
import { silent } from './silent.ts';

/** A log for a test of its own, empty at first. */
export interface LogUnderTest {
  readonly kind: 'embedded' | 'kafka';
  /** What `posthorn serve` is given to use it. */
  readonly args: readonly string[];
  readonly prefix: string;
  /** Opens it in this process; the embedded one only while no Posthorn runs on it. Close it. */
  open(): Promise<Log>;
}

/** Runs the test on both logs. */
export function onBothLogs(name: string, test: (t: Test, log: LogUnderTest) => Promise<void>): void {
  t.test(`${name} (embedded log)`, async (t) => test(t, await embeddedUnderTest(t)));
  t.test(`${name} (Kafka)`, async (t) => test(t, await kafkaUnderTest()));
}

export async function embeddedUnderTest(t: Test): Promise<LogUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return {
    kind: 'embedded',
    args: ['--data', directory],
    prefix: 'posthorn',
    open: () => openEmbeddedLog({ directory, clock: systemClock, logger: silent }),
  };
}

export async function kafkaUnderTest(): Promise<LogUnderTest> {
  const brokers = await kafkaBrokers();
  const prefix = `t${randomBytes(6).toString('hex')}`;
  return {
    kind: 'kafka',
    args: ['--kafka', brokers.join(), '--prefix', prefix, '--replication-factor', '1'],
    prefix,
    open: async () =>
      (await import('../../broker/log/kafka/kafka-log.ts')).openKafkaLog({
        brokers,
        replicationFactor: 1,
        logger: silent,
      }),
  };
}
