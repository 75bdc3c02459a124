import t from 'tap';
import { compile } from '../../../broker/filter/cesql/cesql.ts';
import { evaluates, type Row } from './evaluated.ts';

/** CESQL 1.0, 3.5: the built-in functions. */

t.test('LENGTH counts characters', async (t) => {
  evaluates(t, [
    [`LENGTH('')`, 0],
    [`LENGTH('abc')`, 3],
    [`LENGTH('2')`, 1],
    [`LENGTH('äöü')`, 3],
    [`LENGTH('😀😀')`, 2],
    ['LENGTH(TRUE)', 4],
  ]);
});

t.test('CONCAT and CONCAT_WS', async (t) => {
  evaluates(t, [
    ['CONCAT()', ''],
    [`CONCAT('a')`, 'a'],
    [`CONCAT('a', 'b', 'c')`, 'abc'],
    [`CONCAT('a', '', 'c')`, 'ac'],
    [`CONCAT_WS(',')`, ''],
    [`CONCAT_WS(',', 'a')`, 'a'],
    [`CONCAT_WS(',', 'a', 'b', 'c')`, 'a,b,c'],
    [`CONCAT_WS('', 'a', 'b')`, 'ab'],
    [`CONCAT_WS(',', '', '')`, ','],
    ['CONCAT_WS()', false, 'MissingFunctionError'],
  ]);
});

t.test('what CONCAT makes is bounded', async (t) => {
  const text = 'x'.repeat(65_536);
  const times = (count: number) => `LENGTH(CONCAT(${Array.from({ length: count }, () => 'text').join()}))`;
  evaluates(
    t,
    [
      [times(16), 1_048_576],
      [times(17), 0, 'FunctionEvaluationError'],
      [`LENGTH(CONCAT_WS(text, ${Array.from({ length: 17 }, () => "''").join()}))`, 1_048_576],
      [`LENGTH(CONCAT_WS(text, ${Array.from({ length: 18 }, () => "''").join()}))`, 0, 'FunctionEvaluationError'],
    ],
    { text },
  );
});

t.test('LOWER and UPPER', async (t) => {
  evaluates(t, [
    [`LOWER('ABC')`, 'abc'],
    [`LOWER('AbC')`, 'abc'],
    [`LOWER('abc1_')`, 'abc1_'],
    [`UPPER('ABC')`, 'ABC'],
    [`UPPER('AbC')`, 'ABC'],
    [`UPPER('äß')`, 'ÄSS'],
    [`LOWER('Ä')`, 'ä'],
  ]);
});

t.test('TRIM takes away what Unicode calls white space, at both ends', async (t) => {
  const white = [...'\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2005\u200a\u2028\u2029\u202f\u205f\u3000'];
  const other = [...'\u0000\u0007\u001b\u001f\u007f\u0080\u180e\u200b\u2060\ufeff'];
  evaluates(t, [
    [`TRIM('   a b c   ')`, 'a b c'],
    [`TRIM('   a b c')`, 'a b c'],
    [`TRIM('a b c   ')`, 'a b c'],
    [`TRIM('a b c')`, 'a b c'],
    [`TRIM('   ')`, ''],
    [`TRIM('')`, ''],
    ...white.map((one): Row => [`TRIM('${one}a${one}b${one}')`, `a${one}b`]),
    ...other.map((one): Row => [`TRIM('${one}a${one}')`, `${one}a${one}`]),
  ]);
});

t.test('LEFT and RIGHT', async (t) => {
  evaluates(t, [
    [`LEFT('abc', 2)`, 'ab'],
    [`LEFT('abc', 3)`, 'abc'],
    [`LEFT('abc', 10)`, 'abc'],
    [`LEFT('abc', 2147483647)`, 'abc'],
    [`LEFT('abc', 0)`, ''],
    [`LEFT('', 0)`, ''],
    [`LEFT('', 5)`, ''],
    [`LEFT('😀ä😀', 2)`, '😀ä'],
    [`LEFT('abc', -2)`, 'abc', 'FunctionEvaluationError'],
    [`LEFT('', -1)`, '', 'FunctionEvaluationError'],
    [`RIGHT('abc', 2)`, 'bc'],
    [`RIGHT('abc', 3)`, 'abc'],
    [`RIGHT('abc', 10)`, 'abc'],
    [`RIGHT('abc', 0)`, ''],
    [`RIGHT('', 0)`, ''],
    [`RIGHT('😀ä😀', 2)`, 'ä😀'],
    [`RIGHT('abc', -2)`, 'abc', 'FunctionEvaluationError'],
    [`RIGHT('abc', -2147483648)`, 'abc', 'FunctionEvaluationError'],
  ]);
});

t.test('SUBSTRING to the end', async (t) => {
  evaluates(t, [
    [`SUBSTRING('abcdef', 1)`, 'abcdef'],
    [`SUBSTRING('abcdef', 2)`, 'bcdef'],
    [`SUBSTRING('abcdef', 6)`, 'f'],
    [`SUBSTRING('Sakila', -3)`, 'ila'],
    [`SUBSTRING('abcdef', -1)`, 'f'],
    [`SUBSTRING('abcdef', -6)`, 'abcdef'],
    [`SUBSTRING('abcdef', 0)`, ''],
    [`SUBSTRING('', 0)`, ''],
    [`SUBSTRING('😀ä😀', 2)`, 'ä😀'],
    [`SUBSTRING('😀ä😀', -2)`, 'ä😀'],
    [`SUBSTRING('abcdef', 7)`, '', 'FunctionEvaluationError'],
    [`SUBSTRING('abcdef', -7)`, '', 'FunctionEvaluationError'],
    [`SUBSTRING('😀', 2)`, '', 'FunctionEvaluationError'],
    [`SUBSTRING('', 1)`, '', 'FunctionEvaluationError'],
  ]);
});

t.test('SUBSTRING of a length', async (t) => {
  evaluates(t, [
    [`SUBSTRING('abcdef', 1, 6)`, 'abcdef'],
    [`SUBSTRING('abcdef', 2, 4)`, 'bcde'],
    [`SUBSTRING('Sakila', -5, 3)`, 'aki'],
    [`SUBSTRING('abcdef', 3, 0)`, ''],
    [`SUBSTRING('abcdef', 5, 10)`, 'ef'],
    [`SUBSTRING('abcdef', -2, 2147483647)`, 'ef'],
    [`SUBSTRING('abcdef', 0, 3)`, ''],
    [`SUBSTRING('😀ä😀', 2, 1)`, 'ä'],
    [`SUBSTRING('abcdef', 7, 1)`, '', 'FunctionEvaluationError'],
    [`SUBSTRING('abcdef', -7, 1)`, '', 'FunctionEvaluationError'],
    [`SUBSTRING('abcdef', 2, -1)`, '', 'FunctionEvaluationError'],
    [`SUBSTRING('abcdef', 0, -1)`, '', 'FunctionEvaluationError'],
  ]);
});

t.test('ABS', async (t) => {
  evaluates(t, [
    ['ABS(10)', 10],
    ['ABS(-10)', 10],
    ['ABS(0)', 0],
    ['ABS(-2147483647)', 2_147_483_647],
    ['ABS(-2147483648)', 2_147_483_647, 'MathError'],
  ]);
});

t.test('a function that is not there is FALSE and an error', async (t) => {
  evaluates(t, [
    ['NOSUCH()', false, 'MissingFunctionError'],
    ['NOSUCH(1, 2)', false, 'MissingFunctionError'],
    ['IS_STRING(1)', false, 'MissingFunctionError'],
    [`LENGTH('a', 'b')`, false, 'MissingFunctionError'],
    ['LENGTH()', false, 'MissingFunctionError'],
    [`SUBSTRING('abc')`, false, 'MissingFunctionError'],
    [`SUBSTRING('abc', 1, 2, 3)`, false, 'MissingFunctionError'],
    ['1 + NOSUCH()', 0, 'MissingFunctionError'],
    ['NOT NOSUCH()', false, 'MissingFunctionError'],
    ['CONSTRUCTOR()', false, 'MissingFunctionError'],
  ]);
});

t.test('thousands of arguments', async (t) => {
  const expression = `LENGTH(CONCAT(${Array.from({ length: 15_000 }, () => `'a'`).join()}))`;
  t.same(compile(expression).evaluate({}), { value: 15_000, errors: [] });
});
