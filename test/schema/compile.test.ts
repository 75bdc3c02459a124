import t from 'tap';
import { type CompiledSchema, formatNames } from '../../broker/schema/compile.ts';
import { compileSet } from '../../broker/schema/compile-set.ts';
import { readDocument } from '../../broker/schema/document.ts';
import { isMultiple } from '../../broker/schema/keywords.ts';

const draft07 = 'http://json-schema.org/draft-07/schema#';

function read(schema: unknown, uri = 'schemas:///one.json') {
  const document = readDocument(schema, { uri, root: 'schemas:///', isNamed: false });
  if ('problems' in document) return { problems: document.problems };
  const { schemas, problems } = compileSet(new Map([[document.uri, document]]));
  return { schema: schemas.get(document.uri), problems };
}

function compiled(schema: unknown): CompiledSchema {
  const { schema: found, problems } = read(schema);
  if (found === undefined) throw new Error(JSON.stringify(problems));
  return found;
}

/** `/pointer detail` of each violation of the JSON text. */
function said(schema: unknown, json: string): string[] {
  const found = compiled(schema).violations(JSON.parse(json), json.length);
  return found.map(({ pointer, detail }) => `${pointer} ${detail}`);
}

t.test('a violation is told with its JSON pointer, each of the first', async (t) => {
  const schema = {
    type: 'object',
    required: ['id'],
    properties: {
      'a/b': { type: ['string', 'null'] },
      state: { enum: ['new', 'paid'] },
      list: { items: { minimum: 3 } },
    },
    additionalProperties: false,
  };
  t.strictSame(said(schema, '{"a/b": 1, "state": "x", "list": [3, 2], "~": 0}'), [
    ' must have the property "id"',
    '/~0 is a property that the schema does not have',
    '/a~1b must be string or null',
    '/state must be one of "new", "paid"',
    '/list/1 must be >= 3',
  ]);
  t.strictSame(said({ ...schema, additionalProperties: true }, '{"id": 1}'), []);
  t.strictSame(said(false, '1'), [' must not be there']);
});

t.test('of much data only the first violation is told', async (t) => {
  const items = JSON.stringify(Array(40_000).fill(0));
  t.strictSame(said({ items: { type: 'string' } }, items), ['/0 must be string']);
});

t.test('each dialect has its keywords; without $schema it is 2020-12', async (t) => {
  t.strictSame(said({ prefixItems: [{ type: 'string' }] }, '[1]'), ['/0 must be string']);
  t.strictSame(said({ $schema: draft07, prefixItems: [{ type: 'string' }] }, '[1]'), []);
  t.strictSame(said({ $schema: draft07, items: [{ type: 'string' }] }, '[1]'), ['/0 must be string']);
  const https = 'https://json-schema.org/draft-07/schema';
  t.strictSame(said({ $schema: https, dependencies: { a: ['b'] } }, '{"a": 1}').length, 1);
  t.match(read({ $schema: 'http://json-schema.org/draft-04/schema#' }).problems, [
    { pointer: '/$schema', message: /draft-04\/schema#" is not a dialect that is read here; there are draft-07/ },
  ]);
});

t.test('what is no schema is said with the pointer', async (t) => {
  t.match(read({ properties: { a: { type: 'strin' } } }).problems, [
    { pointer: '/properties/a/type', message: /^must be one of "array", / },
  ]);
  t.match(read([]).problems, [{ pointer: '', message: /an object, true or false/ }]);
  t.match(read({ $defs: { a: { pattern: '(?=a)' } } }).schema, { uri: 'schemas:///one.json' }, 'not asked for');
  t.match(read({ pattern: '(?=a)' }).problems, [{ pointer: '', message: /a pattern that RE2 does not take: .*\(\?=/ }]);
  t.match(read({ $ref: '#/$defs/gone' }).problems, [{ pointer: '/$ref', message: /does not have/ }]);
  t.match(read({ $id: 'https://example.com/#a' }).problems, [{ pointer: '/$id', message: /without fragment/ }]);
});

t.test('each of several patterns counts', async (t) => {
  const patternProperties = { '^a': { type: 'string' }, '^b': { type: 'null' } };
  t.strictSame(said({ patternProperties }, '{"a": "", "b": ""}'), ['/b must be null']);
  t.strictSame(said({ patternProperties }, '{"a": null, "b": null}'), ['/a must be string']);
  const properties = { a: { pattern: '^\\u0061+$' }, b: { pattern: '^\\d+$' } };
  t.strictSame(said({ properties }, '{"a": "1", "b": "a"}').length, 2);
  t.strictSame(said({ properties }, '{"a": "aa", "b": "1"}'), []);
});

t.test('a schema with $async would answer later, and so accept anything: the keyword counts for nothing', async (t) => {
  t.strictSame(said({ $async: true, type: 'string' }, '1'), [' must be string']);
});

t.test('what every object inherits is no property of the data', async (t) => {
  t.strictSame(said({ required: ['constructor', 'toString'] }, '{}').length, 2);
  t.strictSame(said({ properties: { constructor: { type: 'string' } } }, '{}'), []);
  t.strictSame(said({ additionalProperties: false }, '{"__proto__": 1}').length, 1);
});

t.test('numbers are divided as they are written', async (t) => {
  t.strictSame(said({ multipleOf: 0.01 }, '19.99'), []);
  t.strictSame(said({ multipleOf: 0.01 }, '19.999'), [' must be multiple of 0.01']);
  for (const [value, of, is] of [
    [0.3, 0.1, true],
    [1e300, 3, false],
    [3e21, 3, true],
    [-4, 2, true],
    [1e-7, 1e-7, true],
    [1.5e-7, 1e-7, false],
    [0, 0.5, true],
    [Number.POSITIVE_INFINITY, 1, false],
  ] as const) {
    t.equal(isMultiple(value, of), is, `${value} ${of}`);
  }
  t.strictSame(said({ type: 'number' }, '1e400'), [' must be number']);
});

t.test('equal items are found whatever the order of their members', async (t) => {
  t.strictSame(said({ uniqueItems: true }, '[{"a": 1, "b": [0]}, {"b": [-0], "a": 1}]'), [
    ' must not have duplicate items',
  ]);
  t.strictSame(said({ uniqueItems: true }, '[1, "1", [1], {"1": 1}, null, false, 0]'), []);
  t.strictSame(said({ uniqueItems: false }, '[1, 1]'), []);
});

t.test('no data takes more than a second, however it is made', async (t) => {
  const many = (text: string, count: number): string => text.repeat(count);
  const objects = JSON.stringify(Array.from({ length: 60_000 }, (_, n) => ({ n })));
  const twice = {
    $ref: '#/$defs/a',
    $defs: { a: { properties: { x: { anyOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }] }, y: false } } },
  };
  const cases: [unknown, string, RegExp | null][] = [
    [{ pattern: '^(a+)+$' }, `"${many('a', 50_000)}!"`, /must match pattern/],
    [{ pattern: 'a[ab]{300}[^ab]' }, `"${many('ab', 500_000)}"`, /can't be validated: it would take more than/],
    [{ uniqueItems: true }, objects, null],
    [twice, `${many('{"x":', 40)}{"y":1}${many('}', 40)}`, /can't be validated: it would take more than/],
    [{ items: { $ref: '#' } }, many('[', 200_000) + many(']', 200_000), /nested too deeply/],
    ...formatNames.flatMap((format): [unknown, string, RegExp | null][] =>
      ['a', '1', '/', '-', '%20', 'a.', 'a-', '1:', '{a}', '.a@', 'P1'].map((part) => [
        { format },
        JSON.stringify(`${many(part, Math.floor(60_000 / part.length))}\u0000`),
        null,
      ]),
    ),
  ];
  for (const [schema, json, words] of cases) {
    const one = compiled(schema);
    const data: unknown = JSON.parse(json);
    const startedMs = performance.now();
    const found = one.violations(data, json.length);
    const tookMs = performance.now() - startedMs;
    const what = `${JSON.stringify(schema).slice(0, 60)} ${json.slice(0, 20)}`;
    if (words !== null) t.match(found[0]?.detail, words, what);
    if (tookMs > 1_000) t.fail(`${what}: ${Math.round(tookMs)} ms`);
  }
});

t.test(
  'the first of references that begin with / lies below the directory only where it would lead out of it',
  async (t) => {
    const at = { uri: 'https://registry.example/v1/a/1.json', root: 'https://registry.example/v1/', isNamed: true };
    const uris = (schema: unknown): string[] => {
      const document = readDocument(schema, at);
      return 'problems' in document ? [] : document.references.map(({ uri }) => uri);
    };
    t.strictSame(
      uris({
        $id: '/a/1',
        allOf: ['/b/2#', '../c.json', '/v1/d', 'https://other.example/e'].map(($ref) => ({ $ref })),
      }),
      [
        'https://registry.example/v1/b/2',
        'https://registry.example/v1/c.json',
        'https://registry.example/v1/d',
        'https://other.example/e',
      ],
    );
  },
);
