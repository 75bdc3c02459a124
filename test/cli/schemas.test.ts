import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { posthorn } from '../support/cli.ts';

const old = { type: 'object', properties: { id: { type: 'string' }, price: { $ref: 'money.json' } } };
const files = (schemas: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, JSON.stringify(schema)]));
const text = JSON.stringify;

t.test('two files: 0 compatible, 1 incompatible with pointer and example, 3 undecided', async (t) => {
  const directory = t.testdir({
    ...files({ 'old.json': old, 'money.json': { type: 'number' }, 'wider.json': { ...old, required: [] } }),
    ...files({
      'narrow.json': { ...old, required: ['id'] },
      'odd.json': { ...old, properties: { id: { pattern: 'b*' } } },
    }),
  });
  const check = (name: string, ...more: string[]) =>
    posthorn(['schemas', 'check', join(directory, 'old.json'), join(directory, name), ...more]);
  t.match(await check('wider.json'), { code: 0, stdout: /wider\.json: compatible\n1 compatible \(BACKWARD\)\n$/ });
  t.match(await check('narrow.json'), {
    code: 1,
    stdout:
      /narrow\.json: incompatible\n {2}BACKWARD #\/required: the data must have the property "id"\n {4}the old version accepts \{\}, the new one does not\n/,
  });
  t.match(await check('narrow.json', '--mode', 'forward'), { code: 0, stdout: /\(FORWARD\)/ });
  t.match(await check('narrow.json', '--mode', 'FULL'), { code: 1 });
  t.match(await check('odd.json'), {
    code: 3,
    stdout: /undecided: no proof.*\n {2}BACKWARD #\/properties\/id\/pattern: /,
  });
  const { stdout } = await check('narrow.json', '-o', 'json');
  t.match(JSON.parse(stdout), {
    ...{ verdict: 'incompatible', mode: 'BACKWARD' },
    schemas: [{ verdict: 'incompatible', reasons: [{ direction: 'BACKWARD', pointer: '/required', example: '{}' }] }],
  });
});

t.test('two directories: each schema by its name', async (t) => {
  const directory = t.testdir({
    old: files({ 'a.json': old, 'money.json': { type: 'number' }, 'gone.json': true }),
    new: files({ 'a.json': old, 'money.json': { type: 'integer' }, 'new.json': true }),
  });
  const { code, stdout } = await posthorn(['schemas', 'check', join(directory, 'old'), join(directory, 'new')]);
  t.equal(code, 1);
  t.match(stdout, /^a\.json: incompatible\n {2}BACKWARD .*money\.json#\/type: \/price must be integer\n/);
  t.match(
    stdout,
    /\ngone\.json: gone, .*\nmoney\.json: incompatible\n[\s\S]*\nnew\.json: new, .*\n2 incompatible, 1 new, 1 gone \(BACKWARD\)\n$/,
  );
});

t.test('against a registry, and a URL', async (t) => {
  const held = new Map([
    ['/v1/a.json', old],
    ['/v1/money.json', { type: 'number' }],
  ] as [string, unknown][]);
  const server = createServer(({ url = '' }, response) => {
    response.writeHead(held.has(url) ? 200 : 404).end(text(held.get(url)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const directory = t.testdir(
    files({ 'a.json': { ...old, required: ['id'] }, 'money.json': { type: 'number' }, 'new.json': {} }),
  );
  const whole = await posthorn(['schemas', 'check', base, directory]);
  t.match([whole.code, whole.stdout], [1, /a\.json: incompatible\n[\s\S]*money\.json: compatible\n.*new\.json: new/]);
  t.match(await posthorn(['schemas', 'check', `${base}/a.json`, join(directory, 'a.json')]), { code: 1 });
  t.match(await posthorn(['schemas', 'check', `${base}/gone.json`, join(directory, 'a.json')]), {
    code: 2,
    stderr: /there is no schema at/,
  });
});

t.test('what can not be compared is exit code 2, with file and pointer', async (t) => {
  const directory = t.testdir({
    'a.json': '{}',
    'no.json': '{',
    'wrong.json': '{"items": {"type": 1}}',
    'lost.json': '{"$ref": "gone.json"}',
    d: {},
  });
  const at = (name: string): string => join(directory, name);
  for (const [args, words] of [
    [['a.json', 'no.json'], /no\.json: is not JSON/],
    [['a.json', 'wrong.json'], /wrong\.json#\/items\/type: must be/],
    [['lost.json', 'a.json'], /lost\.json#\/\$ref: leads to .*gone\.json, which can't be read: ENOENT/],
    [['a.json', 'gone.json'], /gone\.json: there is no such file/],
    [['a.json', 'd'], /must both be files, or both be directories/],
    [['d', 'd'], /no \*\.json in/],
    [['a.json'], /Name the old version and the new one/],
  ] as const) {
    t.match(await posthorn(['schemas', 'check', ...args.map(at)]), { code: 2, stderr: words });
  }
  t.match(await posthorn(['schemas', 'chek', 'a', 'b']), { code: 2, stderr: /there is no chek; did you mean check\?/ });
  t.match(await posthorn(['schemas', 'check', at('a.json'), at('a.json'), '--mode', 'UP']), {
    code: 2,
    stderr: /there are BACKWARD, FORWARD, FULL/,
  });
  t.match(await posthorn(['schemas', 'check', at('a.json'), at('a.json'), '-o', 'yaml']), { code: 2 });
  t.match(await posthorn(['help', 'schemas']), {
    code: 0,
    stdout: /Exit codes:\n {2}0 {2}compatible[\s\S]* {2}3 {2}undecided/,
  });
});
