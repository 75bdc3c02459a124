import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ExampleError, quoted } from './options.ts';

/** SQLITE_BUSY: another process has the lock. */
const busy = 5;

/**
 * Takes the data folder for this process alone, and makes it if it is missing. The lock is SQLite's, on a file that
 * stays empty: the system takes it back from a process that ended, however it ended.
 * @param command what starts the example, before any flags
 * @returns what gives the folder back
 * @throws ExampleError if another process has it, or the lock can't be had for another reason
 */
export function lockData(data: string, command: string): () => void {
  mkdirSync(data, { recursive: true });
  const file = path.join(data, 'lock');
  const holder = path.join(data, 'pid');
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(file);
    // A journal on disk would lie beside it.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE');
  } catch (error) {
    lock?.close();
    const { errcode, message } = error as Error & { readonly errcode?: number };
    if (errcode !== busy)
      throw new ExampleError(`${file} can't be locked: ${message}. Choose another folder by --data.`);
    throw new ExampleError(
      `This example runs already on ${data} (process ${readHolder(holder)}), and is left as it is. End that one, ` +
        'or give this one data and ports of its own:\n\n' +
        `  ${command} --data ${quoted(`${data}-2`)} --port 0 --admin-port 0 --service-port 0`,
    );
  }
  writeFileSync(holder, `${process.pid}\n`);
  return () => lock.close();
}

function readHolder(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
