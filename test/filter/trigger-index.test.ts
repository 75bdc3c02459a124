import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { compile } from '../../broker/filter/cesql/cesql.ts';
import { TriggerIndex } from '../../broker/filter/trigger-index.ts';
import type { Filter, Trigger } from '../../broker/trigger/trigger.ts';
import type { CloudEvent } from '../../event/event.ts';
import { eventWith, triggerWith } from './sample.ts';

function namesOf(triggers: readonly Trigger[], event: CloudEvent): string[] {
  return new TriggerIndex(triggers).match(event).map(({ namespace, name }) => `${namespace}/${name}`);
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
  t.strictSame(namesOf(triggers, eventWith()), expected);
  t.strictSame(namesOf(triggers.toReversed(), eventWith()), expected);
});

t.test('no triggers, no answer', async (t) => {
  t.strictSame(namesOf([], eventWith()), []);
});

function evaluate(expression: string, event: CloudEvent): boolean {
  const { value, errors } = compile(expression).evaluate(event.attributes);
  return value === true && errors.length === 0;
}

/** The dialects once more, told apart from the code under test. */
function holds(filter: Filter, event: CloudEvent): boolean {
  if (filter.dialect === 'not') return holds(filter.filter, event) === false;
  if (filter.dialect === 'all') return filter.filters.filter((one) => !holds(one, event)).length === 0;
  if (filter.dialect === 'any') return filter.filters.filter((one) => holds(one, event)).length > 0;
  if (filter.dialect === 'cesql') return evaluate(filter.expression, event);
  return Object.entries(filter.attributes).every(([name, wanted]) => {
    const value = new Map(Object.entries(event.attributes)).get(name);
    if (value === undefined) return false;
    if (filter.dialect === 'exact') return value === wanted;
    if (filter.dialect === 'prefix') return value.slice(0, wanted.length) === wanted;
    if (filter.dialect === 'suffix') return value.slice(Math.max(0, value.length - wanted.length)) === wanted;
    return wanted === '' ? value.length > 0 : value === wanted;
  });
}

// Few names and values, so that filters and events meet often.
const name = fc.constantFrom('type', 'source', 'subject', 'ext', 'constructor');
const value = fc.constantFrom('a', 'ab', 'ba', 'b', 'aba');
const values = fc.dictionary(name, value, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const expression = fc.constantFrom(
  "type = 'a'",
  "type = 'ab' AND source LIKE 'a%'",
  "ext IN ('a', 'b')",
  "EXISTS subject OR constructor = 'b'",
);
const filter = fc.letrec<{ filter: Filter; leaf: Filter }>((tie) => ({
  leaf: fc.oneof(
    fc.record({ dialect: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), attributes: values }),
    fc.record({
      dialect: fc.constant('attributes' as const),
      attributes: fc.dictionary(name, fc.oneof(value, fc.constant('')), { maxKeys: 2, noNullPrototype: true }),
    }),
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
const triggers = fc
  .array(fc.array(filter, { maxLength: 3 }), { maxLength: 12 })
  .map((all) => all.map((filters, n) => triggerWith(`t${(n * 7) % 13}`, filters)));
const event = fc
  .record({ type: value, source: value, rest: fc.dictionary(name, fc.oneof(value, fc.constant(''))) })
  .map(({ type, source, rest }) => eventWith({ ...rest, type, source }));

t.test('the index gives exactly what asking each trigger gives', async (t) => {
  let matched = 0;
  fc.assert(
    fc.property(triggers, event, (triggers, event) => {
      const expected = triggers
        .filter(({ filters }) => filters.every((one) => holds(one, event)))
        .map((trigger) => `default/${trigger.name}`)
        .sort();
      matched += expected.length;
      deepStrictEqual(namesOf(triggers, event), expected);
    }),
    { numRuns: 3_000 },
  );
  t.ok(matched > 3_000, 'filters and events meet');
});
