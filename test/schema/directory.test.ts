import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { openSchemas } from '../../broker/schema/open.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

const id = 'https://schemas.example.com/order.json';
const order = { $id: id, type: 'object', required: ['id'] };

async function setUp(t: Test, files: Record<string, unknown> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-schemas-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const clock = new ManualClock();
  const write = async (name: string, content: unknown): Promise<void> => {
    await mkdir(join(directory, name, '..'), { recursive: true });
    await writeFile(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  };
  for (const [name, content] of Object.entries(files)) await write(name, content);
  const schemas = await openSchemas({ directory, base: null, clock, logger });
  t.teardown(() => schemas.close());
  /** What the schema of that name says of the data: violations, or why it can't. */
  const said = (name: string, data: unknown) => {
    const found = schemas.find(name);
    if (found instanceof Promise) throw new Error('nothing is to be fetched');
    if (found.kind !== 'schema') return found;
    return found.schema.violations(data, 0).map(({ pointer, detail }) => `${pointer} ${detail}`);
  };
  return {
    ...{ schemas, directory, write, said, clock, lines },
    remove: (name: string) => rm(join(directory, name)),
    errors: () => lines.filter(({ level }) => level === 50).map(({ file, pointer, msg }) => ({ file, pointer, msg })),
    /** Turns the clock until what the directory holds now is taken up. */
    becomes: (condition: () => boolean, what: string) =>
      until(async () => {
        await clock.advance(300);
        return condition();
      }, what),
  };
}

t.test(
  'schemas are known by their $id, or by their path; files in folders below too, and what they refer to',
  async (t) => {
    const { said, schemas } = await setUp(t, {
      'order.json': { ...order, properties: { price: { $ref: 'shop/money.json#/$defs/amount' } } },
      'shop/money.json': {
        $id: 'https://schemas.example.com/shop/money.json',
        $defs: { amount: { type: 'number' } },
      },
      'shop/plain.json': { properties: { next: { $ref: '../other.json' } } },
      'other.json': 'false',
      'README.md': 'no schema',
      '.hidden.json': 'neither',
    });
    t.equal(schemas.size, 4);
    t.strictSame(said(id, { price: '1' }), [' must have the property "id"', '/price must be number']);
    t.strictSame(said(`${id}#/properties`, { id: 1 }), { kind: 'unknown' });
    t.strictSame(said('shop/plain.json', { next: 1 }), ['/next must not be there']);
    t.strictSame(said('schemas:///shop/plain.json', {}), []);
    t.strictSame(said('https://schemas.example.com/gone.json', {}), { kind: 'unknown' });
    t.strictSame(said('no uri', {}), { kind: 'unknown' });
  },
);

t.test('a change is taken up while it runs, and a schema that leaves is not known any more', async (t) => {
  const { said, write, remove, becomes } = await setUp(t, { 'order.json': order, 'a.json': true });
  t.strictSame(said(id, { id: 1 }), []);
  await write('order.json', { ...order, required: ['when'] });
  await becomes(
    () => JSON.stringify(said(id, {})) === '[" must have the property \\"when\\""]',
    'the new version holds',
  );
  await remove('order.json');
  await becomes(() => 'kind' in said(id, {}), 'it is gone');
  t.strictSame(said(id, {}), { kind: 'unknown' });
});

const mistakes: Record<string, [Record<string, unknown>, string, string, RegExp]> = {
  'is no JSON': [{ 'bad.json': '{"type": ' }, 'bad.json', '', /is not JSON: /],
  'is no schema': [
    { 'bad.json': { properties: { a: { type: 'x' } } } },
    'bad.json',
    '/properties/a/type',
    /must be one of/,
  ],
  'has the $id of another': [
    { 'z.json': { $id: id } },
    'z.json',
    '/$id',
    /order\.json is also what .*order\.json is called/,
  ],
  'refers to what is not there': [
    { 'bad.json': { $ref: 'gone.json' } },
    'bad.json',
    '/$ref',
    /gone\.json, which is not there/,
  ],
  'refers to a pointer that is not there': [
    { 'bad.json': { items: { $ref: `${id}#/$defs/x` } } },
    'bad.json',
    '/items/$ref',
    /leads to \/\$defs\/x, which https:\/\/schemas\.example\.com\/order\.json does not have/,
  ],
  'refers to another dialect': [
    { 'bad.json': { $schema: 'http://json-schema.org/draft-07/schema#', $ref: id } },
    'bad.json',
    '/$ref',
    /leads to a schema of 2020-12, and this one is of draft-07/,
  ],
};

for (const [what, [files, file, pointer, words]] of Object.entries(mistakes)) {
  t.test(
    `a file that ${what}: the error has file and pointer, and the last good set stays in force, whole`,
    async (t) => {
      const { said, write, errors, becomes, schemas, directory, lines } = await setUp(t, { 'order.json': order });
      await write('order.json', { ...order, required: ['when'] });
      for (const [name, content] of Object.entries(files)) await write(name, content);
      await becomes(() => errors().length > 0, 'it is said');
      const [error] = errors();
      t.strictSame([error?.file, error?.pointer], [join(directory, file), pointer]);
      t.match(error?.msg, words);
      t.match(error?.msg, /; what the directory held before stays in force$/);
      t.strictSame(said(id, { id: 1 }), []);
      t.equal(schemas.problems.length, 1);
      for (const name of Object.keys(files)) await rm(join(directory, name));
      await becomes(() => JSON.stringify(said(id, { id: 1 })).includes('when'), 'it is mended');
      t.equal(schemas.problems.length, 0);
      t.match(lines.at(-1), { msg: /are in force/ });
    },
  );
}

t.test(
  'with a mistake from the start, events of schemas that are right are judged, and of all others nothing is said',
  async (t) => {
    const { said, write, errors, becomes } = await setUp(t, {
      'order.json': order,
      'bad.json': '{',
      'needs.json': { $ref: 'broken.json' },
      'broken.json': { type: 1 },
    });
    t.strictSame(said(id, {}), [' must have the property "id"']);
    t.match(said('bad.json', {}), {
      kind: 'unavailable',
      reason: /^not all schemas of --schemas .* can be read: .*bad\.json/,
    });
    t.match(said('needs.json', {}), { kind: 'unavailable' }, 'what refers to it');
    t.match(said('https://elsewhere.example/', {}), { kind: 'unavailable' }, 'it may be in the file that is no JSON');
    t.match(errors()[0]?.msg, /answered 503 until it is right$/);
    await write('bad.json', {});
    await write('broken.json', {});
    await becomes(() => !('kind' in said('needs.json', {})), 'all are right');
    t.strictSame(said('https://elsewhere.example/', {}), { kind: 'unknown' });
  },
);

t.test('a directory that is not there, or is empty, takes nothing away', async (t) => {
  const { said, directory, lines, becomes, remove } = await setUp(t, { 'order.json': order });
  await remove('order.json');
  await becomes(
    () => lines.some(({ msg }) => /no schema in .*; the 1 that it had stay/.test(String(msg))),
    'it is said',
  );
  t.strictSame(said(id, { id: 1 }), []);
  await rm(directory, { recursive: true });
  await becomes(
    () => lines.some(({ msg }) => /there is no such directory \(ENOENT\).* stays in force/.test(String(msg))),
    'so is that',
  );
  t.strictSame(said(id, { id: 1 }), []);
  const logger = pino({ level: 'silent' });
  const options = { directory, base: null, clock: new ManualClock(), logger };
  const never = await openSchemas(options);
  t.match(never.find(id), { kind: 'unavailable', reason: /there is no such directory/ });
  await never.close();
});
