import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PosthornError } from '../../../runtime/errors.ts';
import { fileProblem, isFileError } from '../../../runtime/file-problem.ts';

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
    makeMissing(directory);
    if (!statSync(directory).isDirectory()) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new LogDirectoryError(
      `--data ${directory}: ${problemOf(error)}; name a directory that can be written, it is made if it is missing`,
      { cause: error },
    );
  }
}

/**
 * Makes the directory and those that it is to lie in. Not by mkdirSync with `recursive`: where a file system answers
 * ENOENT to a new directory, as /proc does, that tries for ever and holds the whole process.
 */
function makeMissing(directory: string): void {
  const missing: string[] = [];
  for (let path = resolve(directory); !existsSync(path); path = dirname(path)) missing.unshift(path);
  for (const path of missing) {
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      // Another process may have made it just now.
      if (!(isFileError(error) && error.code === 'EEXIST')) throw error;
    }
  }
}

function problemOf(error: unknown): string {
  if (!isFileError(error) || error.syscall !== 'mkdir') return fileProblem(error, 'directory');
  const parent = dirname(error.path);
  if (error.code === 'ENOENT') return `${parent} lets no directory be made in it (ENOENT)`;
  if (error.code === 'ENOTDIR') return `${parent} is not a directory, so none can be made in it (ENOTDIR)`;
  return `it can't be made in ${parent}: ${fileProblem(error, 'directory')}`;
}

/**
 * Says who holds the log. Only for messages: what locks the log is SQLite's lock, which dies with the process. So a disk
 * that is full keeps nobody from opening it.
 */
export function noteHolder(directory: string): void {
  try {
    writeFileSync(filesOf(directory).holder, `${process.pid}\n`);
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    forgetHolder(directory);
  }
}

/** Whether the disk, or the user's part of it, is full. */
export function isNoRoom(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
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
