import { equal } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { compileLike } from '../../../broker/filter/cesql/like.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { evaluates } from './evaluated.ts';

/** CESQL 1.0, 3.4.3: LIKE. */

t.test('% is any characters, _ is one, and all else is itself', async (t) => {
  evaluates(t, [
    [`'abc' LIKE 'abc'`, true],
    [`'abc' LIKE 'ABC'`, false],
    [`'abc' LIKE 'ab'`, false],
    [`'abc' LIKE 'abcd'`, false],
    [`'' LIKE ''`, true],
    [`'a' LIKE ''`, false],
    [`'' LIKE '%'`, true],
    [`'' LIKE '%%'`, true],
    [`'' LIKE '_'`, false],
    [`'abc' LIKE '%'`, true],
    [`'abc' LIKE 'a%'`, true],
    [`'abc' LIKE '%c'`, true],
    [`'abc' LIKE '%b%'`, true],
    [`'abc' LIKE '%d%'`, false],
    [`'abc' LIKE 'abc%'`, true],
    [`'abc' LIKE '%abc'`, true],
    [`'aba' LIKE 'ab%ba'`, false],
    [`'abba' LIKE 'ab%ba'`, true],
    [`'abc' LIKE 'a%b%c'`, true],
    [`'azzbzzc' LIKE 'a%b%c'`, true],
    [`'acb' LIKE 'a%b%c'`, false],
    [`'abcbc' LIKE 'a%bc'`, true],
    [`'.ab.cde.' LIKE '.%.%.'`, true],
    [`'ab.cde' LIKE '.%.%.'`, false],
    [`'a%b' LIKE 'a%b'`, true],
    [`'azbzc' LIKE 'a_b_c'`, true],
    [`'a_b_c' LIKE 'a_b_c'`, true],
    [`'abc' LIKE 'a_b_c'`, false],
    [`'abzc' LIKE 'a_b_c'`, false],
    [`'ab' LIKE '_b%'`, true],
    [`'abc' LIKE '_b%'`, true],
    [`'abcd1' LIKE '_b%'`, true],
    [`'b' LIKE '_b%'`, false],
    [`'acd' LIKE '_b%'`, false],
    [`'aBc' LIKE '_b%'`, false],
    // What is special elsewhere is not so here.
    [`'ab' LIKE '_b*'`, false],
    [`'ab*' LIKE '_b*'`, true],
    [`'a.c' LIKE 'a.c'`, true],
    [`'abc' LIKE 'a.c'`, false],
    [`'a(b[c' LIKE 'a(b[c'`, true],
    [`'a\nb\nc' LIKE 'a%c'`, true],
    [`'a\nb' LIKE 'a_b'`, true],
  ]);
});

t.test('a character beyond the basic plane is one', async (t) => {
  evaluates(t, [
    [`'😀' LIKE '_'`, true],
    [`'😀' LIKE '__'`, false],
    [`'a😀b😀' LIKE 'a_b_'`, true],
    [`'😀😀x' LIKE '%_x'`, true],
    [`'x😀😀y' LIKE '%x__y%'`, true],
    [`'x😀y' LIKE '%x__y%'`, false],
    [`'x😀y' LIKE '%😀%'`, true],
  ]);
});

t.test('a backslash takes the meaning of % and _ away, and is itself before all else', async (t) => {
  evaluates(t, [
    [`'abc%' LIKE 'abc\\%'`, true],
    [`'abcd' LIKE 'abc\\%'`, false],
    [`'a_b_c' LIKE 'a\\_b\\_c'`, true],
    [`'azbzc' LIKE 'a\\_b\\_c'`, false],
    [`'a%b%c' LIKE 'a\\%b\\%c'`, true],
    [`'abc123123%456_dzf' LIKE 'abc%123\\%456\\_d_f'`, true],
    [`'ab\\c' LIKE 'ab\\c'`, true],
    [`'ab\\\\c' LIKE 'ab\\\\c'`, true],
    [`'ab\\\\c' LIKE 'ab\\c'`, false],
    // A backslash takes no meaning from another, so the % is itself.
    [`'a\\%' LIKE 'a\\\\%'`, true],
    [`'a\\x' LIKE 'a\\\\%'`, false],
    [`'a\\x' LIKE 'a\\%'`, false],
    [`"it's" LIKE 'it\\'_'`, true],
    [`'say "x"' LIKE "say \\"_\\""`, true],
  ]);
});

t.test('NOT LIKE is the opposite', async (t) => {
  evaluates(t, [
    [`'abc' NOT LIKE 'a%'`, false],
    [`'abc' NOT LIKE 'b%'`, true],
    [`NOT ('abc' LIKE 'a%')`, false],
  ]);
});

t.test('the operand is cast to a String', async (t) => {
  evaluates(t, [
    [`234 LIKE '23_'`, true],
    [`2344 LIKE '23%'`, true],
    [`2344 LIKE '23_'`, false],
    [`-5 LIKE '-_'`, true],
    [`TRUE LIKE 'tr%'`, true],
    [`TRUE LIKE '%ue'`, true],
    [`TRUE LIKE 'TR%'`, false],
    [`FALSE LIKE 'fal%'`, true],
    [`FALSE LIKE 'tr%'`, false],
  ]);
});

/** What a pattern is made of: a character, or a wildcard. */
interface Piece {
  readonly character: string;
  readonly isWild: boolean;
}

/** By a table of which beginnings of the one match which of the other, as the rules read. */
function isLike(text: readonly string[], pattern: readonly Piece[]): boolean {
  let row = [true, ...text.map(() => false)];
  for (const { character: wanted, isWild } of pattern) {
    const isMany = isWild && wanted === '%';
    const next = [isMany && row[0] === true];
    for (const [index, character] of text.entries()) {
      const isOne = isWild ? wanted === '_' : wanted === character;
      next.push(isMany ? row[index + 1] === true || next[index] === true : isOne && row[index] === true);
    }
    row = next;
  }
  return row.at(-1) === true;
}

const letter = fc.constantFrom('a', 'b', '😀', '%', '_');
const pieces = fc
  .array(fc.record({ character: letter, isWild: fc.boolean() }), { maxLength: 45 })
  .map((all) => all.map(({ character, isWild }) => ({ character, isWild: isWild && /[%_]/.test(character) })));

/** Texts that the pattern matches, and some with a character that it may not take. */
function textsLike(pattern: readonly Piece[]): fc.Arbitrary<string[]> {
  const filled = pattern.map(({ character, isWild }) => {
    if (!isWild) return fc.constant([character]);
    return fc.array(letter, character === '%' ? { maxLength: 4 } : { minLength: 1, maxLength: 1 });
  });
  const change = fc.option(fc.record({ at: fc.nat(40), by: letter }));
  return fc.tuple(fc.tuple(...filled), change).map(([parts, change]) => {
    const text = parts.flat();
    return change === null ? text : text.toSpliced(change.at, 1, change.by);
  });
}

t.test('LIKE is what a table of all beginnings says', async (t) => {
  const counts = { matched: 0, unmatched: 0 };
  const cases = pieces.chain((pattern) =>
    fc.record({ pattern: fc.constant(pattern), text: fc.oneof(textsLike(pattern), fc.array(letter)) }),
  );
  fc.assert(
    fc.property(cases, ({ pattern, text }) => {
      const written = pattern.map(
        ({ character, isWild }) => `${/[%_]/.test(character) && !isWild ? '\\' : ''}${character}`,
      );
      const expected = isLike(text, pattern);
      equal(compileLike(written.join(''))(text.join('')), expected);
      counts[expected ? 'matched' : 'unmatched'] += 1;
    }),
    { numRuns: propertyRuns(3_000) },
  );
  t.ok(counts.matched > 300 && counts.unmatched > 300, JSON.stringify(counts));
});

t.test('a part with _ is found wherever it is, however long it is', async () => {
  const characters = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz');
  const part = fc.array(fc.oneof({ weight: 5, arbitrary: characters }, fc.constant('_')), {
    minLength: 1,
    maxLength: 100,
  });
  fc.assert(
    fc.property(part, fc.string({ maxLength: 50 }), fc.string({ maxLength: 50 }), (part, before, after) => {
      const text = `${before}${part.join('').replaceAll('_', 'z')}${after}`;
      equal(compileLike(`%${part.join('')}%`)(text), true);
      equal(compileLike(`%${part.join('')}€%`)(text), false);
    }),
    { numRuns: propertyRuns(1_000) },
  );
});

t.test('no pattern makes a match slow', async (t) => {
  const text = 'a'.repeat(65_536);
  const patterns = {
    'many %': `${'%a'.repeat(20_000)}%b`,
    'many % and _': `${'%_a'.repeat(15_000)}%b`,
    'a long part': `%${'a'.repeat(16_000)}b%`,
    'a long part that differs at its beginning': `%b${'a'.repeat(16_000)}%`,
    'a long part with _': `%${'a_'.repeat(8_000)}b%`,
    'a long part of many characters': `%${Array.from({ length: 30_000 }, (_, n) => String.fromCodePoint(0x4e00 + n)).join('')}_%`,
  };
  for (const [name, pattern] of Object.entries(patterns)) {
    const started = process.cpuUsage();
    const matches = compileLike(pattern);
    t.equal(matches(text), false, name);
    const { user, system } = process.cpuUsage(started);
    // It takes 0.1 s on an idle machine, and 7 s if each place of the text is tried with each of the pattern.
    t.ok(user + system < 2_500_000, `${name}: ${user + system} µs`);
  }
});
