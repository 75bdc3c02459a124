import t from 'tap';
import { type Expression, parse, print } from '../../../broker/filter/cesql/cesql.ts';

t.test('an expression is printed in one form, with the parentheses that it needs', async (t) => {
  const cases: Readonly<Record<string, string>> = {
    ' type=\'a\'and Source like "/x/%" ': "type = 'a' AND source LIKE '/x/%'",
    'a <> 1': 'a != 1',
    '(a OR b) AND c': '(a OR b) AND c',
    '((a) OR (b AND c))': 'a OR (b AND c)',
    'a OR b AND c': 'a OR b AND c',
    'NOT (a = b)': 'NOT (a = b)',
    '(NOT a) = b': 'NOT a = b',
    '(1 - 2) - 3': '1 - 2 - 3',
    '1 - (2 - 3)': '1 - (2 - 3)',
    '(1 + 2) * 3': '(1 + 2) * 3',
    '1 + (2 * 3)': '1 + 2 * 3',
    '- 5': '-(5)',
    '-5': '-5',
    '4 -1': '4 - 1',
    '4--1': '4 - -1',
    '-x': '-x',
    "(a LIKE 'x') IN (true)": "a LIKE 'x' IN (TRUE)",
    "(a IN (1)) LIKE 'x'": "(a IN (1)) LIKE 'x'",
    "a not like 'x' and b Not In (1,2 ,3)": "a NOT LIKE 'x' AND b NOT IN (1, 2, 3)",
    'exists A': 'EXISTS a',
    'left(a,1)': 'LEFT(a, 1)',
    'concat()': 'CONCAT()',
    '"it\'s"': "'it\\'s'",
  };
  for (const [expression, printed] of Object.entries(cases)) t.equal(print(parse(expression)), printed, expression);
});

t.test('a String is printed as it was read, whatever backslashes and quotes it has', async (t) => {
  for (const written of [
    `'a\\b'`,
    `'a\\\\'`,
    `'\\\\\\''`,
    `"\\'"`,
    `'\\"'`,
    `"\\'\\\\"`,
    `'\\"\\\\'`,
    `'\\a\\'\\"'`,
    `"a'b"`,
    `'a"b'`,
    `'\\\\\\\\'`,
  ]) {
    const { value } = parse(written) as { value?: string };
    t.equal((parse(print(parse(written))) as { value?: string }).value, value, written);
  }
});

t.test('a String that no literal stands for is not printed', async (t) => {
  for (const value of ['\\', 'a\\', '\\\\\\', `\\' and \\"`]) {
    const tree: Expression = { kind: 'literal', value, position: 0 };
    t.throws(() => print(tree), { name: 'TypeError', message: /no CESQL literal stands for the string/ }, value);
  }
});
