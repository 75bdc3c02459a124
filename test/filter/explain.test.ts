import fc from 'fast-check';
import t from 'tap';
import { CesqlSyntaxError, compileFilter, print } from '../../broker/filter/cesql/cesql.ts';
import { byNearness, explain, type Reason } from '../../broker/filter/explain.ts';
import { passes } from '../../broker/filter/match.ts';
import type { AttributeValues, Filter } from '../../broker/trigger/trigger.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { expressions, stringEvents } from './cesql/arbitrary.ts';
import { eventWith } from './sample.ts';

const exact = (attributes: AttributeValues): Filter => ({ dialect: 'exact', attributes });
const cesql = (expression: string): Filter => ({ dialect: 'cesql', expression });
const not = (filter: Filter): Filter => ({ dialect: 'not', filter });
const any = (...filters: Filter[]): Filter => ({ dialect: 'any', filters });

const event = eventWith({ subject: 'cart/Ä', partitionkey: '', count: '42' });

/** The reasons as lines, those within others indented. */
function told(filters: readonly Filter[]): string[] {
  const lines = (reasons: readonly Reason[], indent: string): string[] =>
    reasons.flatMap(({ field, message, because }) => [
      `${indent}${field}: ${message}`,
      ...lines(because, `${indent}  `),
    ]);
  return lines(explain({ filters }, event).reasons, '');
}

const cases: readonly (readonly [does: string, filters: readonly Filter[], lines: readonly string[]])[] = [
  ['no filter needs no reason', [], []],
  [
    'exact: every attribute that differs, with its value',
    [exact({ type: 'com.example.deleted', source: '/shop', subject: 'x' })],
    [
      'spec.filters[0].exact.type: type must be "com.example.deleted", but is "com.example.created"',
      'spec.filters[0].exact.subject: subject must be "x", but is "cart/Ä"',
    ],
  ],
  [
    'what differs by case alone is called that',
    [exact({ type: 'com.example.Created' })],
    [
      'spec.filters[0].exact.type: type must be "com.example.Created", but is "com.example.created"; upper and lower case differ',
    ],
  ],
  [
    'an attribute that is missing, and the one that was meant',
    [exact({ partitonkey: 'a' }), { dialect: 'prefix', attributes: { dataschema: 'x' } }],
    [
      'spec.filters[0].exact.partitonkey: partitonkey must be "a", but the event has none; did you mean partitionkey?',
      'spec.filters[1].prefix.dataschema: dataschema must begin with "x", but the event has none',
    ],
  ],
  [
    'prefix and suffix',
    [
      { dialect: 'prefix', attributes: { type: 'org.' } },
      { dialect: 'suffix', attributes: { source: '/shops' } },
    ],
    [
      'spec.filters[0].prefix.type: type must begin with "org.", but is "com.example.created"',
      'spec.filters[1].suffix.source: source must end with "/shops", but is "/shop"',
    ],
  ],
  [
    'attributes with "": empty is as bad as missing',
    [{ dialect: 'attributes', attributes: { partitionkey: '', dataschema: '', type: 'x', subject: '' } }],
    [
      'spec.filter.attributes.partitionkey: partitionkey must be there and not empty, but is ""',
      'spec.filter.attributes.dataschema: dataschema must be there and not empty, but the event has none',
      'spec.filter.attributes.type: type must be "x", but is "com.example.created"',
    ],
  ],
  [
    'all: those that fail, wherever they are nested',
    [{ dialect: 'all', filters: [exact({ source: '/shop' }), { dialect: 'all', filters: [exact({ id: '2' })] }] }],
    ['spec.filters[0].all[1].all[0].exact.id: id must be "2", but is "1"'],
  ],
  [
    'any: why each alternative fails',
    [any(exact({ type: 'a' }), exact({ source: '/shop', id: '2' }))],
    [
      'spec.filters[0].any: one of these 2 must hold, but none does',
      '  spec.filters[0].any[0].exact.type: type must be "a", but is "com.example.created"',
      '  spec.filters[0].any[1].exact.id: id must be "2", but is "1"',
    ],
  ],
  [
    'not: what passes and must not',
    [not(any(exact({ type: 'a' }), { dialect: 'prefix', attributes: { source: '/s' } }))],
    [
      'spec.filters[0].not: this must not hold, but does',
      '  spec.filters[0].not.any[1].prefix.source: source "/shop" begins with "/s"',
    ],
  ],
  [
    'what passes is told too',
    [
      exact({ id: '1' }),
      not(exact({ type: 'a' })),
      { dialect: 'attributes', attributes: { subject: '' } },
      cesql('count > 41'),
    ],
    [
      'spec.filters[0].exact.id: id is "1"',
      'spec.filters[1].not: this does not hold, as it should be',
      '  spec.filters[1].not.exact.type: type must be "a", but is "com.example.created"',
      'spec.filter.attributes.subject: subject is there: "cart/Ä"',
      'spec.filters[3].cesql: count > 41 holds, as count is "42"',
    ],
  ],
  [
    'CESQL: the part that is FALSE, with the values of its attributes',
    [cesql("source = '/shop' AND (type LIKE 'com.%' AND (count > 50 or id = 'x')) AND subject = 'a'")],
    [
      'spec.filters[0].cesql: count > 50 OR id = \'x\' does not hold, as count is "42" and id is "1"',
      'spec.filters[0].cesql: subject = \'a\' does not hold, as subject is "cart/Ä"',
    ],
  ],
  [
    'CESQL: the error, and what the part looks at',
    [cesql("source = '/shop' AND subject + count > 1 AND id = '1'")],
    [
      `spec.filters[0].cesql: subject + count > 1 can't be evaluated: the String "cart/Ä" is no Integer: expected digits with or without a sign, from -2147483648 to 2147483647, as subject is "cart/Ä" and count is "42"`,
    ],
  ],
  [
    'CESQL: errors behind a part that is FALSE are never met',
    [cesql('EXISTS sequence AND sequence > 3')],
    ['spec.filters[0].cesql: EXISTS sequence does not hold, as sequence is missing'],
  ],
  [
    'CESQL: what OR joins stays whole, as it binds no looser than AND',
    [cesql("id = '2' OR id = '3' AND type = 'x'")],
    [
      "spec.filters[0].cesql: id = '2' OR id = '3' does not hold, as id is \"1\"",
      'spec.filters[0].cesql: type = \'x\' does not hold, as type is "com.example.created"',
    ],
  ],
];

t.test('each dialect says what it asks for and what it saw', async (t) => {
  for (const [does, filters, lines] of cases) t.strictSame(told(filters), lines, does);
});

t.test('the values that were seen are there for programs, and long ones are cut in the text only', async (t) => {
  const subject = 'x'.repeat(1_000);
  const { reasons } = explain({ filters: [exact({ subject: 'y', time: 'z' })] }, eventWith({ subject }));
  t.strictSame(
    reasons.map(({ seen }) => seen),
    [{ subject }, { time: null }],
  );
  t.ok((reasons[0]?.message.length ?? 0) < 300);
});

t.test('the nearest come first: what passes, then by the share of conditions met, then by likeness', async (t) => {
  const triggers: Record<string, readonly Filter[]> = {
    'two of three': [exact({ type: 'com.example.created', source: '/shop', id: '7' })],
    'nothing alike': [exact({ type: 'zzz' })],
    passes: [exact({ id: '1' })],
    'a typo': [exact({ type: 'com.example.craeted' })],
    'one of two': [any(exact({ type: 'x' }), exact({ source: '/shop', type: 'com.example.deleted' }))],
  };
  const explained = Object.entries(triggers).map(([name, filters]) => ({ name, ...explain({ filters }, event) }));
  t.strictSame(
    explained.toSorted(byNearness).map(({ name }) => name),
    ['passes', 'two of three', 'one of two', 'a typo', 'nothing alike'],
  );
  t.match(explained[0], { conditions: 3, met: 2, passes: false });
  t.match(explained[4], { conditions: 2, met: 1, passes: false });
});

// Few names and values, so that filters and events meet often; the names are those of the expressions too.
const name = fc.constantFrom('type', 'a', 'b', 'n', 'constructor');
const value = fc.constantFrom('a', 'ab', 'ba', '5', '');
const expression = expressions.map(print).filter((text) => {
  try {
    compileFilter(text);
    return true;
  } catch (error) {
    if (error instanceof CesqlSyntaxError) return false;
    throw error;
  }
});
const attributes = fc.dictionary(name, value, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const filter = fc.letrec<{ filter: Filter; leaf: Filter }>((tie) => ({
  leaf: fc.oneof(
    fc.record({ dialect: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), attributes }),
    fc.record({ dialect: fc.constant('attributes' as const), attributes }),
    fc.record({ dialect: fc.constant('cesql' as const), expression }),
  ),
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.record({
      dialect: fc.constantFrom('all' as const, 'any' as const),
      filters: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ dialect: fc.constant('not' as const), filter: tie('filter') }),
  ),
})).filter;

t.test('the verdict is always that of the predicate that matches events', async (t) => {
  let [passed, failed] = [0, 0];
  fc.assert(
    fc.property(fc.array(filter, { maxLength: 3 }), value, stringEvents, (filters, type, others) => {
      const event = eventWith({ ...others, type });
      const explained = explain({ filters }, event);
      const expected = passes(filters, event);
      if (expected) passed += 1;
      else failed += 1;
      return (
        explained.passes === expected &&
        explained.met <= explained.conditions &&
        (expected || (explained.reasons.length > 0 && explained.met < explained.conditions))
      );
    }),
    { numRuns: propertyRuns(2_000) },
  );
  t.ok(passed > 200 && failed > 200, `filters and events meet: ${passed} pass, ${failed} do not`);
});
