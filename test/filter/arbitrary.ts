import fc from 'fast-check';
import { CesqlSyntaxError, compileFilter, type Expression, print } from '../../broker/filter/cesql/cesql.ts';
import type { Filter } from '../../broker/trigger/trigger.ts';
import type { CloudEvent } from '../../event/event.ts';
import { expressions as anyExpressions, stringEvents } from './cesql/arbitrary.ts';
import { eventWith } from './sample.ts';

/** Filters of every dialect, and events that meet them often: there are few names and values. */

const position = -1;
const name = fc.constantFrom('type', 'source', 'subject', 'ext', 'constructor');
const value = fc.constantFrom('a', 'ab', 'ba', 'b', 'aba', '5', 'true', 'aab😀');
const values = fc.dictionary(name, value, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const valuesOrAny = fc.dictionary(name, fc.oneof(value, fc.constant('')), { maxKeys: 2, noNullPrototype: true });

const attribute: fc.Arbitrary<Expression> = name.map((name) => ({ kind: 'attribute', name, position }));
const text: fc.Arbitrary<Expression> = value.map((value) => ({ kind: 'literal', value, position }));
const literal: fc.Arbitrary<Expression> = fc
  .oneof({ weight: 3, arbitrary: value }, fc.constantFrom(5, 0), fc.boolean())
  .map((value) => ({ kind: 'literal', value, position }));
const pattern = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'aba', '%', '%', '_', '\\%', '\\_', '\\', '😀'), { maxLength: 4 })
  .map((parts) => parts.join(''))
  .filter((one) => !one.endsWith('\\'));

/** Expressions of parts that an index can use, and of such that it can't. */
const usefulExpression = fc.letrec<{ part: Expression; leaf: Expression }>((tie) => ({
  leaf: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.oneof(fc.tuple(attribute, text), fc.tuple(text, attribute)).map(([left, right]) => {
        return { kind: 'comparison', operator: '=', left, right, position } as const;
      }),
    },
    fc.record({
      kind: fc.constant('comparison' as const),
      operator: fc.constantFrom('=' as const, '!=' as const, '>' as const),
      left: attribute,
      right: fc.oneof(literal, attribute),
      position: fc.constant(position),
    }),
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('like' as const),
        negated: fc.boolean(),
        operand: attribute,
        pattern,
        position: fc.constant(position),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('in' as const),
        negated: fc.boolean(),
        operand: attribute,
        elements: fc.array(fc.oneof({ weight: 5, arbitrary: literal }, attribute), { minLength: 1, maxLength: 3 }),
        position: fc.constant(position),
      }),
    },
    name.map((name) => ({ kind: 'exists' as const, name, position })),
    attribute,
    fc.boolean().map((value) => ({ kind: 'literal' as const, value, position })),
  ),
  part: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 2, arbitrary: tie('leaf') },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('logic' as const),
        first: tie('part'),
        rest: fc.array(
          fc.record({
            operator: fc.constantFrom('AND' as const, 'AND' as const, 'OR' as const, 'OR' as const, 'XOR' as const),
            operand: tie('part'),
            position: fc.constant(position),
          }),
          { minLength: 1, maxLength: 3 },
        ),
        position: fc.constant(position),
      }),
    },
    tie('part').map((operand) => ({ kind: 'not' as const, operand, position })),
  ),
})).part;

const expression = fc.oneof({ weight: 3, arbitrary: usefulExpression }, anyExpressions).map(print).filter(isFilter);

function isFilter(expression: string): boolean {
  try {
    compileFilter(expression);
    return true;
  } catch (error) {
    if (error instanceof CesqlSyntaxError) return false;
    throw error;
  }
}

export const filters: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter; leaf: Filter }>((tie) => ({
  leaf: fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        dialect: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const),
        attributes: values,
      }),
    },
    fc.record({ dialect: fc.constant('attributes' as const), attributes: valuesOrAny }),
    { weight: 2, arbitrary: fc.record({ dialect: fc.constant('cesql' as const), expression }) },
  ),
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 2, arbitrary: tie('leaf') },
    fc.record({
      dialect: fc.constantFrom('all' as const, 'any' as const),
      filters: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ dialect: fc.constant('not' as const), filter: tie('filter') }),
  ),
})).filter;

export const events: fc.Arbitrary<CloudEvent> = fc
  .record({
    type: value,
    source: value,
    rest: fc.dictionary(name, fc.oneof({ weight: 5, arbitrary: value }, fc.constant(''))),
    others: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, stringEvents),
  })
  .map(({ type, source, rest, others }) => eventWith({ ...others, ...rest, type, source }));
