/** A JSON Schema as JSON. */
export type JsonSchema = boolean | SchemaObject;
export type SchemaObject = Readonly<Record<string, unknown>>;

/** The dialects that are read. */
export const dialects = ['draft-07', '2020-12'] as const;
export type Dialect = (typeof dialects)[number];

/** What `$schema` says of each, without an empty fragment. */
export const dialectUris: Readonly<Record<Dialect, string>> = {
  'draft-07': 'http://json-schema.org/draft-07/schema',
  '2020-12': 'https://json-schema.org/draft/2020-12/schema',
};

/** Of a schema without `$schema`: the newest (JSON Schema Core 2020-12, 8.1.1, leaves it to us). */
export const defaultDialect: Dialect = '2020-12';

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns the dialect of the schema, or the words that say what is wrong with its `$schema` */
export function dialectOf(schema: JsonSchema): Dialect | { readonly problem: string } {
  const said = isSchemaObject(schema) ? schema.$schema : undefined;
  if (said === undefined) return defaultDialect;
  if (typeof said === 'string') {
    // Both schemes are about: the older drafts' own is http.
    const uri = said.replace(/#$/, '').replace(/^https?:/, '');
    const known = dialects.find((dialect) => dialectUris[dialect].replace(/^https?:/, '') === uri);
    if (known !== undefined) return known;
  }
  const right = dialects.map((dialect) => `${dialect} (${dialectUris[dialect]})`).join(' and ');
  return { problem: `${JSON.stringify(said)} is not a dialect that is read here; there are ${right}` };
}
