import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const rules = read('docs/knative.md');

/** The tests that the tables name: the file below test/, and the name. */
const named = [...rules.matchAll(/`([\w/.-]+\.ts)`: (.+?)(?=<br>| \|$)/gm)].map(([, file = '', name = '']) => ({
  file: `test/${file}`,
  name,
}));

t.test('each test that docs/knative.md names exists', async (t) => {
  t.ok(named.length > 40, `${named.length} tests are named`);
  for (const { file, name } of named) {
    // In quotes, as it stands in the code, or the beginning of it.
    const text = read(file).replaceAll("\\'", "'");
    t.ok(
      [`'${name}`, `"${name}`, `\`${name}`].some((quoted) => text.includes(quoted)),
      `${file}: ${name}`,
    );
  }
});

t.test('each rule of docs/knative.md names a test', async (t) => {
  const rows = [...(rules.split('\n## Differences')[0]?.matchAll(/^\| (?!section|---)(.*)\|$/gm) ?? [])];
  t.ok(rows.length > 30, `${rows.length} rules`);
  for (const [row] of rows) t.match(row, /`[\w/.-]+\.ts`: /, row.slice(0, 120));
});

t.test('each test of a rule of Knative is in docs/knative.md', async (t) => {
  const files = ['test/standards/knative-data-plane.test.ts', 'test/standards/knative-api.test.ts'];
  for (const file of files) {
    const names = [...read(file).matchAll(/^t\.test\(\s*(?:'(.*?)'|"(.*?)"),/gm)].map(
      ([, plain, double]) => plain ?? double,
    );
    t.ok(names.length > 10, `${file}: ${names.length} tests`);
    for (const name of names)
      t.ok(
        named.some((one) => one.file === file && one.name === name),
        `${file}: ${name}`,
      );
  }
});
