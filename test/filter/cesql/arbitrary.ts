import fc from 'fast-check';
import type { Attributes, Expression } from '../../../broker/filter/cesql/cesql.ts';

/** Expressions whose operands mostly have the types that they need, and events that they mostly find. */

const position = -1;
const names = ['a', 'b', 'n', 'flag', '1x', 'missing'];

/** Strings that a literal can stand for: a backslash before their end or a quote would escape that. */
const text = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'true', 'TRUE', 'false', '5', '-3', '+07', '2147483648', ' a ', '😀b', `it's "b"`),
  fc.string({ unit: fc.constantFrom(...'ab% _-\\.😀\n\u00a0'), maxLength: 8 }).filter((one) => !/\\$/.test(one)),
);
const number = fc.oneof(
  fc.integer({ min: -6, max: 6 }),
  fc.constantFrom(-2_147_483_648, 2_147_483_647, 65_536),
  fc.integer(),
);
const pattern = fc
  .string({ unit: fc.constantFrom('a', 'b', 't', 'r', 'u', 'e', '%', '_', '\\', '😀', "'"), maxLength: 8 })
  .filter((one) => !/\\(?:$|')/.test(one));

const literal = (value: fc.Arbitrary<string | number | boolean>): fc.Arbitrary<Expression> =>
  value.map((value) => ({ kind: 'literal', value, position }));
const attribute: fc.Arbitrary<Expression> = fc
  .constantFrom(...names)
  .map((name) => ({ kind: 'attribute', name, position }));
const exists: fc.Arbitrary<Expression> = fc
  .constantFrom(...names, 'in2', '12')
  .map((name) => ({ kind: 'exists', name, position }));

interface Kinds {
  readonly boolean: Expression;
  readonly integer: Expression;
  readonly string: Expression;
  readonly wrong: Expression;
}

const { boolean, integer, string } = fc.letrec((tie: fc.LetrecTypedTie<Kinds>): fc.LetrecValue<Kinds> => {
  const [ofBoolean, ofInteger, ofString] = (['boolean', 'integer', 'string'] as const).map((kind) =>
    fc.oneof({ weight: 15, arbitrary: tie(kind) }, tie('wrong')),
  ) as [fc.Arbitrary<Expression>, fc.Arbitrary<Expression>, fc.Arbitrary<Expression>];
  const any = fc.oneof(ofBoolean, ofInteger, ofString);
  const link = fc.record({
    operator: fc.constantFrom('AND' as const, 'OR' as const, 'XOR' as const),
    operand: ofBoolean,
    position: fc.constant(position),
  });
  const list = fc.array(any, { minLength: 1, maxLength: 3 });
  const call = (name: string, ...list: fc.Arbitrary<Expression>[]): fc.Arbitrary<Expression> =>
    node('call', { name: fc.constant(name), arguments: fc.tuple(...list) });
  const comparison = (operators: readonly string[], of: fc.Arbitrary<Expression>) =>
    node('comparison', { operator: fc.constantFrom(...operators), left: of, right: of });
  return {
    boolean: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      literal(fc.boolean()),
      { weight: 2, arbitrary: exists },
      node('not', { operand: ofBoolean }),
      {
        weight: 3,
        arbitrary: node('logic', { first: ofBoolean, rest: fc.array(link, { minLength: 1, maxLength: 3 }) }),
      },
      comparison(['<', '<=', '>', '>='], ofInteger),
      comparison(['=', '!='], ofInteger),
      comparison(['=', '!='], ofString),
      comparison(['=', '!='], any),
      node('like', { negated: fc.boolean(), operand: ofString, pattern }),
      node('in', { negated: fc.boolean(), operand: any, elements: list }),
      call('BOOL', any),
      fc.oneof(call('IS_INT', any), call('IS_BOOL', any)),
    ),
    integer: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      { weight: 2, arbitrary: literal(number) },
      node('negate', { operand: ofInteger }),
      {
        weight: 2,
        arbitrary: node('arithmetic', { operator: fc.constantFrom(...'+-*/%'), left: ofInteger, right: ofInteger }),
      },
      call('ABS', ofInteger),
      call('INT', any),
      call('LENGTH', ofString),
    ),
    string: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      { weight: 2, arbitrary: literal(text) },
      { weight: 2, arbitrary: attribute },
      call('CONCAT', ofString, any),
      call('CONCAT_WS', ofString, any, any),
      fc.oneof(call('LOWER', ofString), call('UPPER', ofString), call('TRIM', ofString), call('STRING', any)),
      fc.oneof(call('LEFT', ofString, ofInteger), call('RIGHT', ofString, ofInteger)),
      fc.oneof(call('SUBSTRING', ofString, ofInteger), call('SUBSTRING', ofString, ofInteger, ofInteger)),
    ),
    wrong: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      attribute,
      literal(fc.oneof(text, number, fc.boolean())),
      fc.oneof(tie('boolean'), tie('integer'), tie('string')),
      fc.oneof(call('NOSUCH', any), call('LENGTH'), call('CONCAT_WS')),
    ),
  };
});

function node(
  kind: Expression['kind'],
  fields: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): fc.Arbitrary<Expression> {
  return fc.record(fields).map((given) => ({ kind, ...given, position })) as fc.Arbitrary<Expression>;
}

export const expressions: fc.Arbitrary<Expression> = fc.oneof({ weight: 3, arbitrary: boolean }, integer, string);

const values = {
  a: text,
  b: text,
  n: fc.oneof(number, number.map(String)),
  flag: fc.oneof(fc.boolean(), fc.constantFrom('true', 'FALSE')),
  '1x': text,
};

/** Not every event has every attribute; none has `missing`. */
export const events: fc.Arbitrary<Attributes> = fc.record(values, { requiredKeys: ['a', 'n'] });

/** As events are on the wire. */
export const stringEvents: fc.Arbitrary<Readonly<Record<string, string>>> = events.map((event) =>
  Object.fromEntries(Object.entries(event).map(([name, value]) => [name, String(value)])),
);
