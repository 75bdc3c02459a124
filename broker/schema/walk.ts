import { type Dialect, isSchemaObject, type JsonSchema } from './dialect.ts';

/** What stands in a keyword: a schema, a list of them, an object of them, or (`dependencies`) also lists of names. */
type Place = 'one' | 'list' | 'map' | 'one or list';

const places: Readonly<Record<string, Place>> = {
  additionalProperties: 'one',
  propertyNames: 'one',
  contains: 'one',
  not: 'one',
  if: 'one',
  // biome-ignore lint/suspicious/noThenProperty: the name of a keyword
  then: 'one',
  else: 'one',
  items: 'one or list',
  additionalItems: 'one',
  prefixItems: 'list',
  allOf: 'list',
  anyOf: 'list',
  oneOf: 'list',
  properties: 'map',
  patternProperties: 'map',
  dependencies: 'map',
  definitions: 'map',
  $defs: 'map',
  dependentSchemas: 'map',
  unevaluatedItems: 'one',
  unevaluatedProperties: 'one',
};

/** In draft-07 these are unknown keywords, whose values are anything. */
const newer = new Set(['prefixItems', '$defs', 'dependentSchemas', 'unevaluatedItems', 'unevaluatedProperties']);

function placeOf(keyword: string, dialect: Dialect): Place | undefined {
  if (!Object.hasOwn(places, keyword)) return undefined;
  // People write $defs in draft-07 too, and refer to it.
  return dialect === 'draft-07' && newer.has(keyword) && keyword !== '$defs' ? undefined : places[keyword];
}

/** The tokens of a JSON pointer. */
export type Path = readonly string[];

/**
 * A copy of the schema, every subschema of which went through `change`, outer ones first.
 * @param change is given a copy of the schema object with its subschemas as they were, and where it stands
 */
export function mapSchemas(
  schema: JsonSchema,
  dialect: Dialect,
  change: (schema: Record<string, unknown>, path: Path, context: string) => string,
  context: string,
  path: Path = [],
): JsonSchema {
  if (!isSchemaObject(schema)) return schema;
  const copy: Record<string, unknown> = { ...schema };
  const inner = change(copy, path, context);
  const inside = (value: unknown, more: Path): unknown =>
    isSchemaObject(value) ? mapSchemas(value, dialect, change, inner, [...path, ...more]) : value;
  for (const [keyword, value] of Object.entries(copy)) {
    const place = placeOf(keyword, dialect);
    if (place === undefined) continue;
    if (Array.isArray(value)) {
      if (place !== 'one' && place !== 'map') {
        copy[keyword] = value.map((one, index) => inside(one, [keyword, String(index)]));
      }
    } else if (place === 'map' && isSchemaObject(value)) {
      copy[keyword] = mapValues(value, (one, name) => inside(one, [keyword, name]));
    } else if (place !== 'map') {
      copy[keyword] = inside(value, [keyword]);
    }
  }
  return copy;
}

/** With a `__proto__` as any other name. */
function mapValues(
  object: Readonly<Record<string, unknown>>,
  change: (value: unknown, name: string) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value, name)]));
}
