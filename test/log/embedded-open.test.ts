import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { LogDirectoryError } from '../../broker/log/embedded/directory.ts';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { RequestMessage } from '../../broker/log/embedded/protocol.ts';
import { LogLockedError, LogUnavailableError } from '../../broker/log/errors.ts';
import { silent } from '../support/silent.ts';
import { kill, onePartition, openLog, readLines, startWriter, testReserveBytes } from './embedded/open.ts';

t.test('a directory that is missing is made, for its owner alone', async (t) => {
  const directory = join(t.testdir(), 'not', 'there');
  const log = await openLog(directory);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.equal(log.sharedByProcesses, false);
  await log.close();
});

t.test('a directory that is open in another process is refused with the pid of that one', async (t) => {
  const directory = t.testdir();
  const holder = startWriter(directory);
  await readLines(holder, (line) => line !== 'open');
  const error = await openLog(directory).then(() => null, asError);
  t.type(error, LogLockedError);
  t.match(error?.message, `process ${holder.pid}`);
  t.match(error?.message, directory);
  await kill(holder);
});

t.test('a holder that was killed blocks nobody', async (t) => {
  const directory = t.testdir();
  const holder = startWriter(directory);
  await readLines(holder, (line) => line !== 'open');
  await kill(holder);
  t.ok(existsSync(join(directory, 'holder')), 'the note of the dead process is still there');
  const log = await openLog(directory);
  t.equal(readFileSync(join(directory, 'holder'), 'utf8'), `${process.pid}\n`);
  await log.close();
});

t.test('a directory can be open once in a process too, and again after it was closed', async (t) => {
  const directory = t.testdir();
  const log = await openLog(directory);
  const error = await openLog(directory).then(() => null, asError);
  t.type(error, LogLockedError);
  t.match(error?.message, `this process, ${process.pid}`);
  await log.ensureTopics(['still.working'], onePartition);
  await log.close();
  t.notOk(existsSync(join(directory, 'holder')));
  const again = await openLog(directory);
  t.strictSame(await again.listTopics(''), ['still.working']);
  await again.close();
});

t.test('what waits for the disk takes little more memory than the records have', async (t) => {
  const log = await openLog(t.testdir());
  await log.ensureTopics(['events'], onePartition);
  const { postMessage } = Worker.prototype;
  const sent: number[] = [];
  t.capture(Worker.prototype, 'postMessage', function (this: Worker, message, transfer) {
    // Looked at before it is sent: from then on it is the worker's.
    sent.push((message as RequestMessage).data.buffer.byteLength);
    postMessage.call(this, message, transfer);
  });
  const value = Buffer.alloc(1_000);
  for (const _ of Array(5)) await log.append('events', 0, [{ key: null, value, headers: {} }]);
  t.equal(sent.length, 5);
  t.ok(
    sent.every((bytes) => bytes <= 4_096),
    `${sent} bytes for 1,000 each`,
  );
  await log.close();
});

t.test('a path that is no directory is refused', async (t) => {
  const directory = t.testdir({ file: 'text' });
  await t.rejects(openLog(join(directory, 'file')), LogDirectoryError);
  await t.rejects(openLog(join(directory, 'file', 'below')), {
    code: 'LOG_DIRECTORY',
    message: /^--data \S+file\/below: \S+file is not a directory, .*; name a directory that can be written/,
  });
});

t.test('a database that can not be opened is refused', async (t) => {
  const directory = t.testdir();
  mkdirSync(join(directory, 'log.db'));
  await t.rejects(openLog(directory), LogDirectoryError);
});

t.test('a file that is no database is refused, and left as it is', async (t) => {
  const text = 'these are not the bytes of a database, but more than one hundred of them, so that SQLite looks\n';
  const directory = t.testdir({ 'log.db': text.repeat(20) });
  await t.rejects(openLog(directory), { code: 'LOG_DIRECTORY', message: /log\.db is not a Posthorn log/ });
  t.equal(readFileSync(join(directory, 'log.db'), 'utf8'), text.repeat(20));
});

t.test('the database of another program is refused, and left as it is', async (t) => {
  const directory = t.testdir();
  const other = new DatabaseSync(join(directory, 'log.db'));
  other.exec('CREATE TABLE bookmarks (url TEXT)');
  other.close();
  const before = readFileSync(join(directory, 'log.db'));
  await t.rejects(openLog(directory), { code: 'LOG_DIRECTORY', message: /database of another program/ });
  t.ok(readFileSync(join(directory, 'log.db')).equals(before));
});

t.test('a log that a newer Posthorn wrote is refused', async (t) => {
  const directory = t.testdir();
  await (await openLog(directory)).close();
  const database = new DatabaseSync(join(directory, 'log.db'));
  database.exec('PRAGMA user_version = 99');
  database.close();
  await t.rejects(openLog(directory), { code: 'LOG_DIRECTORY', message: /newer Posthorn \(format 99/ });
});

t.test('the reserve is kept on the disk, readable to its owner alone', async (t) => {
  const directory = t.testdir();
  const file = join(directory, 'reserve');
  await (await openLog(directory)).close();
  t.equal(statSync(file).size, testReserveBytes);
  t.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, 'cut short');
  chmodSync(file, 0o600);
  await (await openLog(directory)).close();
  t.equal(statSync(file).size, testReserveBytes, 'one that a crash cut short is made anew');
});

t.test('a closed log answers LogUnavailableError', async (t) => {
  const log = await openLog(t.testdir());
  await log.ensureTopics(['topic'], onePartition);
  const last = log.append('topic', 0, [{ key: null, value: null, headers: {} }]);
  await log.close();
  t.equal(await last, 0, 'what was appended before is still acknowledged');
  await t.rejects(log.append('topic', 0, []), LogUnavailableError);
  await t.rejects(log.ranges('topic'), LogUnavailableError);
  await t.rejects(log.read('topic', 0, 0, 1), LogUnavailableError);
  await t.rejects(log.ensureTopics(['topic'], onePartition), LogUnavailableError);
});

t.test('nothing is left running after close', async (t) => {
  const before = process.getActiveResourcesInfo().filter((one) => one === 'MessagePort').length;
  const log = await openEmbeddedLog({ directory: t.testdir(), logger: silent, reserveBytes: testReserveBytes });
  await log.close();
  t.equal(process.getActiveResourcesInfo().filter((one) => one === 'MessagePort').length, before);
});

function asError(error: unknown): Error {
  if (!(error instanceof Error)) throw error;
  return error;
}
