import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { TriggerTree } from '../../broker/filter/index/trigger-tree.ts';
import { TriggerIndex } from '../../broker/filter/trigger-index.ts';
import type { Filter, Trigger } from '../../broker/trigger/trigger.ts';
import type { CloudEvent } from '../../event/event.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { events, filters } from './arbitrary.ts';
import { naive, namesOf } from './naive.ts';
import { eventWith, triggerWith } from './sample.ts';

function matchedOf(triggers: readonly Trigger[], event: CloudEvent): string[] {
  return namesOf(new TriggerIndex(triggers).match(event));
}

t.test('an event finds its triggers, in the order of namespace and name', async (t) => {
  const wanted: Filter = { dialect: 'exact', attributes: { type: 'com.example.created' } };
  const other: Filter = { dialect: 'exact', attributes: { type: 'com.example.deleted' } };
  const triggers = [
    triggerWith('z', [wanted]),
    triggerWith('b', []),
    triggerWith('a', [wanted]),
    triggerWith('c', [other]),
    triggerWith('y', [], 'another'),
    triggerWith('B', [{ dialect: 'all', filters: [{ dialect: 'prefix', attributes: { source: '/' } }, wanted] }]),
    triggerWith('d', [{ dialect: 'not', filter: other }]),
    triggerWith('e', [wanted, other]),
    triggerWith('f', [{ dialect: 'any', filters: [wanted, other] }]),
    triggerWith('g', [{ dialect: 'attributes', attributes: { type: '' } }]),
    triggerWith('h', [{ dialect: 'attributes', attributes: { type: 'com.example.created' } }]),
  ];
  const expected = ['another/y', ...['B', 'a', 'b', 'd', 'f', 'g', 'h', 'z'].map((name) => `default/${name}`)];
  t.strictSame(matchedOf(triggers, eventWith()), expected);
  t.strictSame(matchedOf(triggers.toReversed(), eventWith()), expected);
});

t.test('no triggers, no answer', async (t) => {
  t.strictSame(matchedOf([], eventWith()), []);
});

t.test('a trigger that an event passes in several ways is there once', async (t) => {
  const any: Filter = {
    dialect: 'any',
    filters: [
      { dialect: 'exact', attributes: { type: 'com.example.created' } },
      { dialect: 'prefix', attributes: { source: '/' } },
      { dialect: 'cesql', expression: "type IN ('com.example.created', 'x') OR LENGTH(source) > 1" },
    ],
  };
  t.strictSame(matchedOf([triggerWith('a', [any]), triggerWith('b', [any])], eventWith()), ['default/a', 'default/b']);
});

t.test('a revision without another filter is what is found next', async (t) => {
  const tree = new TriggerTree();
  const before = triggerWith('a', [{ dialect: 'exact', attributes: { source: '/shop' } }]);
  const after: Trigger = { ...structuredClone(before), generation: 2, subscriberUri: 'http://other.example/' };
  const [old, next] = [new TriggerIndex([before], tree), new TriggerIndex([after], tree)];
  t.equal(old.match(eventWith())[0], before);
  t.equal(next.match(eventWith())[0], after);
  t.equal(old.match(eventWith())[0], before);
});

const cesql = (expression: string): Filter => ({ dialect: 'cesql', expression });
const exact = (attributes: Record<string, string>): Filter => ({ dialect: 'exact', attributes });
const prefix = (attributes: Record<string, string>): Filter => ({ dialect: 'prefix', attributes });
const suffix = (attributes: Record<string, string>): Filter => ({ dialect: 'suffix', attributes });
const type = { type: 'com.example.created' };

/** A filter for each number; event number 77 passes that of number 77 alone. */
const found: Readonly<Record<string, (n: number) => Filter[]>> = {
  'exact type': (n) => [exact({ type: `t${n}` })],
  'exact extension': (n) => [exact({ tenant: `${n}` })],
  'exact, one type and many subjects': (n) => [exact({ ...type, subject: `s${n}` })],
  'one type and many prefixes of source': (n) => [exact(type), prefix({ source: `/x/${n}/` })],
  'many types and one prefix of source': (n) => [prefix({ source: '/x/' }), exact({ subject: `s${n}` })],
  prefix: (n) => [prefix({ source: `/x/${n}/` })],
  suffix: (n) => [suffix({ source: `/${n}/y` })],
  'prefixes that begin alike': (n) => [prefix({ source: `/x/77/${'y'.repeat(n === 77 ? 1 : n + 2)}` })],
  attributes: (n) => [{ dialect: 'attributes', attributes: { ...type, tenant: `${n}` } }],
  'all in all': (n) => [{ dialect: 'all', filters: [{ dialect: 'all', filters: [exact({ tenant: `${n}` })] }] }],
  any: (n) => [{ dialect: 'any', filters: [exact({ tenant: `${n}` }), exact({ subject: `other${n}` })] }],
  'any within all': (n) => [
    exact(type),
    { dialect: 'any', filters: [suffix({ source: `/${n}/y` }), exact({ ...type, subject: `other${n}` })] },
  ],
  'a part that needs asking': (n) => [exact({ tenant: `${n}` }), { dialect: 'not', filter: exact({ subject: 'x' }) }],
  'CESQL =': (n) => [cesql(`type = 'com.example.created' AND '${n}' = tenant AND LENGTH(source) > 2`)],
  'CESQL IN': (n) => [cesql(`tenant IN ('${n}', 'x${n}', 'y${n}')`)],
  'CESQL LIKE': (n) => [cesql(`type = 'com.example.created' AND source LIKE '/x/${n}/%'`)],
  'CESQL LIKE with a suffix': (n) => [cesql(`source LIKE '%/${n}/y'`)],
  'CESQL LIKE with more': (n) => [cesql(`source LIKE '/_/${n}/%' AND source LIKE '/x/${n}/%'`)],
  'CESQL OR': (n) => [cesql(`(tenant = '${n}' OR subject = 'other${n}') AND source LIKE '/x%'`)],
  'CESQL on an attribute that events lack': (n) => [cesql(`lacking > ${n} OR source = '/${n}'`)],
};

t.test('triggers that an event can not pass are not looked at', async (t) => {
  for (const [name, filtersOf] of Object.entries(found)) {
    const triggers = Array.from({ length: 1_000 }, (_, n) => triggerWith(`t${n}`, filtersOf(n)));
    const index = new TriggerIndex(triggers);
    const event = eventWith({ source: '/x/77/y', tenant: '77', subject: 's77' });
    if (name === 'exact type') Object.assign(event.attributes, { type: 't77' });
    let reads = 0;
    const attributes = new Proxy(event.attributes, {
      get(target, property) {
        reads += 1;
        return Reflect.get(target, property);
      },
    });
    const expected = name === 'CESQL on an attribute that events lack' ? [] : ['default/t77'];
    t.strictSame(namesOf(index.match({ ...event, attributes })), expected, name);
    t.ok(reads < 20, `${name}: ${reads} attributes read`);
    t.equal(index.unindexed, name === 'CESQL on an attribute that events lack' ? 1_000 : 0, `${name}: unindexed`);
  }
});

t.test('triggers that are asked one by one are counted', async (t) => {
  const counted: readonly (readonly [filters: readonly Filter[], isUnindexed: boolean])[] = [
    [[], false],
    [[cesql('priority > 3')], true],
    [[cesql('LENGTH(type) > 3')], true],
    [[cesql("NOT (type = 'a')")], true],
    [[cesql('EXISTS priority')], false],
    [[cesql("source LIKE '%x%'")], true],
    [[cesql("priority > 3 AND type = 'a'")], false],
    [[cesql("priority > 3 OR type = 'a'")], true],
    [[{ dialect: 'not', filter: exact({ type: 'a' }) }], true],
    [[{ dialect: 'any', filters: [exact({ type: 'a' }), { dialect: 'not', filter: exact({ type: 'b' }) }] }], true],
    [[{ dialect: 'attributes', attributes: { subject: '', type: 'a' } }], false],
  ];
  for (const [filters, isUnindexed] of counted) {
    const index = new TriggerIndex([triggerWith('a', filters)]);
    t.equal(index.unindexed, Number(isUnindexed), JSON.stringify(filters));
  }
  const tree = new TriggerTree();
  const all = counted.map(([filters], n) => triggerWith(`t${n}`, filters));
  t.equal(new TriggerIndex(all, tree).unindexed, 7);
  t.equal(new TriggerIndex(all.slice(2), tree).unindexed, 6);
  t.equal(new TriggerIndex([], tree).unindexed, 0);
});

t.test('what would take too much room is asked, and found all the same', async (t) => {
  const list = (attribute: string, count: number): string =>
    `${attribute} IN (${Array.from({ length: count }, (_, n) => `'${n}'`).join()})`;
  const many = Array.from({ length: 3_000 }, (_, n) => `a${n} = 'x'`);
  const expressions = [
    list('subject', 1_000),
    list('subject', 5_000),
    `${list('subject', 200)} AND ${list('tenant', 200)}`,
    many.join(' AND '),
    `subject = '7' OR ${many.join(' OR ')}`,
  ];
  const triggers = [
    ...expressions.map((one, n) => triggerWith(`t${n}`, [cesql(one)])),
    triggerWith('t5', [exact(Object.fromEntries(many.map((_, n) => [`a${n}`, 'x'])))]),
  ];
  const index = new TriggerIndex(triggers);
  const found = ['default/t0', 'default/t1', 'default/t2', 'default/t4'];
  t.strictSame(namesOf(index.match(eventWith({ subject: '7', tenant: '8' }))), found);
  t.strictSame(namesOf(index.match(eventWith({ subject: '7', tenant: '200' }))), [
    'default/t0',
    'default/t1',
    'default/t4',
  ]);
  const all = Object.fromEntries(many.map((_, n) => [`a${n}`, 'x']));
  t.strictSame(namesOf(index.match(eventWith({ ...all, subject: '' }))), ['default/t3', 'default/t4', 'default/t5']);
  t.strictSame(namesOf(index.match(eventWith({ ...all, subject: '', a0: 'y', a2999: 'y' }))), ['default/t4']);
});

const triggers = fc
  .array(fc.array(filters, { maxLength: 3 }), { maxLength: 8 })
  .map((all) => all.map((filters, n) => triggerWith(`t${(n * 7) % 13}`, filters)));

t.test('the index gives exactly what asking each trigger gives', async (t) => {
  const runs = propertyRuns(3_000);
  let [matched, missed] = [0, 0];
  fc.assert(
    fc.property(triggers, fc.array(events, { minLength: 1, maxLength: 3 }), (triggers, events) => {
      const index = new TriggerIndex(triggers);
      for (const event of events) {
        const expected = naive(triggers, event);
        matched += expected.length;
        missed += triggers.length - expected.length;
        deepStrictEqual(namesOf(index.match(event)), expected);
      }
    }),
    { numRuns: runs },
  );
  t.comment(`${matched} matched, ${missed} did not`);
  t.ok(matched > runs && missed > runs, 'filters and events meet often, and often not');
});
