import t from 'tap';
import { CesqlSyntaxError, compile, compileFilter } from '../../../broker/filter/cesql/cesql.ts';

/** What is no expression: where it goes wrong, and what would be right. */

function refusalOf(expression: string): CesqlSyntaxError {
  try {
    compile(expression);
  } catch (error) {
    if (error instanceof CesqlSyntaxError) return error;
    throw error;
  }
  throw new Error(`compiled: ${expression}`);
}

const value = 'expected an attribute, a literal or a function';
const operator = 'expected an operator or the end';
const integer = 'expected an Integer from -2147483648 to 2147483647';

const cases: readonly (readonly [expression: string, position: number, problem: string])[] = [
  ['', 0, `${value}, found the end`],
  [' \n\t', 3, `${value}, found the end`],
  ['NOT', 3, `${value}, found the end`],
  ['- ', 2, `${value}, found the end`],
  ['type =', 6, `${value}, found the end`],
  ['type = AND', 7, `${value}, found AND`],
  ['and type', 0, `${value}, found and`],
  ['LIKE', 0, `${value}, found LIKE`],
  ['in (1)', 0, `${value}, found in`],
  ['* 2', 0, `${value}, found *`],
  ['2 * / 3', 4, `${value}, found /`],
  ['a b', 2, `${operator}, found b`],
  ['1 2', 2, `${operator}, found 2`],
  [`a 'AND' b`, 2, `${operator}, found 'AND'`],
  [`'a' 'b'`, 4, `${operator}, found 'b'`],
  ['a EXISTS b', 2, `${operator}, found EXISTS`],
  ['a, b', 1, `${operator}, found ,`],
  ['1)', 1, 'expected a ( before this ), found )'],
  ['(1', 2, 'expected an operator or ), found the end'],
  ['(1 2)', 3, 'expected an operator or ), found 2'],
  ['()', 1, `${value}, found )`],
  ['ABC(', 4, `${value}, found the end`],
  ['ABC(1', 5, 'expected an operator, a comma or ), found the end'],
  ['ABC(1,)', 6, `${value}, found )`],
  ['ABC(,1)', 4, `${value}, found ,`],
  ['ABC(1 2)', 6, 'expected an operator, a comma or ), found 2'],
  ['x IN', 4, 'expected ( and the elements of a set after IN, found the end'],
  ['x IN 5', 5, 'expected ( and the elements of a set after IN, found 5'],
  ['x IN ()', 6, `${value}, found )`],
  ['x IN (1;2)', 7, '; (U+003B) has no meaning outside of a string'],
  ['x LIKE 123', 7, 'expected a pattern in quotes after LIKE, found 123'],
  ['x LIKE y', 7, 'expected a pattern in quotes after LIKE, found y'],
  [`x LIKE ('a')`, 7, 'expected a pattern in quotes after LIKE, found ('],
  [`x LIKE CONCAT('a')`, 7, 'expected a pattern in quotes after LIKE, found CONCAT'],
  ['x NOT', 5, 'expected LIKE or IN after NOT, found the end'],
  ['x NOT = 5', 6, 'expected LIKE or IN after NOT, found ='],
  [`x NOT NOT LIKE 'a'`, 6, 'expected LIKE or IN after NOT, found NOT'],
  ['EXISTS', 6, 'expected the name of an attribute after EXISTS, found the end'],
  [`EXISTS 'x'`, 7, `expected the name of an attribute after EXISTS, found 'x'`],
  ['EXISTS (x)', 7, 'expected the name of an attribute without parentheses after EXISTS, found ('],
  ['EXISTS and', 7, 'expected the name of an attribute after EXISTS, found and'],
  ['EXISTS my_ext', 7, 'expected the name of an attribute after EXISTS, found my_ext'],
  ['my_ext = 1', 0, 'expected the name of an attribute, of letters and digits, found my_ext'],
  ['1 + ABC_', 4, 'expected the name of an attribute, of letters and digits, found ABC_'],
  ['ABC1(2)', 0, 'expected the name of a function, of letters and _, found ABC1'],
  ['_A(2)', 0, 'expected the name of a function, of letters and _, found _A'],
  ['1(2)', 1, `${operator}, found (`],
  ['TRUE()', 4, `${operator}, found (`],
  ['+ 5', 2, 'expected digits right after +, found 5'],
  ['+x', 1, 'expected digits right after +, found x'],
  ['+', 1, 'expected digits right after +, found the end'],
  ['1 + + 1', 6, 'expected digits right after +, found 1'],
  ['2147483648', 0, `${integer}, found 2147483648`],
  ['x = -2147483649', 4, `${integer}, found -2147483649`],
  ['- 2147483648', 2, `${integer}, found 2147483648`],
  ['0 -2147483648', 3, `${integer}, found 2147483648`],
  ['+99999999999999999999', 0, `${integer}, found +99999999999999999999`],
  [`'abc`, 0, `expected a ' that ends this string, found none; within it, \\' stands for '`],
  [`x = "abc'`, 4, `expected a " that ends this string, found none; within it, \\" stands for "`],
  [`'abc\\'`, 0, `expected a ' that ends this string, found none; within it, \\' stands for '`],
  [`'it''s'`, 3, `expected \\' for a ' within a string, found ''`],
  [`"a""b"`, 2, `expected \\" for a " within a string, found ""`],
  ['type == 1', 5, 'expected =, found =='],
  ['a && b', 2, 'expected AND, found &&'],
  ['a || b', 2, 'expected OR, or the function CONCAT for strings, found ||'],
  ['!a', 0, 'expected NOT, or != between two values, found !'],
  ['`a`', 0, `expected the name of an attribute without quotes, or a string in ' or ", found \``],
  ['a.b', 1, '. (U+002E) has no meaning outside of a string'],
  ['ä', 0, 'ä (U+00E4) has no meaning outside of a string'],
  ['1 +\u00a02', 3, 'the character U+00A0 has no meaning outside of a string'],
  ['1 \f', 2, 'the character U+000C has no meaning outside of a string'],
  ['😀', 0, '😀 (U+1F600) has no meaning outside of a string'],
  ['\ud83d', 0, 'the character U+D83D has no meaning outside of a string'],
  ['a = \u0000', 4, 'the character U+0000 has no meaning outside of a string'],
  ['ſ', 0, 'ſ (U+017F) has no meaning outside of a string'],
  ['1 -- a comment', 7, `${operator}, found comment`],
];

t.test('what is no expression is refused, with the place and what would be right there', async (t) => {
  for (const [expression, position, problem] of cases) {
    const { position: found, problem: said, kind } = refusalOf(expression);
    t.strictSame([found, said, kind], [position, problem, 'ParseError'], JSON.stringify(expression));
  }
});

t.test('the place is also told as a line and a column', async (t) => {
  const error = refusalOf(`type = 'a'\n  AND\r\n  source ==\n'b'`);
  t.match(error, {
    name: 'CesqlSyntaxError',
    position: 27,
    line: 3,
    column: 10,
    problem: 'expected =, found ==',
    message: 'expected =, found == (line 3, column 10)',
  });
});

t.test('whatever goes a long way down is refused before the stack ends', async (t) => {
  const [count, half] = [10_000, 5_000];
  const deep: Readonly<Record<string, string>> = {
    parentheses: `${'('.repeat(count)}1${')'.repeat(count)}`,
    'parentheses that are not closed': '('.repeat(count),
    calls: 'f('.repeat(count),
    'calls that are closed': `${'LOWER('.repeat(half)}''${')'.repeat(half)}`,
    NOT: `${'NOT '.repeat(count)}TRUE`,
    minus: `${'-'.repeat(count)}x`,
    comparisons: `1${' = 1'.repeat(count)}`,
    sums: `1${' + 1'.repeat(count)}`,
    LIKE: `x${` LIKE 'a'`.repeat(half)}`,
    IN: `x${' IN (1)'.repeat(half)}`,
    sets: '1 IN ('.repeat(half),
    'a sum to the left in a sum to the left': `${'('.repeat(200)}1${`${' + 1'.repeat(200)})`.repeat(50)}`,
    'to the right': `1${' + (1'.repeat(count)}`,
  };
  for (const [name, expression] of Object.entries(deep)) {
    const { problem, position } = refusalOf(expression);
    t.equal(problem, 'nested more than 256 deep', name);
    t.ok(position > 255 && position < 3_000, `${name}: at ${position}`);
  }
});

t.test('what people write is not too deep', async (t) => {
  const chain = `type = 'a'${` OR type = 'b'`.repeat(4_000)}`;
  t.same(compile(chain).evaluate({ type: 'b' }), { value: true, errors: [] });
  t.equal(compileFilter(chain).passes({ type: 'c' }), false);
  t.equal(compile(`${'('.repeat(255)}1${')'.repeat(255)}`).evaluate({}).value, 1);
  t.equal(compile(`1${' + 1'.repeat(255)}`).evaluate({}).value, 256);
  t.equal(compile(`${'NOT '.repeat(254)}TRUE`).evaluate({}).value, true);
  const set = Array.from({ length: 5_000 }, (_, n) => `'type${n}'`).join();
  t.equal(compile(`type IN (${set})`).evaluate({ type: 'type4999' }).value, true);
});

t.test('an expression has a bound', async (t) => {
  t.equal(compile(`'${'x'.repeat(65_534)}'`).evaluate({}).value, 'x'.repeat(65_534));
  t.match(refusalOf(`'${'x'.repeat(65_535)}'`), {
    position: 65_536,
    problem: 'expected at most 65536 characters, found 65537',
  });
});

t.test('what is no string is the mistake of a caller', async (t) => {
  for (const wrong of [undefined, null, 5, {}]) {
    t.throws(() => compile(wrong as never), { name: 'TypeError', message: /a CESQL expression is a string/ });
  }
});
