import t from 'tap';
import { refusalOf } from './judged.ts';

/** Each with the character where it goes wrong, from 0. */
const refused: Readonly<Record<string, string>> = {
  '': '0: an expression is wanted, like data.amount > 100',
  '  ': '0: an expression is wanted, like data.amount > 100',
  'data.amount >': '13: the expression ends where a value is wanted',
  'data.amount = 1': '12: unexpected =; write == to compare',
  'data.amount > 1 AND data.paid': '16: unexpected AND; write &&',
  'data.amount > 1 or data.paid': '16: unexpected or; write ||',
  'data.amount > 1 )': '16: unexpected )',
  'data.amount > 1 data': '16: unexpected data',
  "data.a == 'x": '10: unterminated string',
  'dta.amount > 1': '0: unknown variable dta; did you mean data?',
  'amount > 1': '0: unknown variable amount; known here: data, event',
  'data.a.startWith("x")': '0: unknown function startWith; did you mean startsWith?',
  'lower(data.a) == "x"': /^0: unknown function lower; known here: all, bool, contains, .* upperAscii$/.source,
  'startsWith(data.a, "x")': '0: startsWith is called on a value, like data.field.startsWith(…)',
  'data.a.int() == 1': '0: int is called with its value, like int(data.field)',
  'data.a.contains()': '0: contains takes 1 argument, found 0',
  'data.a.exists(true)': '0: exists takes 2 arguments, found 1',
  'data.a.map(x, x, x, x)': '0: map takes 2 or 3 arguments, found 4',
  'data.has(x)': '0: has() takes a field, like has(data.field)',
  'data.a.matches()': "0: matches takes a text and a pattern, like data.field.matches('^a')",
  'has(data)': '0: has() takes a field, like has(data.field)',
  'data.a.matches(data.b)': '15: the pattern of matches must be a text in quotes',
  "data.a.matches('(')": /^15: the pattern of matches is no regular expression of RE2: .*missing closing \).*$/.source,
  "data.a.matches('(?=a)')": /^15: the pattern of matches is no regular expression of RE2: .*$/.source,
  "data.a.contains('a').startsWith('b')": "0: found no matching overload for 'bool.startsWith(string)'",
  "data.a == b'x'": '10: there are no bytes here: JSON has none',
  'data.a == 9223372036854775808':
    '10: 9223372036854775808 is out of range: from -9223372036854775808 to 9223372036854775807',
  "1 + 'a' == data.a": '0: no such overload: int + string',
  'event.type > 1': '0: no such overload: string > int',
  'size(data.a) + 1': '0: must be true or false for each event, this is of type int',
  "'x'": '0: must be true or false for each event, this is of type string',
  "timestamp('2026-01-31') < timestamp(data.t)": '0: timestamp() wants a time of RFC 3339, like 2026-01-31T12:00:00Z',
  "duration('1 h') < duration('2h')": '0: duration() wants a number with a unit (h, m, s, ms, us, ns), like 1h30m',
  "int('x') == data.n": '0: int() wants digits',
  '1 + [][data] == 1': '0: the types of the expression can not be told; write it more simply',
  'cel.bind(x, data.a, x)': /^\d+: unknown function bind; .*$/.source,
};

t.test('what cannot be meant is refused, with its place and what would be right', async (t) => {
  for (const [expression, refusal] of Object.entries(refused)) {
    if (refusal.startsWith('^')) t.match(refusalOf(expression), new RegExp(refusal), expression);
    else t.equal(refusalOf(expression), refusal, expression);
  }
});

t.test('what may be meant is taken', async (t) => {
  for (const expression of [
    'data',
    'data.paid',
    '!data.paid',
    'data.a / 2 == 1.5 && data.a * 2 > 1.5 && 1 == 1.0',
    'data.a == null || data.b == [] || data.c == {}',
    `data.x in ['a', 1, null]`,
    'true // always',
    `data.a ==\n\n  'x'`,
    `data.s == r'\\d' || data.s == """a"b""" || data.s == 'it\\'s'`,
  ]) {
    t.equal(refusalOf(expression), '', expression);
  }
});
