import t from 'tap';
import { evaluates } from './evaluated.ts';

/** CESQL 1.0, 3.7: casts, explicit by functions and implicit by operators. */

t.test('to Integer', async (t) => {
  evaluates(t, [
    ['INT(5)', 5],
    ['INT(TRUE)', 1],
    ['INT(FALSE)', 0],
    [`INT('1')`, 1],
    [`INT('-1')`, -1],
    [`INT('+1')`, 1],
    [`INT('007')`, 7],
    [`INT('-0')`, 0],
    [`INT('2147483647')`, 2_147_483_647],
    [`INT('-2147483648')`, -2_147_483_648],
    ...[
      '2147483648',
      '-2147483649',
      '99999999999999999999999',
      '',
      ' 1',
      '1 ',
      '1.0',
      '1e3',
      '0x10',
      '1_000',
      '+-1',
      '-',
      'abc',
      'true',
      '٣',
    ].map((text) => [`INT('${text}')`, 0, 'CastError'] as const),
  ]);
});

t.test('to Boolean', async (t) => {
  evaluates(t, [
    ['BOOL(TRUE)', true],
    ['BOOL(FALSE)', false],
    ['BOOL(0)', false],
    ['BOOL(1)', true],
    ['BOOL(100)', true],
    ['BOOL(-50)', true],
    [`BOOL('true')`, true],
    [`BOOL('TRUE')`, true],
    [`BOOL('tRuE')`, true],
    [`BOOL('false')`, false],
    [`BOOL('FALSE')`, false],
    ...['', '1', '0', 't', 'yes', ' true', 'truefalse', 'falſe'].map(
      (text) => [`BOOL('${text}')`, false, 'CastError'] as const,
    ),
  ]);
});

t.test('to String', async (t) => {
  evaluates(t, [
    [`STRING('abc')`, 'abc'],
    ['STRING(1)', '1'],
    ['STRING(-1)', '-1'],
    ['STRING(007)', '7'],
    ['STRING(-0)', '0'],
    ['STRING(-2147483648)', '-2147483648'],
    ['STRING(TRUE)', 'true'],
    ['STRING(FALSE)', 'false'],
  ]);
});

t.test('whether a cast would be without error', async (t) => {
  evaluates(t, [
    [`IS_INT('-12')`, true],
    [`IS_INT('12a')`, false],
    [`IS_INT('2147483648')`, false],
    ['IS_INT(5)', true],
    ['IS_INT(TRUE)', true],
    [`IS_BOOL('False')`, true],
    [`IS_BOOL('no')`, false],
    ['IS_BOOL(FALSE)', true],
    ['IS_BOOL(2)', true],
  ]);
});

t.test('operators and functions cast their operands without being asked', async (t) => {
  evaluates(
    t,
    [
      ['LENGTH(TRUE)', 4],
      ['LENGTH(-12)', 3],
      ['CONCAT(1, TRUE, "x")', '1truex'],
      [`LEFT(12345, '2')`, '12'],
      [`LEFT('abc', TRUE)`, 'a'],
      [`ABS('-3')`, 3],
      ['UPPER(FALSE)', 'FALSE'],
      // sequence is cast to Integer, and the sum to String.
      ['LENGTH(sequence + 10)', 2],
      ['sequence = 10', true],
      ['10 = sequence', true],
      [`LEFT('abc', 'x')`, '', 'CastError'],
      [`LEFT('abc', 'x') = 'abc'`, false, 'CastError'],
      [`ABS('x')`, 0, 'CastError'],
    ],
    { sequence: '10' },
  );
});
