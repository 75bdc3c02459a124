import t from 'tap';
import { evaluates } from './evaluated.ts';

/** CESQL 1.0, 2.2: value identifiers and literals. */

t.test('Integers have 32 bits and a sign', async (t) => {
  evaluates(t, [
    ['0', 0],
    ['7', 7],
    ['007', 7],
    ['+7', 7],
    ['-7', -7],
    ['-0', 0],
    ['2147483647', 2_147_483_647],
    ['+2147483647', 2_147_483_647],
    ['-2147483648', -2_147_483_648],
    ['000000000000000000000000001', 1],
  ]);
});

t.test('Booleans are written in any case', async (t) => {
  evaluates(t, [
    ['TRUE', true],
    ['true', true],
    ['tRuE', true],
    ['FALSE', false],
    ['false', false],
    ['FaLSe', false],
  ]);
});

t.test('Strings stand between single or double quotes, and keep their case', async (t) => {
  evaluates(t, [
    [`'page'`, 'page'],
    [`"page"`, 'page'],
    [`'PaGe'`, 'PaGe'],
    [`''`, ''],
    [`""`, ''],
    [`'a "b" c'`, 'a "b" c'],
    [`"a 'b' c"`, "a 'b' c"],
    [`'a \\'b\\' c'`, "a 'b' c"],
    [`"a \\"b\\" c"`, 'a "b" c'],
    [`'\\''`, "'"],
    [`'Ä€😀'`, 'Ä€😀'],
    [`'a\tb\nc\r\u0000'`, 'a\tb\nc\r\u0000'],
    [`'TRUE AND FALSE'`, 'TRUE AND FALSE'],
  ]);
});

t.test('a backslash in a String is a backslash, unless the delimiter comes after it', async (t) => {
  evaluates(t, [
    [`'a\\b'`, 'a\\b'],
    [`'a\\\\b'`, 'a\\\\b'],
    [`'\\n'`, '\\n'],
    [`'\\"'`, '\\"'],
    [`"\\'"`, "\\'"],
    // Backslash and character belong together, so the second one escapes nothing.
    [`'a\\\\'`, 'a\\\\'],
    [`'a\\\\\\''`, "a\\\\'"],
  ]);
});

t.test('spaces, tabs and line ends may stand between all parts, and need not where the parts are clear', async (t) => {
  evaluates(t, [
    ['  1  ', 1],
    ['\t1\r\n+\n2\r', 3],
    ['1+2*3', 7],
    [`'a'LIKE'a'`, true],
    [`'a'IN('a')`, true],
    [`NOT(TRUE)`, false],
    [`TRUE=TRUE`, true],
    ["LENGTH ( 'abc' )", 3],
  ]);
});

t.test('keywords, functions and attributes are written in any case', async (t) => {
  evaluates(
    t,
    [
      ['true and false', false],
      ['true Or false', true],
      ['true xOr false', true],
      ['nOt true', false],
      [`'a' lIkE 'a'`, true],
      [`'a' nOt LiKe 'a'`, false],
      [`'a' iN ('a')`, true],
      [`'a' nOt iN ('a')`, false],
      ['eXiStS subject', true],
      ['exists SUBJECT', true],
      [`lEnGtH('abc')`, 3],
      [`concat_ws('-', 'a', 'b')`, 'a-b'],
      ['SUBJECT', 's'],
      ['Subject', 's'],
    ],
    { subject: 's' },
  );
});

t.test('the name of an attribute has letters and digits, in any order', async (t) => {
  evaluates(
    t,
    [
      ['a1', 'one'],
      ['1a', 'two'],
      ['0x1f', 'three'],
      ['12and', 'four'],
      ['EXISTS 123', true],
      ['EXISTS 124', false],
      ['averyverylongextensionname', 'five'],
      ['int', 'six'],
      ['left', 'seven'],
      ['constructor', false, 'MissingAttributeError'],
      ['EXISTS constructor', false],
    ],
    {
      a1: 'one',
      '1a': 'two',
      '0x1f': 'three',
      '12and': 'four',
      averyverylongextensionname: 'five',
      int: 'six',
      left: 'seven',
      '123': '',
    },
  );
});
