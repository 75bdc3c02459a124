import t from 'tap';
import { isJson, type JsonError, jsonDepthMax, membersOf, membersOfEach } from '../../event/json-slice.ts';
import { named } from './sample.ts';

const valid = [
  ...['0', '-0', '1', '-12', '1.5', '1e400', '1E+2', '1e-2', '0.0e0', '12345678901234567890', '-0.1'],
  ...['""', '"a"', '"\\u0041\\n\\/\\"\\\\"', '"\\ud800"', '"ü😀\u007f"', '"\u2028"'],
  ...['true', 'false', 'null', '[]', '{}', '[1,2]', '[[],[{}]]', '{"a":1,"a":2}', '{"":{"b":[null]}}'],
  ...[' \t\r\n1 \n', '[ 1 , 2 ]', '{ "a" : 1 , "b" : [ ] }'],
];

const invalid = [
  ...['', ' ', '01', '-', '+1', '.5', '1.', '1e', '1e+', '-a', '0x1', 'NaN', 'Infinity', '1 2', '1,'],
  ...['"', '"a', '"\\', '"\\x"', '"\\u12"', '"\\u123g"', '"\n"', '"\t"', '"\u0000"', "'a'", 'a'],
  ...['tru', 'trueish', 'True', 'nul', 'nulll', 'undefined'],
  ...[
    '[',
    ']',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1}',
    '{',
    '}',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
  ],
  ...[
    '{a:1}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{1:2}',
    '{"a":1]',
    '{,}',
    '[1]]',
    '{}{}',
    '/**/1',
    '1//',
    '\ufeff1',
    '\u00a01',
    '\v1',
  ],
];

t.test('the scanner takes what JSON.parse takes, and nothing else', (t) => {
  for (const text of valid) {
    t.doesNotThrow(() => JSON.parse(text), named(text));
    t.ok(isJson(Buffer.from(text)), named(text));
    t.ok(isJson(Buffer.from(`[${text},{"k":${text}}]`)), `within: ${named(text)}`);
  }
  for (const text of invalid) {
    t.throws(() => JSON.parse(text), named(text));
    t.notOk(isJson(Buffer.from(text)), named(text));
    t.notOk(isJson(Buffer.from(`[${text}}`)), `within: ${named(text)}`);
    t.notOk(isJson(Buffer.from(`{"k":${text}]`)), `within: ${named(text)}`);
  }
  t.end();
});

t.test('bytes that are not UTF-8 are refused', (t) => {
  for (const bytes of ['22c322', '22c0a022', '22eda08022', '22f5808080' + '22', 'fffe31']) {
    t.notOk(isJson(Buffer.from(bytes, 'hex')), bytes);
  }
  t.notOk(isJson(Buffer.from('1', 'utf16le')));
  t.end();
});

t.test('members are the exact bytes, duplicates included', (t) => {
  const text = ' { "a" : 1.0e2 ,"\\u0062": [ 1, {"x":"}"} ] , "a":"\\"" , "ü":null,"e":{},"t":true} ';
  const bytes = Buffer.from(text);
  t.same(
    membersOf(bytes).map(({ name, kind, start, end }) => [name, kind, bytes.toString('utf8', start, end)]),
    [
      ['a', 'number', '1.0e2'],
      ['b', 'array', '[ 1, {"x":"}"} ]'],
      ['a', 'string', '"\\""'],
      ['ü', 'null', 'null'],
      ['e', 'object', '{}'],
      ['t', 'boolean', 'true'],
    ],
  );
  t.same(membersOf(Buffer.from('{}')), []);
  const batch = Buffer.from('[{"a":1} ,{ },{"b":[2]}]');
  t.same(
    membersOfEach(batch).map((members) =>
      members.map(({ name, start, end }) => [name, batch.toString('utf8', start, end)]),
    ),
    [[['a', '1']], [], [['b', '[2]']]],
  );
  t.same(membersOfEach(Buffer.from(' [ ] ')), []);
  t.end();
});

t.test('an error says what was seen where, and what was to come', (t) => {
  const cases: [(bytes: Buffer) => unknown, string, string][] = [
    [membersOf, '[1]', '"[" at byte 0, an object was to come'],
    [membersOf, '{"a":1', 'the text ends at byte 6'],
    [membersOf, '{"a":1} x', '"x" at byte 8, the end of the text was to come'],
    [membersOf, '{"a":ü}', '"ü" at byte 5, a value was to come'],
    [membersOf, '{"a":01}', '"1" at byte 6'],
    [membersOf, '{"a":"\\q"}', 'unknown escape in a string at byte 6'],
    [membersOf, '{"a":"\\u00g0"}', '\\u without four hexadecimal digits at byte 6'],
    [membersOfEach, '{"a":1}', '"{" at byte 0, an array was to come'],
    [membersOfEach, '[{},3]', '"3" at byte 4, an object was to come'],
    [membersOfEach, '[{},]', '"]" at byte 4, an object was to come'],
    [membersOfEach, '', 'the text ends at byte 0, an array was to come'],
  ];
  for (const [read, text, message] of cases) {
    t.throws(() => read(Buffer.from(text)), { name: 'JsonError' }, text);
    try {
      read(Buffer.from(text));
    } catch (error) {
      t.match((error as Error).message, message, text);
      t.match(message, `at byte ${(error as JsonError).at}`, text);
    }
  }
  t.end();
});

t.test('values in values are bounded, and no depth overflows the stack', (t) => {
  const nested = (depth: number, open: string, close: string): Buffer =>
    Buffer.from(`${open.repeat(depth)}1${close.repeat(depth)}`);
  t.ok(isJson(nested(jsonDepthMax, '[', ']')));
  t.ok(isJson(nested(jsonDepthMax, '{"a":', '}')));
  t.notOk(isJson(nested(jsonDepthMax + 1, '[', ']')));
  t.notOk(isJson(nested(jsonDepthMax + 1, '{"a":', '}')));
  for (const text of ['['.repeat(100_000), '{"a":'.repeat(100_000), '[{"a":'.repeat(100_000)]) {
    t.throws(() => membersOf(Buffer.from(`{"data":${text}`)), { name: 'JsonError' });
    t.throws(() => membersOfEach(Buffer.from(`[{"data":${text}`)), { name: 'JsonError' });
  }
  t.end();
});
