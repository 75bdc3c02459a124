import { describe, type Field } from './manifest-field.ts';
import { mappingIn } from './manifest-topics.ts';
import { type SchemaRules, schemaPolicies } from './trigger.ts';

export const schemaPolicy = 'posthorn.dev/schemas';
export const typeSchemas = 'posthorn.dev/type-schemas';
export const validateTopic = 'posthorn.dev/validate-topic';

/** Reads what a Broker says of schemas; null where it says nothing. */
export function readSchemaRules(annotations: Field): SchemaRules | null {
  const [policy, types, topic] = [schemaPolicy, typeSchemas, validateTopic].map((name) => annotations.field(name));
  if (!policy?.present && !types?.present && !topic?.present) return null;
  const chosen = policy?.oneOf(schemaPolicies) ?? 'known';
  const onTopic = topic?.oneOf(['true', 'false']) === 'true';
  if (chosen === 'off') {
    if (types?.present) types.warn(`no effect with ${schemaPolicy}: "off"`);
    if (onTopic) topic?.warn(`no effect with ${schemaPolicy}: "off"`);
  }
  return { policy: chosen, types: (types && readTypes(types)) ?? new Map(), onTopic };
}

/** A path below the directory or registry of schemas, or an absolute URI. */
const namePattern = /^(?:[a-z][a-z0-9+.-]*:\S+|[^\s/:?#][^\s:?#]*)$/i;

function readTypes(field: Field): ReadonlyMap<string, string> | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const what = 'event types and the names of their schemas, as {"com.example.order": "order/1.json"}';
  const types = new Map<string, string>();
  for (const [type, name] of Object.entries(mappingIn(field, text, what) ?? {})) {
    if (typeof name === 'string' && namePattern.test(name) && !name.includes('#')) types.set(type, name);
    else {
      const right = 'must be the URI of a schema without fragment, or its path below the schemas, as order/1.json';
      field.error(`has ${describe(name)} for ${type}; ${right}`);
    }
  }
  return types;
}
