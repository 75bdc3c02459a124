import t from 'tap';
import { compare, type Mode } from '../../broker/schema/compatibility/compare.ts';
import { versionOf } from './versions.ts';

function verdict(before: unknown, after: unknown, mode: Mode = 'BACKWARD') {
  const [old, now] = [versionOf(before), versionOf(after)];
  if (old === null || now === null) throw new Error('no schema');
  return compare(old, now, mode);
}

/** Pairs of which the second accepts all that the first does, and the first not all that the second does. */
const wider: Record<string, [unknown, unknown]> = {
  'an optional property': [
    { properties: { a: { type: 'string' } }, additionalProperties: false },
    { properties: { a: { type: 'string' }, b: {} }, additionalProperties: false },
  ],
  'nothing required any more': [{ type: 'object', required: ['a'] }, { type: 'object' }],
  'one more value': [{ enum: ['a', 'b'] }, { enum: ['a', 'b', 'c'] }],
  'a const of an enum': [{ const: 'a' }, { enum: ['a', 'b'] }],
  'null as well': [{ type: 'string' }, { type: ['string', 'null'] }],
  'integers and others': [{ type: 'integer' }, { type: 'number' }],
  'a lower bound': [
    { type: 'integer', minimum: 1 },
    { type: 'integer', minimum: 0 },
  ],
  'a bound that is not counted in': [
    { type: 'number', exclusiveMinimum: 0 },
    { type: 'number', minimum: 0 },
  ],
  'a shorter text': [
    { type: 'string', minLength: 2 },
    { type: 'string', minLength: 1 },
  ],
  'no format': [{ type: 'string', format: 'date' }, { type: 'string' }],
  'a divisor': [
    { type: 'integer', multipleOf: 6 },
    { type: 'integer', multipleOf: 3 },
  ],
  'more items': [
    { type: 'array', maxItems: 2 },
    { type: 'array', maxItems: 3 },
  ],
  'items of more kinds': [
    { type: 'array', items: { type: 'string' } },
    { type: 'array', items: { type: ['string', 'integer'] } },
  ],
  'an alternative': [
    { anyOf: [{ type: 'string' }] },
    { anyOf: [{ type: 'null' }, { type: 'string' }, { type: 'integer' }] },
  ],
  'alternatives apart by kind': [{ oneOf: [{ type: 'string' }] }, { oneOf: [{ type: 'string' }, { type: 'integer' }] }],
  'alternatives apart by a tag': [
    { oneOf: [{ type: 'object', required: ['k'], properties: { k: { const: 1 } } }] },
    { oneOf: [1, 2].map((k) => ({ type: 'object', required: ['k'], properties: { k: { const: k } } })) },
  ],
  'by way of a reference': [
    { $ref: '#/$defs/a', $defs: { a: { type: 'integer' } } },
    { allOf: [{ $ref: '#/$defs/b' }], $defs: { b: { type: 'number' } } },
  ],
  'within itself': [
    { type: 'object', properties: { n: { type: 'integer' }, next: { $ref: '#' } } },
    { type: 'object', properties: { n: { type: 'number' }, next: { $ref: '#' } } },
  ],
};

for (const [name, [narrow, wide]] of Object.entries(wider)) {
  t.test(`${name}: is compatible backward, and not forward, with an example`, async (t) => {
    t.strictSame(verdict(narrow, wide), { verdict: 'compatible', reasons: [] });
    const back = verdict(wide, narrow);
    t.equal(back.verdict, 'incompatible', JSON.stringify(back));
    t.ok(back.reasons.some(({ example, pointer }) => example !== null && /^(?:\/|$)/.test(pointer)));
    t.equal(verdict(wide, narrow, 'FORWARD').verdict, 'compatible');
    t.equal(verdict(narrow, wide, 'FULL').verdict, 'incompatible');
  });
}

t.test('what is the same is compatible, also what is not understood', async (t) => {
  for (const schema of [
    { type: 'string', pattern: '^(a|b)+$' },
    { not: { required: ['a'] } },
    { if: { required: ['a'] }, else: { required: ['b'] } },
    { type: 'array', contains: { type: 'string' }, minContains: 2 },
    { type: 'object', allOf: [{ properties: { a: {} } }], unevaluatedProperties: false },
    { oneOf: [{ minimum: 1 }, { maximum: 0 }] },
  ]) {
    t.equal(
      verdict(schema, { ...schema, title: 'in other words' }, 'FULL').verdict,
      'compatible',
      JSON.stringify(schema),
    );
  }
});

t.test(
  'a reason has the pointer into the schema that accepts less, what it says of the data, and an example',
  async (t) => {
    const before = { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, $defs: { a: { type: 'integer' } } };
    const after = { ...before, required: ['b'], $defs: { a: { type: 'integer', minimum: 3 } } };
    const { reasons } = verdict(before, after);
    t.strictSame(reasons[0], {
      direction: 'BACKWARD',
      pointer: '/required',
      message: 'the data must have the property "b"',
      example: '{}',
    });
    t.match(reasons.map(({ pointer }) => pointer).sort(), ['/$defs/a/minimum', '/required']);
  },
);

t.test('what can not be decided is said to be so, with what stands against it', async (t) => {
  const { verdict: said, reasons } = verdict({ type: 'string', pattern: '^q+$' }, { type: 'string', pattern: '^q*$' });
  t.equal(said, 'undecided');
  t.match(reasons, [{ pointer: '/pattern', example: null, message: /not decided/ }]);
});

t.test('a schema that refers to itself without end is not proven by itself', async (t) => {
  const loop = { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }, { type: 'string' }] } } };
  t.not(verdict({ type: 'integer' }, loop).verdict, 'compatible');
});

t.test('integers beyond what a double counts are not rounded into a proof', async (t) => {
  const { verdict: said } = verdict({ type: 'integer', minimum: 1e20 }, { type: 'integer', exclusiveMinimum: 1e20 });
  t.not(said, 'compatible');
});
