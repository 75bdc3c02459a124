import { strictEqual } from 'node:assert/strict';
import { RE2JS } from '@bufbuild/re2';
import fc from 'fast-check';
import t from 'tap';
import { Evaluation } from '../../../broker/filter/data/evaluation.ts';
import { EventData } from '../../../broker/filter/data/event-data.ts';
import { Pattern } from '../../../broker/filter/data/pattern.ts';
import { testEvent } from '../../support/events.ts';
import { propertyRuns } from '../../support/property-runs.ts';

function evaluation(): Evaluation {
  return new Evaluation(new EventData(testEvent()));
}

const pieces = [
  'a',
  'b',
  'K',
  'ſ',
  'é',
  '😀',
  '.',
  '[ab]',
  '[^a]',
  '[a-zé]',
  '\\d',
  '\\w',
  '\\s',
  '\\pL',
  '\\b',
  '\\B',
  '^',
  '$',
  '\\A',
  '\\z',
  '\\n',
];
const flags = ['', '(?i)', '(?m)', '(?s)', '(?ims)'];

/** Patterns of RE2 that are small, and mostly match something. */
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(...pieces),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
    fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '*?'))
      .map(([a, many]) => `(?:${a})${many}`),
  ),
}));

const text = fc
  .array(fc.constantFrom('a', 'b', 'k', 'K', 's', 'ſ', 'é', '😀', '\ud83d', '1', '_', ' ', '\n'), { maxLength: 12 })
  .map((characters) => characters.join(''));

t.test('a pattern matches what the engine of its package matches', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...flags), pattern, text, (flag, source, text) => {
      strictEqual(new Pattern(flag + source).test(text, evaluation()), new RE2JS(flag + source).test(text));
    }),
    { numRuns: propertyRuns(2_000) },
  );
});

t.test('a pattern may be used again, whatever came of it before', async (t) => {
  const pattern = new Pattern('a[ab]{3}c');
  for (const [text, matches] of [
    ['abbbc', true],
    ['abbb', false],
    ['xabbbc', true],
    ['', false],
    ['aabbbcx', true],
  ] as const) {
    t.equal(pattern.test(text, evaluation()), matches, text);
  }
  t.throws(() => pattern.test('ab'.repeat(20_000), evaluation()), { name: 'UndecidedError' });
  t.equal(pattern.test('abbbc', evaluation()), true);
  t.equal(pattern.test('abbb', evaluation()), false);
});
