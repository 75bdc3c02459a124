import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openEmbeddedLog } from '../../../broker/log/embedded/embedded-log.ts';
import type { Log, TopicSpec } from '../../../broker/log/log.ts';
import { silent } from '../../support/silent.ts';

/** Small, so that tests don't write 64 MiB each. */
export const testReserveBytes = 65_536;

export function openLog(directory: string): Promise<Log> {
  return openEmbeddedLog({ directory, logger: silent, reserveBytes: testReserveBytes });
}

export const onePartition: TopicSpec = { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 };

/**
 * Runs writer.ts on the directory in a process of its own: it opens the log, prints `open`, appends the numbers from
 * the end of topic `numbers` on, one record each and 20 at a time, and prints each number that was acknowledged.
 * @param last the number after which it appends nothing more, and only holds the log
 */
export function startWriter(directory: string, last = Number.POSITIVE_INFINITY): ChildProcess {
  const file = fileURLToPath(new URL('./writer.ts', import.meta.url));
  return spawn(process.execPath, [file, directory, String(last)], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Reads what the process prints, line by line, as long as `wanted` says; the process runs on. */
export async function readLines(child: ChildProcess, wanted: (line: string) => boolean): Promise<string[]> {
  const lines: string[] = [];
  let rest = '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const take = (chunk: Buffer): void => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    if (!parts.every(wanted)) resolve();
  };
  child.stdout?.on('data', take);
  child.once('exit', () => reject(new Error('the writer ended')));
  try {
    await promise;
    return lines;
  } finally {
    child.stdout?.off('data', take);
  }
}

/** Ends the process as `kill -9` does; resolves with the lines that it still had printed. */
export async function kill(child: ChildProcess): Promise<string[]> {
  let printed = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  child.kill('SIGKILL');
  await once(child, 'close');
  return printed.split('\n');
}
