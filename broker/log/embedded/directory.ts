import { accessSync, constants, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, PosthornError } from '../../../runtime/errors.ts';

/** The directory of the embedded log can't be used: no permission, no database, one of a newer Posthorn. */
export class LogDirectoryError extends PosthornError {
  constructor(message: string, options?: ErrorOptions) {
    super('LOG_DIRECTORY', message, options);
  }
}

/** The files of an embedded log. SQLite puts its write-ahead log beside the database. */
export function filesOf(directory: string): { database: string; holder: string; reserve: string } {
  return {
    database: join(directory, 'log.db'),
    holder: join(directory, 'holder'),
    reserve: join(directory, 'reserve'),
  };
}

/**
 * Makes the directory if it is missing, readable to its owner alone: events may be anybody's data.
 * @throws LogDirectoryError
 */
export function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!statSync(directory).isDirectory()) throw new Error('it is not a directory');
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new LogDirectoryError(
      `the log's directory ${directory} can't be written: ${messageOf(error)}; name another one with --data`,
      { cause: error },
    );
  }
}

/** Says who holds the log. Only for messages: what locks the log is SQLite's lock, which dies with the process. */
export function noteHolder(directory: string): void {
  writeFileSync(filesOf(directory).holder, `${process.pid}\n`);
}

export function forgetHolder(directory: string): void {
  rmSync(filesOf(directory).holder, { force: true });
}

/** Who holds the log, in words. */
export function holderOf(directory: string): string {
  let pid: string;
  try {
    pid = readFileSync(filesOf(directory).holder, 'utf8').trim();
  } catch {
    return 'another process';
  }
  return pid === String(process.pid) ? `this process, ${pid}` : `process ${pid}`;
}
