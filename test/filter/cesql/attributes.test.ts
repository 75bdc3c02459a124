import t from 'tap';
import { compile } from '../../../broker/filter/cesql/cesql.ts';
import { evaluates } from './evaluated.ts';

/** CESQL 1.0, 3.2 and 3.4.4: the attributes of an event, and those that it lacks. */

const event = { specversion: '1.0', id: '1', source: '/shop', type: 'com.example.created', sequence: '10', empty: '' };

t.test('each attribute and extension is there by its name', async (t) => {
  evaluates(
    t,
    [
      ['id', '1'],
      ['source', '/shop'],
      ['type', 'com.example.created'],
      ['sequence', '10'],
      ['empty', ''],
      ['sequence = 10', true],
      ['sequence = 11', false],
      [`sequence = '10'`, true],
      ['sequence + 1', 11],
      [`LENGTH(sequence + 90)`, 3],
    ],
    event,
  );
});

t.test('values have the type that they are given in, and what is no such type is a String', async (t) => {
  const attributes = {
    yes: true,
    no: false,
    ten: 10,
    least: -2_147_483_648,
    zero: -0,
    half: 0.5,
    large: 2_147_483_648,
    none: Number.NaN,
    time: '2026-01-02T03:04:05Z',
  };
  evaluates(
    t,
    [
      ['yes', true],
      ['no', false],
      ['yes AND NOT no', true],
      ['ten', 10],
      ['ten = 10', true],
      [`ten = '10'`, true],
      [`ten != '10'`, false],
      [`yes = 'true'`, true],
      ['least', -2_147_483_648],
      ['zero', 0],
      ['half', '0.5'],
      ['half + 1', 0, 'CastError'],
      ['large', '2147483648'],
      ['none', 'NaN'],
      ['time', '2026-01-02T03:04:05Z'],
      // Both sides depend on the event, and the right one says how they are compared.
      ['ten = yes', true],
      ['yes = ten', false],
      [`ten IN (yes, '10')`, true],
    ],
    attributes,
  );
});

t.test('an attribute that is undefined, null or of no type at all is absent', async (t) => {
  const odd = { a: undefined, b: null, c: {}, d: [], e: () => 1, f: Symbol('f'), g: 1n } as never;
  for (const name of 'abcdefg') {
    evaluates(
      t,
      [
        [`EXISTS ${name}`, false],
        [name, false, 'MissingAttributeError'],
      ],
      odd,
    );
  }
});

t.test('an attribute that is missing makes the operation that it is an operand of a zero value', async (t) => {
  evaluates(
    t,
    [
      // Where nothing says the type, it is Boolean.
      ['missing', false, 'MissingAttributeError'],
      ['(missing)', false, 'MissingAttributeError'],
      ['missing = 2', false, 'MissingAttributeError'],
      ['missing != 2', false, 'MissingAttributeError'],
      ['missing <> 2', false, 'MissingAttributeError'],
      ['missing <= 2', false, 'MissingAttributeError'],
      ['2 > missing', false, 'MissingAttributeError'],
      [`TRUE AND (missing = "")`, false, 'MissingAttributeError'],
      ['NOT missing', false, 'MissingAttributeError'],
      ['missing AND TRUE', false, 'MissingAttributeError'],
      ['missing OR TRUE', false, 'MissingAttributeError'],
      ['TRUE XOR missing', false, 'MissingAttributeError'],
      [`missing LIKE '%'`, false, 'MissingAttributeError'],
      [`missing NOT LIKE 'x'`, false, 'MissingAttributeError'],
      [`missing IN ('x', 'y')`, false, 'MissingAttributeError'],
      [`missing NOT IN ('x', 'y')`, false, 'MissingAttributeError'],
      [`id IN (missing, '1')`, false, 'MissingAttributeError'],
      [`id NOT IN (missing)`, false, 'MissingAttributeError'],
      ['BOOL(missing)', false, 'MissingAttributeError'],
      ['IS_INT(missing)', false, 'MissingAttributeError'],
      // Integer.
      ['-missing', 0, 'MissingAttributeError'],
      ['missing * 5', 0, 'MissingAttributeError'],
      ['1 / missing', 0, 'MissingAttributeError'],
      ['missing / 0', 0, 'MissingAttributeError'],
      ['missing % 0', 0, 'MissingAttributeError'],
      ['LENGTH(missing)', 0, 'MissingAttributeError'],
      ['INT(missing)', 0, 'MissingAttributeError'],
      // String.
      [`CONCAT('a', missing)`, '', 'MissingAttributeError'],
      [`LEFT(missing, -1)`, '', 'MissingAttributeError'],
      [`LEFT('abc', missing)`, '', 'MissingAttributeError'],
      // Each that is missing is told of.
      ['missing + absent', 0, 'MissingAttributeError', 'MissingAttributeError'],
      [`missing + 'x'`, 0, 'MissingAttributeError', 'CastError'],
    ],
    event,
  );
});

t.test('after an error the value is the zero value of the whole, and no error is told twice', async (t) => {
  evaluates(
    t,
    [
      ['(missing = 1) OR TRUE', false, 'MissingAttributeError'],
      ['NOT (missing = 1)', false, 'MissingAttributeError'],
      ['1 + missing * 5', 0, 'MissingAttributeError'],
      ['LENGTH(CONCAT(missing)) + 1', 0, 'MissingAttributeError'],
      ['UPPER(STRING(1 / 0))', '', 'MathError'],
      [`(1 / 0) IN (0)`, false, 'MathError'],
      [`(1 / 0) + ('x' + 1)`, 0, 'MathError', 'CastError'],
      ['ABS(ABS(-2147483648))', 0, 'MathError'],
      ['ABS(-2147483648) > 0', false, 'MathError'],
    ],
    event,
  );
});

t.test('EXISTS asks for an attribute, and is no error', async (t) => {
  evaluates(
    t,
    [
      ['EXISTS sequence', true],
      ['EXISTS empty', true],
      ['EXISTS subject', false],
      ['NOT EXISTS subject', true],
      ['EXISTS subject OR TRUE', true],
      ['EXISTS specversion AND EXISTS id AND EXISTS source AND EXISTS type', true],
    ],
    event,
  );
});

t.test('EXISTS of an attribute that every event has is TRUE whatever is given', async (t) => {
  evaluates(t, [['EXISTS specversion AND EXISTS id AND EXISTS source AND EXISTS type', true]], {});
});

t.test('an event is not changed, and the same event gives the same result', async (t) => {
  const { evaluate } = compile(`missing = 1 OR CONCAT(type, source) LIKE '%shop' AND sequence IN (9, 10)`);
  const frozen = Object.freeze({ ...event });
  t.strictSame(evaluate(frozen), evaluate(frozen));
});

t.test('an error says what was seen, and where in the expression', async (t) => {
  const said = (expression: string) => compile(expression).evaluate(event).errors;
  t.strictSame(said('id = 1 AND missing = 2'), [
    { kind: 'MissingAttributeError', message: 'the event has no attribute missing', position: 11 },
  ]);
  t.strictSame(said('1 + type'), [
    {
      kind: 'CastError',
      message:
        'the String "com.example.created" is no Integer: expected digits with or without a sign, from -2147483648 to 2147483647',
      position: 4,
    },
  ]);
  t.strictSame(said(`NOT CONCAT('${'x'.repeat(50)}')`), [
    {
      kind: 'CastError',
      message: `the String "${'x'.repeat(40)}…" is no Boolean: expected true or false`,
      position: 4,
    },
  ]);
  t.strictSame(said('7 / (1 - 1)'), [{ kind: 'MathError', message: '7 / 0 has no value', position: 2 }]);
  t.strictSame(said('2147483647 * 2'), [
    {
      kind: 'MathError',
      message: '4294967294 is no Integer: those go from -2147483648 to 2147483647',
      position: 11,
    },
  ]);
  t.strictSame(said('1 + LENGHT(type)'), [
    {
      kind: 'MissingFunctionError',
      message:
        'there is no function LENGHT; known: LENGTH, CONCAT, CONCAT_WS, LOWER, UPPER, TRIM, LEFT, RIGHT, SUBSTRING, ABS, INT, BOOL, STRING, IS_INT, IS_BOOL',
      position: 4,
    },
  ]);
  t.match(said('SUBSTRING(type)'), [{ message: 'SUBSTRING takes 2 or 3 arguments, found 1', position: 0 }]);
  t.match(said('CONCAT_WS()'), [{ message: 'CONCAT_WS takes 1 or more arguments, found 0' }]);
  t.match(said('LENGTH()'), [{ message: 'LENGTH takes 1 argument, found 0' }]);
});

t.test('the examples at the end of the specification', async (t) => {
  const person = { ...event, firstname: 'Francesco', lastname: 'Guardiani', hop: '5', ttl: '10' };
  evaluates(
    t,
    [
      ['int(hop) < int(ttl) and int(hop) < 1000', true],
      ['INT(hop) < INT(ttl) AND INT(hop) < 1000', true],
      ['EXISTS subject', false],
      [`firstname = 'Francesco'`, true],
      [`firstname = 'Francesco' OR subject = 'Francesco'`, true],
      [`(firstname = 'Francesco' AND lastname = 'Guardiani') OR subject = 'Francesco Guardiani'`, true],
      ['sequence = 10', true],
      ['hop < ttl', true],
    ],
    person,
  );
});
