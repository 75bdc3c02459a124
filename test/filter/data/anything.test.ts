import { ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { stepsMax } from '../../../broker/filter/data/evaluation.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { judged, refusalOf } from './judged.ts';

const tokens = [
  ...['data', 'event', 'x', 'y', 'has', 'size', 'int', 'string', 'timestamp', 'duration', 'type', 'null', 'true', 'in'],
  ...[
    '.a',
    '.b',
    '.all(x, ',
    '.exists(x, ',
    '.map(y, ',
    '.filter(x, ',
    '.contains(',
    ".matches('",
    '.size()',
    '(',
    ')',
  ],
  ...[
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '?',
    '&&',
    '||',
    '!',
    '-',
    '+',
    '*',
    '/',
    '%',
    '==',
    '!=',
    '<',
    '>=',
    '.',
    '`',
    '\\',
  ],
  ...[
    '0',
    '1',
    '2u',
    '1.5',
    '1e400',
    '9223372036854775808',
    "'a'",
    '"',
    "'",
    "b'a'",
    "r'\\'",
    "'''",
    '//',
    '\n',
    'é',
    '\ud83d',
  ],
];

const { expression } = fc.letrec<{ expression: string }>((tie) => {
  const part = tie('expression');
  return {
    expression: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.constantFrom(
        'data',
        'data.a',
        'data.b',
        'x',
        'event',
        'event.id',
        '1',
        '-1',
        '1.5',
        '2u',
        "'a'",
        'true',
        'null',
        '[]',
      ),
      fc
        .tuple(part, fc.constantFrom('+', '-', '*', '/', '%', '==', '!=', '<', '>=', 'in', '&&', '||'), part)
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      fc.tuple(fc.constantFrom('!', '-'), part).map(([operator, a]) => `${operator}${a}`),
      fc.tuple(part, part, part).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      fc
        .tuple(part, fc.constantFrom('all', 'exists', 'exists_one', 'map', 'filter'), part)
        .map(([a, macro, b]) => `${a}.${macro}(x, ${b})`),
      fc
        .tuple(
          fc.constantFrom('size', 'int', 'uint', 'double', 'string', 'bool', 'type', 'timestamp', 'duration', 'dyn'),
          part,
        )
        .map(([name, a]) => `${name}(${a})`),
      fc
        .tuple(part, fc.constantFrom('contains', 'startsWith', 'endsWith'), part)
        .map(([a, name, b]) => `${a}.${name}(${b})`),
      fc.tuple(part, part).map(([a, b]) => `${a}[${b}]`),
      fc.tuple(part, part).map(([a, b]) => `{${a}: ${b}, 'k': [${b}, ${a}]}`),
      part.map((a) => `dyn(${a})`),
    ),
  };
});

/** Takes it or refuses it, and what it takes judges any data within the steps. */
function judgeAny(expression: string, data: unknown): boolean {
  const refusal = refusalOf(expression);
  if (refusal !== '') {
    const position = Number.parseInt(refusal, 10);
    ok(position >= 0 && position <= expression.length, refusal);
    return false;
  }
  const { kind, steps } = judged(expression, data);
  ok(kind === 'undecided' ? steps > 0 : steps <= stepsMax, `${kind} after ${steps} steps`);
  return true;
}

t.test('whatever text is an expression is taken or refused, with a place in it', async () => {
  const text = fc.array(fc.constantFrom(...tokens), { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(
      fc.oneof(text, fc.string({ unit: 'binary', maxLength: 30 })),
      (expression) => void judgeAny(expression, {}),
    ),
    { numRuns: propertyRuns(2_000) },
  );
});

t.test('whatever an expression asks of whatever data, it has an answer or none, and ends', async (t) => {
  let taken = 0;
  fc.assert(
    fc.property(expression, fc.record({ a: fc.jsonValue(), b: fc.jsonValue() }), (expression, data) => {
      if (judgeAny(`[data.a].all(x, dyn(${expression}) != data.b)`, data)) taken += 1;
    }),
    { numRuns: propertyRuns(2_000) },
  );
  t.ok(taken > 100, `${taken} were taken`);
});
