import t from 'tap';
import { evaluates } from './evaluated.ts';

/** CESQL 1.0, 3.4 and 3.6: operators, how they bind, and what they leave out. */

t.test('NOT', async (t) => {
  evaluates(t, [
    ['NOT TRUE', false],
    ['NOT FALSE', true],
    ['NOT NOT TRUE', true],
    [`NOT 'True'`, false],
    [`NOT 'false'`, true],
    ['NOT 0', true],
    ['NOT 10', false],
    ['NOT -1', false],
    [`NOT 'yes'`, false, 'CastError'],
    [`NOT ''`, false, 'CastError'],
  ]);
});

t.test('the minus of one operand', async (t) => {
  evaluates(t, [
    ['- 5', -5],
    ['--5', 5],
    ['- -5', 5],
    ['---5', -5],
    ['-(5)', -5],
    [`-'10'`, -10],
    [`--'10'`, 10],
    [`-'-10'`, 10],
    ['-TRUE', -1],
    ['-FALSE', 0],
    [`-'x'`, 0, 'CastError'],
    ['--2147483648', 0, 'MathError'],
    ['-(-2147483647)', 2_147_483_647],
  ]);
});

t.test('AND, OR and XOR', async (t) => {
  evaluates(t, [
    ['FALSE AND FALSE', false],
    ['FALSE AND TRUE', false],
    ['TRUE AND FALSE', false],
    ['TRUE AND TRUE', true],
    ['FALSE OR FALSE', false],
    ['FALSE OR TRUE', true],
    ['TRUE OR FALSE', true],
    ['TRUE OR TRUE', true],
    ['FALSE XOR FALSE', false],
    ['FALSE XOR TRUE', true],
    ['TRUE XOR FALSE', true],
    ['TRUE XOR TRUE', false],
    [`'TRUE' AND 5`, true],
    [`0 OR 'false'`, false],
    [`1 XOR 'true'`, false],
    [`TRUE AND 'x'`, false, 'CastError'],
    [`'x' OR TRUE`, false, 'CastError'],
    [`TRUE XOR 'x'`, false, 'CastError'],
  ]);
});

t.test('AND and OR leave their right operand out where the left one decides', async (t) => {
  evaluates(t, [
    ['FALSE AND (1 / 0 = 1)', false],
    ['TRUE AND (1 / 0 != 1)', false, 'MathError'],
    ['TRUE OR (1 / 0 = 1)', true],
    ['FALSE OR (1 / 0 != 1)', false, 'MathError'],
    ['FALSE AND missing', false],
    ['TRUE OR missing', true],
    ['TRUE OR NOSUCHFUNCTION()', true],
    // XOR needs both.
    ['FALSE XOR (1 / 0 = 1)', false, 'MathError'],
    ['TRUE XOR (1 / 0 = 1)', false, 'MathError'],
    // Within a chain, only that operand is left out.
    ['FALSE AND missing OR TRUE', true],
    ['TRUE OR missing AND FALSE', false],
    ['TRUE OR missing XOR TRUE', false],
  ]);
});

t.test('= and != compare values of one type, to which the left one is cast by the right one', async (t) => {
  evaluates(t, [
    ['TRUE = TRUE', true],
    ['TRUE = FALSE', false],
    ['2 = 2', true],
    ['2 = 3', false],
    [`'abc' = 'abc'`, true],
    [`'abc' = 'ABC'`, false],
    [`'abc' = 'abd'`, false],
    ['TRUE != FALSE', true],
    ['TRUE != TRUE', false],
    ['2 != 3', true],
    ['2 != 2', false],
    [`'a' != 'b'`, true],
    [`'a' != 'A'`, true],
    [`'a' != 'a'`, false],
    ['2 <> 3', true],
    ['2 <> 2', false],
    [`'a' <> 'b'`, true],
    ['TRUE <> TRUE', false],
    // String by the right operand.
    [`TRUE = 'true'`, true],
    [`TRUE = 'TRUE'`, false],
    [`FALSE = "false"`, true],
    [`TRUE = "true" AND FALSE = "false"`, true],
    [`TRUE = "TRUE" OR FALSE = "FALSE"`, false],
    [`5 = '5'`, true],
    [`5 = '05'`, false],
    // Boolean by the right operand.
    [`'TRUE' = TRUE`, true],
    [`'false' = FALSE`, true],
    ['7 = TRUE', true],
    ['0 = FALSE', true],
    [`'x' = TRUE`, false, 'CastError'],
    // Integer by the right operand.
    [`'05' = 5`, true],
    ['TRUE = 1', true],
    [`'x' = 0`, false, 'CastError'],
    [`'x' != 0`, false, 'CastError'],
  ]);
});

t.test('the other comparisons are of Integers', async (t) => {
  evaluates(t, [
    ['1 < 2', true],
    ['2 < 2', false],
    ['2 <= 2', true],
    ['3 <= 2', false],
    ['2 > 1', true],
    ['2 > 2', false],
    ['2 >= 2', true],
    ['2 >= 3', false],
    ['-2147483648 < 2147483647', true],
    [`'9' < '10'`, true],
    [`'10' > 9`, true],
    ['FALSE < TRUE', true],
    [`'a' < 'b'`, false, 'CastError', 'CastError'],
    [`'a' >= 1`, false, 'CastError'],
  ]);
});

t.test('arithmetic is of Integers', async (t) => {
  evaluates(t, [
    ['4 + 1', 5],
    ['-4 + 1', -3],
    ['-4 + -1', -5],
    ['4 - 1', 3],
    ['-4 - 1', -5],
    ['4 * 3', 12],
    ['-4 * 3', -12],
    ['0 * -3', 0],
    ['5 / 3', 1],
    ['-5 / 3', -1],
    ['5 / -3', -1],
    ['-5 / -3', 1],
    ['-1 / 3', 0],
    ['5 % 3', 2],
    ['-5 % 3', -2],
    ['5 % -3', 2],
    ['-5 % -3', -2],
    ['-6 % 3', 0],
    ['-2147483648 % -1', 0],
    [`'5' + 3`, 8],
    [`5 + '3'`, 8],
    [`'5' + '3'`, 8],
    ['5 + TRUE', 6],
    [`'5x' + 10`, 0, 'CastError'],
  ]);
});

t.test('what has no result, or none of 32 bits, is 0 with a MathError', async (t) => {
  evaluates(t, [
    ['5 / 0', 0, 'MathError'],
    ['0 / 0', 0, 'MathError'],
    ['5 % 0', 0, 'MathError'],
    ['2147483647 + 1', 0, 'MathError'],
    ['-2147483648 - 1', 0, 'MathError'],
    ['65536 * 65536', 0, 'MathError'],
    ['-2147483648 * -2147483648', 0, 'MathError'],
    ['-2147483648 / -1', 0, 'MathError'],
    ['2147483646 + 1', 2_147_483_647],
    ['-65536 * 32768', -2_147_483_648],
  ]);
});

t.test('IN casts the elements by the left operand', async (t) => {
  evaluates(
    t,
    [
      ['3 IN (1, 2, 3)', true],
      ['4 IN (1, 2, 3)', false],
      ['3 NOT IN (1, 2, 3)', false],
      ['4 NOT IN (1, 2, 3)', true],
      [`'a' IN ('a', "b")`, true],
      [`'A' IN ('a', 'b')`, false],
      ['TRUE IN (TRUE, FALSE)', true],
      ['TRUE IN (FALSE)', false],
      ['1 IN (1)', true],
      [`'true' IN (TRUE)`, true],
      [`'TRUE' IN (TRUE)`, false],
      [`'true' IN ('TRUE')`, false],
      [`TRUE IN ('tRUE')`, true],
      [`1 IN ('01')`, true],
      [`'1' IN (1)`, true],
      [`'01' IN (1)`, false],
      [`TRUE IN (7)`, true],
      [`1 IN (TRUE)`, true],
      // A set may hold any expressions.
      [`source IN (subject, 'x')`, true],
      [`source IN ('x', CONCAT('/s', 'hop'))`, true],
      ['3 IN (1 + 1, 1 + 2)', true],
      [`source IN (id)`, false],
      [`1 IN ('x', 1)`, false, 'CastError'],
      [`1 IN ('x', 'y')`, false, 'CastError', 'CastError'],
      [`1 NOT IN ('x')`, false, 'CastError'],
      [`1 IN (source, 1)`, false, 'CastError'],
      [`1 IN (1 / 0, 1)`, false, 'MathError'],
    ],
    { source: '/shop', subject: '/shop', id: '7' },
  );
});

t.test('a chain of operators of one strength goes from left to right', async (t) => {
  evaluates(t, [
    ['10 - 3 - 2', 5],
    ['10 - (3 - 2)', 9],
    ['100 / 10 / 5', 2],
    ['100 / 10 * 5', 50],
    ['7 * 3 % 4', 1],
    ['7 - 3 + 2', 6],
    ['3 = 3 = TRUE', true],
    ['3 > 2 = 1', true],
    ['1 < 2 < 3', true],
    // AND, OR and XOR are of one strength.
    ['TRUE OR TRUE AND FALSE', false],
    ['TRUE OR (TRUE AND FALSE)', true],
    ['FALSE AND FALSE OR TRUE', true],
    ['FALSE AND (FALSE OR TRUE)', false],
    ['TRUE XOR TRUE AND FALSE', false],
    ['TRUE XOR (TRUE AND FALSE)', true],
    ['TRUE OR FALSE XOR TRUE', false],
    ['TRUE XOR TRUE OR TRUE', true],
  ]);
});

t.test('functions, NOT and minus, LIKE, EXISTS, IN, * / %, + -, comparisons, and then AND OR XOR', async (t) => {
  evaluates(
    t,
    [
      ['2 + 3 * 4', 14],
      ['(2 + 3) * 4', 20],
      ['2 * 3 + 4', 10],
      ['4 * 2 + 4 / 2', 10],
      ['4 * (2 + 4) / 2', 12],
      ['10 - 4 % 3', 9],
      ['1 + 1 = 2', true],
      ['2 = 1 + 1', true],
      ['3 > 2 AND 2 > 3', false],
      ['1 = 1 XOR 2 = 2', false],
      // NOT and minus bind tighter than everything but functions.
      ['NOT FALSE = FALSE', false],
      ['NOT (FALSE = FALSE)', false],
      ['NOT TRUE = FALSE', true],
      [`NOT TRUE LIKE 'false'`, true],
      [`NOT 'true' IN (FALSE)`, true],
      ['NOT FALSE AND FALSE', false],
      ['NOT (FALSE AND FALSE)', true],
      ['NOT EXISTS subject', false],
      ['-2 + 5', 3],
      ['- 2 * 3', -6],
      [`-'2' LIKE '-2'`, true],
      ['-ABS(-5)', -5],
      ['NOT BOOL(0)', true],
      // LIKE and IN bind tighter than arithmetic.
      [`2 + 3 LIKE '3'`, 3],
      [`2 * 3 IN (3)`, 2],
      [`'a' LIKE 'a' IN (TRUE)`, true],
      [`'a' IN ('a') LIKE 'true'`, true],
      [`TRUE = 'a' LIKE 'a'`, true],
      ['EXISTS subject = TRUE', true],
      [`EXISTS subject IN ('true')`, true],
      [`EXISTS subject LIKE 'tr%'`, true],
      // An operator of one operand may stand after any other.
      ['2 * -3', -6],
      ['2 - -3', 5],
      ['TRUE = NOT FALSE', true],
      ['1 + NOT TRUE', 1],
      ['TRUE AND NOT FALSE', true],
    ],
    { subject: 's' },
  );
});

t.test('a sign after an operand is an operator, whatever the spaces say', async (t) => {
  evaluates(
    t,
    [
      ['4 -1', 3],
      ['4-1', 3],
      ['4 - 1', 3],
      ['4 +1', 5],
      ['4+1', 5],
      ['4 --1', 5],
      ['4--1', 5],
      ['4 -+1', 3],
      ['4 ++1', 5],
      ['hop -1', 4],
      ['hop-1', 4],
      ['(4) -1', 3],
      [`'4' -1`, 3],
      ['ABS(4) -1', 3],
      ['TRUE -1', 0],
      ['1a -1', 1],
      ['4 -1a', 2],
      ['-1a', -2],
    ],
    { hop: '5', '1a': '2' },
  );
});

t.test('parentheses are only parentheses', async (t) => {
  evaluates(t, [
    ['(TRUE)', true],
    [`((('a')))`, 'a'],
    ['(1) + (2)', 3],
    [`('a') LIKE 'a'`, true],
    [`(1) IN ((1))`, true],
    ['-(-(5))', 5],
  ]);
});
