import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { parseManifests, triggerFromManifest } from '../../broker/trigger/manifest.ts';
import { readYaml } from '../../broker/trigger/manifest-yaml.ts';
import { type Case, filtersWith, saidOf } from './said-of.ts';

const operator = 'expected an operator or the end, found';

/** Each begins in line 7, and the second `b` of its expression is where it goes wrong. */
const places: readonly Case[] = [
  { name: 'plain', text: '    - cesql: a = b b', said: [`7:20 error spec.filters[0].cesql: ${operator} b`] },
  {
    name: 'plain over two lines',
    text: "    - cesql: a = b\n        AND LENGTH('it''s') = 1",
    said: ["8:23 error spec.filters[0].cesql: expected \\' for a ' within a string, found ''"],
  },
  {
    name: 'single quotes, with quotes doubled as YAML has them',
    text: "    - cesql: 'a = ''x'' b'",
    said: [`7:25 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'single quotes over lines',
    text: "    - cesql: 'a =\n\n        ''x''\n        b'",
    said: [`10:9 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'double quotes',
    text: `    - cesql: "a = 'x' b"`,
    said: [`7:23 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'double quotes with escapes',
    text: '    - cesql: "a\\t= \\"\\x41\\u00e4\\U0001F600\\_\\\\\\\\\\"\\n\\n b b"',
    said: [`7:55 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'double quotes over lines',
    text: '    - cesql: "a = \\\n        1\n\n        b"',
    said: [`10:9 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'a literal block',
    text: '    - cesql: |\n        a = 1\n        AND b\n          b',
    said: [`10:11 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'a folded block with an indent, a comment and empty lines',
    text: '    - cesql: >2- # b b\n        a = 1\n\n\n        AND b b',
    said: [`11:15 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'a block with the line ends of Windows',
    text: '    - cesql: |\r\n        a = 1\r\n        AND b b\r\n',
    said: [`9:15 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'an anchor and a tag before it',
    text: '    - cesql: &wrong !!str "a = b b"',
    said: [`7:34 error spec.filters[0].cesql: ${operator} b`],
  },
  {
    name: 'an alias points at what it repeats',
    text: '    - cesql: &wrong a b\n    - not: { cesql: *wrong }',
    said: [`7:23 error spec.filters[0].cesql: ${operator} b`, `7:23 error spec.filters[1].not.cesql: ${operator} b`],
  },
  {
    name: 'the end of an expression',
    text: '    - cesql: |\n        type =\n\n    - exact: { type: a }',
    said: ['8:15 error spec.filters[0].cesql: expected an attribute, a literal or a function, found the end'],
  },
  {
    name: 'an expression of nothing',
    text: `    - cesql: ""`,
    said: ['7:14 error spec.filters[0].cesql: expected an attribute, a literal or a function, found the end'],
  },
  {
    name: 'within JSON',
    text: `    - {"not":{"cesql":"a = \\"x\\" b"}}`,
    said: [`7:34 error spec.filters[0].not.cesql: ${operator} b`],
  },
];

const refused: readonly Case[] = [
  {
    name: 'no string',
    text: '    - cesql: true',
    said: ['7:14 error spec.filters[0].cesql: must be a string, found the boolean true; write "true"'],
  },
  {
    name: 'what gives no Boolean',
    text: '    - cesql: LENGTH(type)',
    said: ['7:14 error spec.filters[0].cesql: expected an expression that gives a Boolean, this gives Integer'],
  },
  {
    name: 'types that never fit',
    text: `    - cesql: type = 'a' AND time < 'b'`,
    said: [
      '7:36 error spec.filters[0].cesql: the String "b" is no Integer: expected digits with or without a sign, from -2147483648 to 2147483647',
    ],
  },
  {
    name: 'what is allowed and hardly meant is warned of',
    text: `    - cesql: a OR b AND c`,
    said: [
      '7:21 warning spec.filters[0].cesql: AND, OR and XOR bind equally here, from left to right: put what belongs together in parentheses',
    ],
  },
];

t.test('an expression that is refused is pointed at, however YAML has it', async (t) => {
  for (const { name, text, said } of places) t.strictSame(saidOf(filtersWith(text)), said, name);
});

t.test('an expression that can not be meant is refused', async (t) => {
  for (const { name, text, said } of refused) t.strictSame(saidOf(filtersWith(text)), said, name);
});

t.test('an expression is kept as it is', async (t) => {
  const text = filtersWith(`    - cesql: type = 'a'\n    - not: { cesql: "hop < ttl" }`);
  const manifest = parseManifests(text, 'file.yaml').documents[0]?.manifest;
  if (manifest === undefined) throw new Error('refused');
  const identity = { uid: '1', generation: 1, owner: 'test', namespace: 'default' };
  const { filters } = triggerFromManifest(manifest, identity, null);
  t.strictSame(filters, [
    { dialect: 'cesql', expression: "type = 'a'" },
    { dialect: 'not', filter: { dialect: 'cesql', expression: 'hop < ttl' } },
  ]);
});

const character = fc.constantFrom(...'aB7\'"\\ \n\t#:%|>&*-€😀\u0001\u00a0\u2028\u0085');
const styles = ['PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const;

t.test('each character that is no white space is found where it was typed', async (t) => {
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(character, { minLength: 20, maxLength: 60 }),
      fc.constantFrom(...styles),
      (characters, style) => {
        const source = stringify(characters.join(''), { defaultStringType: style, lineWidth: 20 });
        const [document] = readYaml(source).documents;
        const value = typeof document?.value === 'string' ? document.value : '';
        const lines = source.split('\n');
        let last = -1;
        for (let offset = 0; offset < value.length; offset++) {
          const wanted = value[offset] ?? '';
          if (/\s/.test(wanted)) continue;
          const { line, column } = document?.locate([], 'value', offset) ?? { line: 0, column: 0 };
          const typed: string | undefined = lines[line - 1]?.[column - 1];
          if (typed !== '\\') deepStrictEqual(typed, wanted, `${offset} of ${source}`);
          const at = line * 1_000 + column;
          ok(at > last, `${offset} of ${source}`);
          last = at;
          found += 1;
        }
      },
    ),
    { numRuns: 2_000 },
  );
  t.ok(found > 10_000, 'there is something to be found');
});
