import path from 'node:path';
import t from 'tap';
import { hasPlugins, isTapBuilt } from './tap-build.ts';

const root = path.resolve(import.meta.dirname, '../..');

t.test('tap is built again where its plugins are not those that .taprc names', async (t) => {
  const versions = 'tap: 21.8.0\nplugins:\n  "@tapjs/after": 3.3.12\n  "@tapjs/spawn": 4.3.12\n';
  t.ok(hasPlugins(versions, '@tapjs/spawn\n@tapjs/after\n'));
  t.notOk(hasPlugins(versions, '@tapjs/after\n'), 'one too many');
  t.notOk(hasPlugins(versions, '@tapjs/after\n@tapjs/spawn\n@tapjs/worker\n'), 'one too few');
  t.notOk(hasPlugins('tap: 21.8.0\n', '@tapjs/after\n'));
});

t.test('tap, as it runs this test, is not built again under a run that goes on', async (t) => {
  const bin = path.join(root, 'node_modules/.bin');
  t.ok(await isTapBuilt(root, { ...process.env, PATH: [bin, process.env.PATH].join(path.delimiter) }));
  t.notOk(await isTapBuilt(root, { ...process.env, PATH: '/nowhere' }), 'without tap it is not');
});
