import { symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import t from 'tap';
import {
  fixtureFilesIn,
  hasErrors,
  manifestFilesIn,
  problemText,
  readManifestFile,
} from '../../broker/trigger/manifest-files.ts';
import { triggerWith } from './said-of.ts';

const trigger = triggerWith("  subscriber: { uri: 'http://orders:8080/' }");

t.test('the manifest files of a directory are those that end so, in folders too, and no hidden ones', async (t) => {
  const directory = t.testdir({
    'b.yaml': trigger,
    'a.yml': trigger,
    'c.JSON': '{}',
    'README.md': '',
    '.hidden.yaml': trigger,
    '.git': { 'd.yaml': trigger },
    shop: { 'e.yaml': trigger, 'e.fixtures.yaml': '', 'f.yaml': { 'no-manifest.txt': '' } },
    'fixtures.yml': '',
    'my-fixtures.yaml': trigger,
  });
  const files = await manifestFilesIn(directory);
  t.strictSame(
    files.map((file) => relative(directory, file)),
    ['a.yml', 'b.yaml', 'c.JSON', 'my-fixtures.yaml', join('shop', 'e.yaml')],
  );
  const fixtures = await fixtureFilesIn(directory);
  t.strictSame(
    fixtures.map((file) => relative(directory, file)),
    ['fixtures.yml', join('shop', 'e.fixtures.yaml')],
    'the fixtures of posthorn test are apart',
  );
});

t.test('a mounted ConfigMap gives each of its files once', async (t) => {
  const directory = t.testdir({ '..2026_01_01': { 'orders.yaml': trigger } });
  await symlink('..2026_01_01', join(directory, '..data'));
  await symlink(join('..data', 'orders.yaml'), join(directory, 'orders.yaml'));
  const files = await manifestFilesIn(directory);
  t.strictSame(files, [join(directory, 'orders.yaml')]);
  t.match(await readManifestFile(join(directory, 'orders.yaml')), { documents: [{ name: 'orders' }], problems: [] });
});

t.test('a link to a directory above does not go round', async (t) => {
  const directory = t.testdir({ shop: { 'a.yaml': trigger } });
  await symlink('..', join(directory, 'shop', 'up.yaml'));
  t.strictSame(await manifestFilesIn(directory), [join(directory, 'shop', 'a.yaml')]);
});

t.test('a file that can not be read is a problem with a place', async (t) => {
  const directory = t.testdir({
    'latin1.yaml': Buffer.concat([Buffer.from('# one\n# f'), Buffer.from([0xfc]), Buffer.from('r\n')]),
    'empty.yaml': '',
  });
  await symlink('gone', join(directory, 'link.yaml'));
  const said: string[] = [];
  for (const path of await manifestFilesIn(directory)) {
    const file = await readManifestFile(path);
    t.ok(hasErrors(file), path);
    said.push(...file.problems.map((problem) => relative(directory, problemText(problem))));
  }
  t.match(said, [
    'empty.yaml:1:1: the file is empty',
    'latin1.yaml:2:4: not UTF-8; save the file in that encoding',
    /^link\.yaml:1:1: can't be read: ENOENT/,
  ]);
});

t.test('a directory that is not there is told by the file system', async (t) => {
  await t.rejects(manifestFilesIn(join(t.testdir({}), 'gone')), { code: 'ENOENT' });
});
