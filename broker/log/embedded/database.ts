import { DatabaseSync } from 'node:sqlite';
import { LogLockedError } from '../errors.ts';
import { filesOf, holderOf, LogDirectoryError } from './directory.ts';

/** Marks the file as ours ("Post"), so that no other program's database is taken for a log. */
const applicationId = 0x506f7374;
const schemaVersion = 1;

/** Pages that SQLite keeps in memory, in KiB: the inner pages of the indexes, and what was just written. */
const cacheKiB = 16_384;

/** A write-ahead log that grew beyond this (a long transaction) is cut back to it, in bytes. */
const walKeptMaxBytes = 67_108_864;

/*
 * One row of `batch` is the records of one append, so that appends cost a row and not a row a record. Ids are never
 * given twice (AUTOINCREMENT), so that what is left of a deleted partition can be swept up later.
 */
const schema = `
  CREATE TABLE topic (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    retention_ms INTEGER,
    max_message_bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE partition (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic INTEGER NOT NULL,
    number INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    next_offset INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, number)
  ) STRICT;
  CREATE TABLE dropped_partition (id INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE batch (
    partition INTEGER NOT NULL,
    base_offset INTEGER NOT NULL,
    count INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    records BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX batch_offset ON batch (partition, base_offset);
  CREATE TABLE group_commit (
    group_name TEXT NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (group_name, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX group_commit_partition ON group_commit (partition);
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/** SQLite's primary result codes (https://www.sqlite.org/rescode.html). */
export const sqliteCodes = { busy: 5, readOnly: 8, full: 13, cantOpen: 14, notADatabase: 26 } as const;

/** The primary result code of an error that SQLite threw, else null. */
export function sqliteCodeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode & 0xff;
}

/**
 * Opens the database of a log, or makes it, and locks it against every other process. SQLite's exclusive mode locks
 * the file with a lock of the operating system that ends with the process, however it ends.
 *
 * @throws LogLockedError, LogDirectoryError
 */
export function openDatabase(directory: string): DatabaseSync {
  const file = filesOf(directory).database;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    checkVersion(database, file);
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    // The worker runs checkpoints itself: after the acknowledgements, and where their errors are seen.
    database.exec('PRAGMA wal_autocheckpoint = 0');
    database.exec(`PRAGMA journal_size_limit = ${walKeptMaxBytes}`);
    database.exec(`PRAGMA cache_size = -${cacheKiB}`);
    database.exec('BEGIN IMMEDIATE');
    if (userVersion(database) === 0) database.exec(schema);
    database.exec('COMMIT');
    return database;
  } catch (error) {
    database?.close();
    throw asRefusal(error, directory, file);
  }
}

function userVersion(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version);
}

function checkVersion(database: DatabaseSync, file: string): void {
  const version = userVersion(database);
  const id = Number(database.prepare('PRAGMA application_id').get()?.application_id);
  const tables = Number(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables);
  if (id !== applicationId && (id !== 0 || version !== 0 || tables > 0)) {
    throw new LogDirectoryError(`${file} is the database of another program; name another directory with --data`);
  }
  if (version > schemaVersion) {
    throw new LogDirectoryError(
      `${file} was written by a newer Posthorn (format ${version}, this one reads up to ${schemaVersion}); ` +
        'run that version, or name another directory with --data',
    );
  }
}

function asRefusal(error: unknown, directory: string, file: string): unknown {
  switch (sqliteCodeOf(error)) {
    case sqliteCodes.busy:
      return new LogLockedError(directory, holderOf(directory));
    case sqliteCodes.notADatabase:
      return new LogDirectoryError(`${file} is not a Posthorn log; name another directory with --data`, {
        cause: error,
      });
    case sqliteCodes.readOnly:
    case sqliteCodes.cantOpen:
      return new LogDirectoryError(
        `${file} can't be opened for writing; check its owner and permissions, or name another directory with --data`,
        {
          cause: error,
        },
      );
    case sqliteCodes.full:
      return new LogDirectoryError(`${file} can't be opened: no room left on its disk`, { cause: error });
    default:
      return error;
  }
}
