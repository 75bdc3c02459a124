import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';
import t from 'tap';
import { compile } from '../../../broker/filter/cesql/cesql.ts';

/** docs/cesql.md says what is so. */

const root = join(import.meta.dirname, '../../..');
const docs = readFileSync(join(root, 'docs/cesql.md'), 'utf8');
const event = { source: '/shop/1', sequence: '10' };

t.test('the values and errors in the table', async (t) => {
  const rows = [...docs.matchAll(/^\| `([^`]+)` +\| `([^`]+)` +\| (?:`(\w+)`)? +\|$/gm)];
  t.ok(rows.length >= 20, `${rows.length} rows`);
  for (const [, expression = '', value = '', kind] of rows) {
    const result = compile(expression).evaluate(event);
    const actual = [JSON.stringify(result.value), ...result.errors.map((error) => error.kind)];
    t.strictSame(actual, kind === undefined ? [value] : [value, kind], expression);
  }
});

t.test('the examples in JavaScript print what stands beside them', async (t) => {
  const blocks = [...docs.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);
  t.equal(blocks.length, 2);
  const engine = pathToFileURL(join(root, 'broker/filter/cesql/cesql.ts')).href;
  const examples = blocks.map((code, n) => [`example-${n}.mjs`, code.replace("'posthorn/cesql'", `'${engine}'`)]);
  const directory = t.testdir(Object.fromEntries(examples));
  const printed = t.capture(console, 'log');
  for (const [n, code] of blocks.entries()) {
    await import(pathToFileURL(join(directory, `example-${n}.mjs`)).href);
    const expected = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, said]) => said);
    t.strictSame(
      printed().map(({ args }) => format(...args)),
      expected,
    );
    t.ok(expected.length > 0);
  }
});

t.test('every function and every kind of error is told of', async (t) => {
  const functions = compile('NOSUCH()').evaluate({}).errors[0]?.message.split('known: ')[1]?.split(', ') ?? [];
  t.ok(functions.length >= 15);
  for (const name of functions) t.match(docs, `${name}(`, name);
  for (const limit of ['65,536', '256', '1,048,576']) t.match(docs, limit);
});
