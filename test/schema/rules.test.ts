import t from 'tap';
import { eventJudge, type Verdict } from '../../broker/schema/rules.ts';
import type { Found } from '../../broker/schema/schemas.ts';
import type { SchemaRules } from '../../broker/trigger/trigger.ts';
import { testEvent } from '../support/events.ts';

const uri = 'https://schemas.example.com/a';

/** Schemas that want `{}`: any property violates them. */
function schemasWith(found: Record<string, Found['kind'] | 'slow'>) {
  const schema = (name: string): Found => ({
    kind: 'schema',
    schema: {
      uri: name,
      violations: (data) =>
        (name === 'loose' ? [] : Object.keys(data as object)).map((key) => ({
          pointer: `/${key}`,
          detail: 'is too much',
        })),
    },
  });
  return {
    find(name: string): Found | Promise<Found> {
      const kind = found[name] ?? 'unknown';
      if (kind === 'slow') return Promise.resolve(schema(name));
      if (kind === 'schema') return schema(name);
      return kind === 'unknown' ? { kind } : { kind, reason: 'it is away' };
    },
  };
}

const rules = (more: Partial<SchemaRules>): SchemaRules => ({
  policy: 'known',
  types: new Map(),
  onTopic: false,
  ...more,
});
const schemas = schemasWith({ [uri]: 'schema', mapped: 'schema', loose: 'schema', slow: 'slow', away: 'unavailable' });

function judged(
  settings: SchemaRules | null,
  attributes: Record<string, string>,
  json: string | null = '{"x": 1}',
): Verdict | Promise<Verdict> | undefined {
  const data = json === null ? undefined : Buffer.from(json);
  const plain = { datacontenttype: 'application/json', ...attributes };
  return eventJudge(schemas, settings)?.(testEvent(plain, data));
}

t.test('nothing is asked where there are no schemas, or the Broker says off', async (t) => {
  t.equal(eventJudge(null, null), null);
  t.equal(eventJudge(schemas, rules({ policy: 'off' })), null);
});

t.test('an event that violates a schema that is known is refused, whatever the policy', async (t) => {
  for (const policy of [null, 'known', 'named', 'required'] as const) {
    const settings = policy === null ? null : rules({ policy });
    t.match(judged(settings, { dataschema: uri }), { kind: 'refused', schema: uri, violations: [{ pointer: '/x' }] });
    t.match(judged(settings, { dataschema: `${uri}#` }), { kind: 'refused' });
    t.strictSame(judged(settings, { dataschema: uri }, '{}'), { kind: 'accepted', isUnknown: false });
  }
});

t.test('an event with an unknown schema, or none, is accepted unless the Broker says otherwise', async (t) => {
  const table = { known: ['accepted', 'accepted'], named: ['refused', 'accepted'], required: ['refused', 'refused'] };
  for (const [policy, kinds] of Object.entries(table)) {
    const settings = rules({ policy: policy as SchemaRules['policy'] });
    const found = [judged(settings, { dataschema: 'https://nobody.example/' }), judged(settings, {})];
    t.match(
      found,
      kinds.map((kind) => ({ kind })),
      policy,
    );
  }
  t.strictSame(judged(null, { dataschema: 'https://nobody.example/' }), { kind: 'accepted', isUnknown: true });
});

t.test('what the Broker names for a type holds whatever the event names, and both hold', async (t) => {
  const settings = rules({ types: new Map([['com.example.test', 'mapped']]) });
  t.match(judged(settings, {}), { kind: 'refused', schema: 'mapped' });
  t.match(judged(settings, { dataschema: 'https://nobody.example/' }), { kind: 'refused', schema: 'mapped' });
  t.match(judged(settings, { type: 'other' }), { kind: 'accepted' });
  const both = rules({ types: new Map([['com.example.test', 'loose']]) });
  t.match(judged(both, { dataschema: uri }, '{}'), { kind: 'accepted' });
  t.match(judged(both, { dataschema: uri }), { kind: 'refused', schema: uri });
  const slow = rules({ types: new Map([['com.example.test', 'slow']]) });
  t.match(await judged(slow, { dataschema: uri }), { kind: 'refused', schema: 'slow' });
  const lost = rules({ types: new Map([['com.example.test', 'gone.json']]) });
  t.match(judged(lost, {}, '{}'), {
    kind: 'unavailable',
    reason: /type-schemas of the Broker names the schema "gone\.json"/,
  });
});

t.test('while a schema is not to be had nothing is said of its events', async (t) => {
  t.match(judged(null, { dataschema: 'away' }), {
    kind: 'unavailable',
    reason: 'the schema "away" is not to be had: it is away',
  });
  const without = eventJudge(null, rules({ policy: 'known' }));
  t.match(without?.(testEvent({ dataschema: uri })), { kind: 'unavailable', reason: /started without --schemas/ });
  t.match(without?.(testEvent()), { kind: 'accepted' });
});

t.test('data that is no JSON can not be as a JSON Schema wants it', async (t) => {
  for (const [attributes, json, words] of [
    [{ datacontenttype: 'text/plain; charset=utf-8' }, 'hello', /^is "text\/plain", where the schema wants JSON/],
    [{}, null, /^is absent/],
    [{}, '{"x"', /^is not the JSON/],
    [{}, '', /^is not the JSON/],
    [{}, '\ufeff{}', /^is not the JSON/],
    [{ datacontenttype: 'application/vnd.x+json' }, '{"x": 1}', /^is too much/],
  ] as const) {
    t.match(judged(null, { ...attributes, dataschema: uri }, json), {
      kind: 'refused',
      violations: [{ detail: words }],
    });
  }
  const latin = testEvent({ dataschema: uri, datacontenttype: 'application/json' }, Buffer.from([0x22, 0xe9, 0x22]));
  t.match(eventJudge(schemas, null)?.(latin), { kind: 'refused', violations: [{ detail: /not the JSON/ }] });
});
