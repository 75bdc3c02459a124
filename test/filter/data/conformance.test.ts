import { getConformanceSuite, type IncrementalTestSuite } from '@bufbuild/cel-spec/testdata/tests.js';
import t from 'tap';
import { parseCel } from '../../../broker/filter/data/cel.ts';
import { compileNode } from '../../../broker/filter/data/closures.ts';
import { DataFilterSyntaxError } from '../../../broker/filter/data/errors.ts';
import { Evaluation } from '../../../broker/filter/data/evaluation.ts';
import { EventData } from '../../../broker/filter/data/event-data.ts';
import { Failure, type MapKey, Tagged, TypeValue, type Value } from '../../../broker/filter/data/value.ts';
import { testEvent } from '../../support/events.ts';

/** The vectors of CEL's specification (cel-spec, tests/simple) that are about the language itself. */
const suites: readonly string[] = [
  ...['basic', 'comparisons', 'conversions', 'fields', 'fp_math', 'integer_math', 'lists', 'logic', 'macros', 'parse'],
  ...['plumbing', 'string', 'timestamps'],
];

/** What data filters leave out of CEL, by the expressions that have it. */
const leftOut: Readonly<Record<string, RegExp>> = {
  messages: /google\.protobuf|TestAllTypes/,
  bytes: /\b(?:[bB][rR]?|[rR][bB])['"]|bytes/,
  'time zones': /\.get\w+\(['"]/,
  'fields in back quotes': /`/,
  'numbers that begin with a point': /^\.\d/,
  'names that nobody knows': /^(?:x|f_unknown\(17\)|a\.\w+\(\)) \|\| true$/,
};

/** What is otherwise, on purpose. */
const otherwise: Readonly<Record<string, string>> = {
  'dyn(9223372036854775807) < 9223372036854775808.0': 'exact, where CEL may round',
  'dyn(9223372036854775808.0) > 9223372036854775807': 'exact, where CEL may round',
  'dyn(9223372036854775808.0) <= 9223372036854775807': 'exact, where CEL may round',
  'dyn(9223372036854775807) >= 9223372036854775808.0': 'exact, where CEL may round',
  'int(-9223372036854775808.0)': 'it is an int',
  "type(timestamp('2009-02-13T23:31:30Z'))": 'messages have no names here',
  "type(duration('1000000s'))": 'messages have no names here',
  "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')": 'a duration has more than 64 bits',
  "timestamp('0001-01-01T00:00:00Z') - timestamp('9999-12-31T23:59:59Z')": 'a duration has more than 64 bits',
};

type Vector = IncrementalTestSuite['tests'][number]['original'];

function vectorsOf({ suites, tests }: IncrementalTestSuite): Vector[] {
  return [...tests.map(({ original }) => original), ...suites.flatMap(vectorsOf)];
}

/** Those that need variables, or names of messages, are about what data filters don't have. */
function isOurs({ expr, bindings, typeEnv, container }: Vector): boolean {
  if (Object.keys(bindings).length > 0 || typeEnv.length > 0 || container !== '') return false;
  return !Object.values(leftOut).some((pattern) => pattern.test(expr));
}

type ProtoValue = Extract<Vector['resultMatcher'], { case: 'value' }>['value'];

function plain({ kind }: ProtoValue): Value {
  switch (kind.case) {
    case 'boolValue':
    case 'stringValue':
    case 'doubleValue':
    case 'int64Value':
      return kind.value;
    case 'uint64Value':
      return new Tagged('uint', kind.value);
    case 'nullValue':
      return null;
    case 'typeValue':
      return new TypeValue(kind.value);
    case 'listValue':
      return kind.value.values.map(plain);
    case 'mapValue':
      return new Map(kind.value.entries.map(({ key, value }) => [keyOf(plain(required(key))), plain(required(value))]));
    default:
      throw new Error(`a vector has a value of kind ${kind.case}`);
  }
}

function keyOf(value: Value): MapKey {
  return value instanceof Tagged ? value.value : (value as MapKey);
}

function required<Present>(value: Present | undefined): Present {
  if (value === undefined) throw new Error('a vector has an entry without key or value');
  return value;
}

/** A value in a form in which those that are the same are the same text, and types and signs of zero count. */
function shown(value: Value | Failure): string {
  if (value instanceof Failure) return 'an error';
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return `int ${part}`;
    if (typeof part === 'number') return `double ${Object.is(part, -0) ? '-0' : part}`;
    return part instanceof Map ? ['a map', ...[...part].map((entry) => entry).sort()] : part;
  });
}

/** What the expression comes to; what is refused is an error that is known before. */
function evaluated(expression: string): string {
  try {
    return shown(compileNode(parseCel(expression).tree)(new Evaluation(new EventData(testEvent()))));
  } catch (error) {
    if (!(error instanceof DataFilterSyntaxError)) throw error;
    return 'an error';
  }
}

function wanted({ resultMatcher }: Vector): string {
  switch (resultMatcher.case) {
    case 'value':
      return shown(plain(resultMatcher.value));
    case undefined:
      return 'true';
    default:
      return 'an error';
  }
}

t.test('the vectors of the specification come out as they are to', async (t) => {
  const all = getConformanceSuite().suites.filter(({ name }) => suites.includes(name));
  t.equal(all.length, suites.length);
  const vectors = all.flatMap(vectorsOf).filter(isOurs);
  t.ok(vectors.length > 800, `${vectors.length} of them`);
  const wrong = vectors.filter((vector) => evaluated(vector.expr) !== wanted(vector)).map(({ expr }) => expr);
  t.strictSame(
    wrong.filter((expr) => !Object.hasOwn(otherwise, expr)),
    [],
  );
  t.strictSame(
    Object.keys(otherwise).filter((expr) => !wrong.includes(expr)),
    [],
    'what is otherwise still is',
  );
});
