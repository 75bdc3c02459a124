import fc from 'fast-check';
import t from 'tap';
import { CesqlSyntaxError, compileFilter, print } from '../../broker/filter/cesql/cesql.ts';
import { sift } from '../../broker/filter/data/sift.ts';
import { byNearness, explain, type Reason } from '../../broker/filter/explain.ts';
import { passes } from '../../broker/filter/match.ts';
import { compileVerdict } from '../../broker/filter/verdict.ts';
import type { AttributeValues, Filter } from '../../broker/trigger/trigger.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { expressions, stringEvents } from './cesql/arbitrary.ts';
import { eventWith, triggerWith } from './sample.ts';

const exact = (attributes: AttributeValues): Filter => ({ dialect: 'exact', attributes });
const cesql = (expression: string): Filter => ({ dialect: 'cesql', expression });
const not = (filter: Filter): Filter => ({ dialect: 'not', filter });
const any = (...filters: Filter[]): Filter => ({ dialect: 'any', filters });

const event = eventWith({ subject: 'cart/Ä', partitionkey: '', count: '42', datacontenttype: 'application/json' });

/** The reasons as lines, those within others indented. */
function told(filters: readonly Filter[]): string[] {
  const lines = (reasons: readonly Reason[], indent: string): string[] =>
    reasons.flatMap(({ field, message, because }) => [
      `${indent}${field}: ${message}`,
      ...lines(because, `${indent}  `),
    ]);
  return lines(explain({ filters, dataFilter: null }, event).reasons, '');
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

const order = { ...event, data: Buffer.from('{"amount":50,"lines":[{"sku":"a"}],"country":"CH","vip":null}') };
const dataCases: readonly (readonly [does: string, dataFilter: string, lines: readonly string[]])[] = [
  [
    'the parts that do not hold, with what they saw',
    "data.amount > 100 && (data.country in ['DE'] && event.subject == 'x')",
    [
      'data.amount > 100 does not hold, as data.amount is 50',
      'data.country in [\'DE\'] does not hold, as data.country is "CH"',
      'event.subject == \'x\' does not hold, as event.subject is "cart/Ä"',
    ],
  ],
  [
    'the error, and what the part looks at',
    "data.total > data.amount && event.id == '1'",
    ["data.total > data.amount can't be evaluated: no such field: total, as data.amount is 50"],
  ],
  [
    'errors behind a part that does not hold are no news',
    'has(data.customer) && data.customer.vip',
    ['has(data.customer) does not hold, as data.customer is missing'],
  ],
  [
    'lists and objects as JSON, and of a macro what it goes over',
    "data.lines.exists(i, i.sku == 'b') || data.lines[0].sku == data.vip",
    [
      'data.lines.exists(i, i.sku == \'b\') || data.lines[0].sku == data.vip does not hold, as data.lines is [{"sku":"a"}], data.lines[0].sku is "a" and data.vip is null',
    ],
  ],
  ['what passes is told too', 'data.amount\n  == 50', ['data.amount == 50 holds, as data.amount is 50']],
];

t.test('a data filter is asked where the other filters pass, part by part', async (t) => {
  const field = 'metadata.annotations["posthorn.dev/data-filter"]';
  for (const [does, dataFilter, lines] of dataCases) {
    const { reasons } = explain({ filters: [], dataFilter }, order);
    t.strictSame(
      reasons.map((reason) => ({ field: reason.field, message: reason.message })),
      lines.map((message) => ({ field, message })),
      does,
    );
  }
  const both = explain({ filters: [exact({ id: '1' })], dataFilter: 'data.amount > 1 && data.amount > 60' }, order);
  t.match(both, { passes: false, conditions: 3, met: 2, isUndecided: false });
  t.strictSame(both.reasons[0]?.seen, { 'data.amount': '50' });
  const other = explain({ filters: [exact({ id: '2' })], dataFilter: 'data.x == 1' }, order);
  t.match(other, { conditions: 1, met: 0, reasons: [{ field: 'spec.filters[0].exact.id' }] });
  t.equal(other.reasons.length, 1);
});

t.test('an event that a data filter has no answer for is told to be dead-lettered', async (t) => {
  const broken = { ...order, data: Buffer.from('{') };
  t.match(explain({ filters: [], dataFilter: 'data.amount > 1' }, broken), {
    passes: false,
    isUndecided: true,
    conditions: 1,
    met: 0,
    reasons: [{ message: /^has no answer, so the event is dead-lettered for the trigger: the data is not the JSON/ }],
  });
});

t.test('an explanation takes no more steps than a few evaluations of the filter', async (t) => {
  const data = Buffer.from(JSON.stringify({ a: Array.from({ length: 30 }, (_, n) => n) }));
  // Each of them alone is within the bound, all together are far beyond; the first spares the others.
  const heavy = 'data.a.all(i, data.a.all(j, i + j >= 0))';
  const dataFilter = ['data.a == 1', ...Array(100).fill(heavy)].join(' && ');
  t.ok(explain({ filters: [], dataFilter: heavy }, { ...order, data }).passes);
  const { reasons, conditions, met } = explain({ filters: [], dataFilter }, { ...order, data });
  t.equal(conditions, 101);
  t.ok(met > 0 && met < 20, `${met} parts were evaluated`);
  t.match(reasons[0]?.message, /^data\.a == 1 does not hold, as data\.a is \[0,1,2/);
});

t.test('what is shown of a long list is cut', async (t) => {
  const data = Buffer.from(JSON.stringify({ a: Array(1_000).fill('long') }));
  const { reasons } = explain({ filters: [], dataFilter: "data.a == ['x']" }, { ...order, data });
  t.match(reasons[0]?.message, /^data\.a == \['x'\] does not hold, as data\.a is \["long","long"/);
  t.ok((reasons[0]?.message.length ?? 0) < 300);
  t.ok((reasons[0]?.seen['data.a']?.length ?? 0) < 300, 'for programs too');
});

t.test('the values that were seen are there for programs, and long ones are cut in the text only', async (t) => {
  const subject = 'x'.repeat(1_000);
  const { reasons } = explain(
    { filters: [exact({ subject: 'y', time: 'z' })], dataFilter: null },
    eventWith({ subject }),
  );
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
  const explained = Object.entries(triggers).map(([name, filters]) => ({
    name,
    ...explain({ filters, dataFilter: null }, event),
  }));
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

const dataFilter = fc.oneof(
  fc.constant(null),
  fc.constantFrom(
    'data.x > 1',
    "event.type == 'a' || data.x == 1",
    "data.x == 'a' && has(data.y)",
    '!has(data.x) && data.all(k, data[k] != null)',
    'data.x',
    '1 / data.y > 0 || true',
  ),
);
const json = fc.oneof(
  fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('a', 1, 2, null, true, 0)).map((one) => JSON.stringify(one)),
  fc.constantFrom('', '{', '{', '7'),
);

t.test('the verdict is always that of the predicates that match events', async (t) => {
  const counts = { passes: 0, fails: 0, undecided: 0 };
  const filters = fc.array(filter, { maxLength: 2 });
  fc.assert(
    fc.property(filters, dataFilter, value, stringEvents, json, (filters, dataFilter, type, others, json) => {
      const event = { ...eventWith({ ...others, type, datacontenttype: 'application/json' }), data: Buffer.from(json) };
      const trigger = { ...triggerWith('any', filters), dataFilter };
      const explained = explain(trigger, event);
      const { passed, undecided } = sift(passes(filters, event) ? [trigger] : [], event);
      const expected = passed.length > 0 ? 'passes' : undecided.length > 0 ? 'undecided' : 'fails';
      counts[expected] += 1;
      return (
        compileVerdict(trigger)(event) === expected &&
        explained.passes === (expected === 'passes') &&
        explained.isUndecided === (expected === 'undecided') &&
        explained.met <= explained.conditions &&
        (explained.passes || (explained.reasons.length > 0 && explained.met < explained.conditions))
      );
    }),
    { numRuns: propertyRuns(3_000) },
  );
  t.ok(
    Object.values(counts).every((count) => count > 50),
    `filters and events meet: ${JSON.stringify(counts)}`,
  );
});
