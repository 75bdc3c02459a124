import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  CesqlSyntaxError,
  compile,
  compileFilter,
  type Expression,
  parse,
  print,
} from '../../../broker/filter/cesql/cesql.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { events, expressions, stringEvents } from './arbitrary.ts';
import { evaluate } from './reference.ts';

const kinds = ['MathError', 'CastError', 'MissingAttributeError', 'MissingFunctionError', 'FunctionEvaluationError'];

/** The tree with its positions taken out. */
function shapeOf(node: Expression): unknown {
  return JSON.parse(JSON.stringify(node, (name, value) => (name === 'position' ? undefined : value)));
}

t.test('what is printed is parsed to the same tree', async (t) => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(expressions, (tree) => {
      const printed = print(tree);
      const parsed = parse(printed);
      deepStrictEqual(shapeOf(parsed), shapeOf(tree), printed);
      deepStrictEqual(print(parsed), printed);
      seen.add(tree.kind);
    }),
    { numRuns: propertyRuns(3_000) },
  );
  t.ok(seen.size >= 9, [...seen].join());
});

t.test('every expression has a value for every event, which is what the rules say, and never throws', async (t) => {
  const counts = { good: 0, true: 0, ...Object.fromEntries(kinds.map((kind) => [kind, 0])) };
  fc.assert(
    fc.property(expressions, events, (tree, event) => {
      const expression = print(tree);
      const { value, errors } = compile(expression).evaluate(event);
      const wanted = evaluate(parse(expression), event);
      deepStrictEqual(value, wanted.value, expression);
      deepStrictEqual(errors.map(({ kind }) => kind).toSorted(), wanted.errors.toSorted(), expression);
      for (const { kind, message, position } of errors) {
        ok(kinds.includes(kind) && message !== '');
        ok(Number.isInteger(position) && position >= 0 && position < expression.length);
        counts[kind as keyof typeof counts] += 1;
      }
      if (errors.length === 0) counts.good += 1;
      if (value === true) counts.true += 1;
    }),
    { numRuns: propertyRuns(5_000) },
  );
  t.comment(JSON.stringify(counts));
  t.ok(counts.good > 1_000 && counts.true > 300, `${counts.good} without error, ${counts.true} TRUE`);
  for (const kind of kinds) t.ok(counts[kind as keyof typeof counts] > 20, kind);
});

t.test('a filter that is not refused passes what is TRUE without an error', async (t) => {
  const counts = { refused: 0, passed: 0, held: 0 };
  fc.assert(
    fc.property(expressions, fc.array(stringEvents, { minLength: 1, maxLength: 3 }), (tree, events) => {
      const expression = print(tree);
      const { evaluate } = compile(expression);
      const filter = filterOf(expression);
      for (const event of events) {
        const { value, errors } = evaluate(event);
        const passes = value === true && errors.length === 0;
        if (filter === undefined) counts.refused += 1;
        else deepStrictEqual(filter.passes(event), passes, expression);
        if (filter !== undefined) counts[passes ? 'passed' : 'held'] += 1;
      }
    }),
    { numRuns: propertyRuns(3_000) },
  );
  t.comment(JSON.stringify(counts));
  t.ok(counts.passed > 100 && counts.held > 100 && counts.refused > 100);
});

function filterOf(expression: string): ReturnType<typeof compileFilter> | undefined {
  try {
    return compileFilter(expression);
  } catch (error) {
    checkRefusal(error, expression);
    return undefined;
  }
}

function checkRefusal(error: unknown, expression: string): void {
  if (!(error instanceof CesqlSyntaxError)) throw error;
  const { position, line, column, problem } = error;
  ok(position >= 0 && position <= expression.length);
  ok(problem !== '' && problem.length < 400, problem);
  const before = expression.split('\n').slice(0, line - 1);
  deepStrictEqual(before.join('\n').length + Math.min(1, before.length) + column - 1, position);
}

const tokens = [
  ...'()\',+-*/%=<>!"\\_`&|;. \n\t\r\u00a0é😀\ud800',
  ...['AND', 'or', 'XOR', 'NOT', 'LIKE', 'in', 'EXISTS', 'TRUE', 'false', '!=', '<>', '>=', '<=', '==', ' ', '  '],
  ...['a', 'type', 'ABC(', 'LENGTH(', 'CONCAT_WS(', '1', '42', '2147483648', "'x'", '"y"', "'%a_'", '(1, 2)'],
];
const bytes = fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all));
const anything = fc.oneof(
  { weight: 6, arbitrary: fc.array(fc.constantFrom(...tokens), { maxLength: 30 }).map((all) => all.join('')) },
  { weight: 6, arbitrary: fc.array(fc.constantFrom(...tokens), { maxLength: 30 }).map((all) => all.join(' ')) },
  bytes.map((all) => all.toString('utf8')),
  bytes.map((all) => all.toString('latin1')),
  fc.string({ unit: 'binary', maxLength: 100 }),
  // An expression with a few characters changed.
  fc.tuple(expressions, fc.nat(), fc.constantFrom(...tokens)).map(([tree, at, token]) => {
    const printed = print(tree);
    const place = at % (printed.length + 1);
    return printed.slice(0, place) + token + printed.slice(place + 1);
  }),
);

t.test('anything else is refused with a place, and never otherwise', async (t) => {
  const counts = { compiled: 0, refused: 0 };
  fc.assert(
    fc.property(anything, (expression) => {
      try {
        compile(expression).evaluate({ a: '5' });
        counts.compiled += 1;
      } catch (error) {
        checkRefusal(error, expression);
        counts.refused += 1;
      }
      filterOf(expression)?.passes({ a: '5' });
    }),
    { numRuns: propertyRuns(5_000) },
  );
  t.comment(JSON.stringify(counts));
  t.ok(counts.compiled > 50 && counts.refused > 1_000);
});
