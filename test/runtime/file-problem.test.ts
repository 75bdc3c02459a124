import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { fileProblem, isFileError } from '../../runtime/file-problem.ts';

t.test('what is wrong with a path is said in words, with the code of the system', async (t) => {
  const directory = t.testdir({ file: '' });
  const why = (wanted: 'file' | 'directory', reading: Promise<unknown>): Promise<string> =>
    reading.then(
      () => 'nothing',
      (error: unknown) => fileProblem(error, wanted),
    );
  t.equal(await why('file', readFile(join(directory, 'none'))), 'there is no such file (ENOENT)');
  t.equal(await why('directory', readdir(join(directory, 'none'))), 'there is no such directory (ENOENT)');
  t.equal(await why('file', readFile(directory)), 'it is a directory, not a file (EISDIR)');
  t.equal(await why('directory', readdir(join(directory, 'file'))), 'it is not a directory (ENOTDIR)');
  const below = 'what it should be in is not a directory (ENOTDIR)';
  t.equal(await why('file', readFile(join(directory, 'file', 'x'))), below);
});

t.test('what can not be made to happen here is said in words too', async (t) => {
  const said = (code: string, message: string): string =>
    fileProblem(Object.assign(new Error(`${code}: ${message}, open '/x'`), { code }), 'file');
  t.match(said('EACCES', 'permission denied'), /^this user \(uid \d+\) has no permission for it \(EACCES\)$/);
  t.match(said('EPERM', 'operation not permitted'), /no permission for it \(EPERM\)$/);
  t.equal(said('EROFS', 'read-only file system'), 'its file system can only be read (EROFS)');
  t.equal(said('EMFILE', 'too many open files'), 'too many open files (EMFILE)');
  t.equal(fileProblem(new Error('another'), 'file'), 'another');
});

t.test('errors of the file system are told from others', async (t) => {
  t.ok(isFileError(await readFile(join(t.testdir(), 'none')).catch((error: unknown) => error)));
  t.notOk(isFileError(new Error('another')));
  t.notOk(isFileError(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })));
});
