import t from 'tap';
import { CesqlSyntaxError, compileFilter } from '../../../broker/filter/cesql/cesql.ts';

/** CESQL 1.0, 1.2 and 3.3: an expression as a filter, and what can be told of it before there is an event. */

const event = { specversion: '1.0', id: '1', source: '/shop', type: 'com.example.created', sequence: '10', on: 'True' };

t.test('only TRUE without an error passes', async (t) => {
  const cases: Readonly<Record<string, boolean>> = {
    "type = 'com.example.created'": true,
    "type = 'com.example.deleted'": false,
    'sequence = 10': true,
    'sequence > 9 AND sequence < 11': true,
    'on AND TRUE': true,
    'BOOL(on)': true,
    'on = TRUE': true,
    "missing = 'x'": false,
    "missing != 'x'": false,
    "NOT (missing = 'x')": false,
    "source = '/shop' OR missing = 'x'": true,
    "missing = 'x' OR source = '/shop'": false,
    'type > 5': false,
    'NOT type': false,
    'EXISTS missing': false,
    'NOT EXISTS missing': true,
  };
  for (const [expression, expected] of Object.entries(cases)) {
    t.equal(compileFilter(expression).passes(event), expected, expression);
  }
});

t.test('a value of another type does not pass, whatever it is', async (t) => {
  const { passes } = compileFilter('on = TRUE');
  t.equal(passes({ on: true }), true);
  t.equal(passes({ on: 1 }), true);
  t.equal(passes({ on: 'x' }), false);
});

const integer = 'expected digits with or without a sign, from -2147483648 to 2147483647';
const boolean = 'expected true or false';

const refused: readonly (readonly [expression: string, position: number, kind: string, problem: string])[] = [
  ['type =', 6, 'ParseError', 'expected an attribute, a literal or a function, found the end'],
  // What gives no Boolean.
  ['LENGTH(type)', 0, 'CastError', 'expected an expression that gives a Boolean, this gives Integer'],
  ['(sequence + 1)', 10, 'CastError', 'expected an expression that gives a Boolean, this gives Integer'],
  ['-1', 0, 'CastError', 'expected an expression that gives a Boolean, this gives Integer'],
  [`'type'`, 0, 'CastError', 'expected an expression that gives a Boolean, this gives String'],
  [
    'enabled',
    0,
    'CastError',
    'expected an expression that gives a Boolean, this gives String; write BOOL(enabled), or compare it with a value',
  ],
  // Functions that are not there.
  [
    `EXISTS type AND LENGHT(type) > 1`,
    16,
    'MissingFunctionError',
    'there is no function LENGHT; known: LENGTH, CONCAT, CONCAT_WS, LOWER, UPPER, TRIM, LEFT, RIGHT, SUBSTRING, ABS, INT, BOOL, STRING, IS_INT, IS_BOOL',
  ],
  [`LENGTH(type, id) > 1`, 0, 'MissingFunctionError', 'LENGTH takes 1 argument, found 2'],
  // Literals that are never what is needed.
  [`time > '2026-01-01T00:00:00Z'`, 7, 'CastError', `the String "2026-01-01T00:00:00Z" is no Integer: ${integer}`],
  [`sequence + 'x' = 1`, 11, 'CastError', `the String "x" is no Integer: ${integer}`],
  [`type = 'a' AND 'b'`, 15, 'CastError', `the String "b" is no Boolean: ${boolean}`],
  [`EXISTS id XOR 'b'`, 14, 'CastError', `the String "b" is no Boolean: ${boolean}`],
  [`LEFT(type, 'x') = 'a'`, 11, 'CastError', `the String "x" is no Integer: ${integer}`],
  [`'x' = LENGTH(type)`, 0, 'CastError', `the String "x" is no Integer: ${integer}`],
  [`LENGTH(type) IN (1, 'x')`, 20, 'CastError', `the String "x" is no Integer: ${integer}`],
  [`INT('x') = sequence`, 0, 'CastError', `the String "x" is no Integer: ${integer}`],
  [`sequence < 1 + 'x'`, 15, 'CastError', `the String "x" is no Integer: ${integer}`],
  // Operations that never have a result.
  ['sequence / 0 = 1', 9, 'MathError', 'nothing can be divided by 0'],
  [`sequence % '0' = 1`, 9, 'MathError', 'nothing can be divided by 0'],
  ['sequence = 1 / (1 - 1)', 13, 'MathError', 'nothing can be divided by 0'],
  ['sequence = 2147483647 + 1', 22, 'MathError', '2147483648 is no Integer: those go from -2147483648 to 2147483647'],
  [`type = LEFT('a', -1)`, 7, 'FunctionEvaluationError', 'LEFT takes 0 characters or more, found -1'],
  // Comparisons that never hold, or always.
  ['LENGTH(type) = "five"', 15, 'CastError', 'the Integer on the left never equals the String "five"'],
  ['LENGTH(type) != "05"', 16, 'CastError', 'the Integer on the left never equals the String "05"'],
  ['EXISTS type = "TRUE"', 14, 'CastError', 'the Boolean on the left never equals the String "TRUE"'],
  [
    `NOT type = 'a'`,
    11,
    'CastError',
    'the Boolean on the left never equals the String "a"; NOT binds tighter than =: put what it negates in parentheses',
  ],
  [
    `NOT type LIKE 'a%'`,
    9,
    'CastError',
    'a Boolean is never like "a%"; NOT binds tighter than LIKE: put what it negates in parentheses',
  ],
  [
    `NOT type IN ('a')`,
    13,
    'CastError',
    `the String "a" is no Boolean: ${boolean}; NOT binds tighter than IN: put what it negates in parentheses`,
  ],
  // What is no attribute.
  [
    `data LIKE '%x%'`,
    0,
    'MissingAttributeError',
    'data is no attribute: an expression sees the attributes of an event only',
  ],
  [
    'EXISTS data',
    0,
    'MissingAttributeError',
    'data is no attribute: an expression sees the attributes of an event only',
  ],
];

t.test('what can not be meant is refused', async (t) => {
  for (const [expression, ...expected] of refused) {
    try {
      compileFilter(expression);
      t.fail(`compiled: ${expression}`);
    } catch (error) {
      if (!(error instanceof CesqlSyntaxError)) throw error;
      t.strictSame([error.position, error.kind, error.problem], expected, expression);
    }
  }
});

t.test('what may be meant is not refused, and nothing is said of it', async (t) => {
  const expressions = [
    `type = 'a' AND source LIKE '/x/%'`,
    `sequence = '05'`,
    `'5' = sequence`,
    'hop < ttl',
    'type = source',
    'NOT EXISTS subject',
    `NOT (type = 'a')`,
    `type NOT LIKE 'a%'`,
    `(EXISTS subject) = 'true'`,
    `LENGTH(type) = '5'`,
    `LENGTH(type) LIKE '5%'`,
    `EXISTS type LIKE 't%'`,
    `EXISTS type IN ('TRUE', 0)`,
    `LENGTH(type) IN ('05', TRUE)`,
    `type IN ('a', 5, TRUE)`,
    `'a' IN (type, source)`,
    `sequence / 2 = 1`,
    `4 / sequence = 1`,
    `type = 'a' OR type = 'b' OR source = 'c'`,
    `(type = 'a' OR type = 'b') AND source = 'c'`,
    'a XOR b XOR c',
    'IS_INT(sequence) AND sequence > 5',
    `LEFT(type, sequence) = 'a'`,
    `LOWER(type) = CONCAT('a', 'b')`,
    'enabled AND EXISTS type',
  ];
  for (const expression of expressions) t.strictSame(compileFilter(expression).warnings, [], expression);
});

t.test('what is allowed and hardly meant gets a warning', async (t) => {
  const mixed = 'AND, OR and XOR bind equally here, from left to right: put what belongs together in parentheses';
  const constant = 'as it looks at no attribute; the name of an attribute has no quotes';
  const cases: Readonly<Record<string, readonly { message: string; position: number }[]>> = {
    'a OR b AND c': [{ message: mixed, position: 7 }],
    'a AND b AND c XOR d OR e': [{ message: mixed, position: 14 }],
    '(a OR b AND c) AND EXISTS d': [{ message: mixed, position: 8 }],
    '"type" = \'a\'': [{ message: `passes no event, ${constant}`, position: 7 }],
    TRUE: [{ message: `passes every event, ${constant}`, position: 0 }],
    "TRUE = 'TRUE'": [{ message: `passes no event, ${constant}`, position: 5 }],
  };
  for (const [expression, warnings] of Object.entries(cases)) {
    t.strictSame(compileFilter(expression).warnings, warnings, expression);
  }
});

t.test('constants within constants are worked out once', async (t) => {
  const nested = `${'ABS('.repeat(200)}-7${')'.repeat(200)}`;
  const expression = Array.from({ length: 60 }, () => `sequence < ${nested}`).join(' AND ');
  t.equal(compileFilter(expression).passes({ sequence: '6' }), true);
  t.equal(compileFilter(expression).passes({ sequence: '7' }), false);
});
