import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const logKinds = ['Kafka', 'embedded'] as const;
export type LogKind = (typeof logKinds)[number];

/** Calls with the arguments of `posthorn serve` for a log of its own, and removes it afterwards. */
export async function withLog<T>(kind: LogKind, brokers: string, run: (args: string[]) => Promise<T>): Promise<T> {
  if (kind === 'Kafka') {
    const prefix = `bench${randomBytes(4).toString('hex')}`;
    return run(['--kafka', brokers, '--prefix', prefix, '--replication-factor', '1']);
  }
  const directory = await mkdtemp(path.join(tmpdir(), 'posthorn-bench-'));
  try {
    return await run(['--data', directory]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
