import { formatPointer, parsePointer } from '../../event/json-pointer.ts';
import { type Dialect, dialectOf, dialectUris, isSchemaObject, type JsonSchema } from './dialect.ts';
import { mapSchemas } from './walk.ts';

/** A schema as it is compiled: every `$id` and `$ref` in it an absolute URI. */
export interface SchemaDocument {
  /** What it is known by: an absolute URI without fragment. */
  readonly uri: string;
  readonly dialect: Dialect;
  readonly schema: JsonSchema;
  /** The references to other documents and within this one. */
  readonly references: readonly Reference[];
  /** Of subschemas that have an `$id` of their own; other documents can't refer to them. */
  readonly embedded: ReadonlySet<string>;
}

export interface Reference {
  /** Where in the document it stands, as `/properties/price/$ref`. */
  readonly pointer: string;
  /** As it is written. */
  readonly text: string;
  /** The document it leads to, without fragment. */
  readonly uri: string;
  /** What follows `#`, decoded; empty: the whole document. */
  readonly fragment: string;
}

/** Something is wrong with a schema. */
export interface SchemaProblem {
  /** A JSON pointer into the schema; empty: the whole. */
  readonly pointer: string;
  readonly message: string;
}

/** The keyword that counts how often references are followed (keywords.ts). */
export const stepKeyword = 'posthorn:step';

/**
 * Resolves a reference as RFC 3986 has it. One that begins with `/` and would so lead out of the directory or registry
 * that its schema is in, lies below that: repositories of schemas that may be served at any place write `/order/1.0.0`.
 * @param base the URI of what it stands in
 * @param root what all schemas lie below, ends in `/`
 * @returns null: it is no reference
 */
export function resolveReference(text: string, base: string, root: string): URL | null {
  if (!URL.canParse(text, base)) return null;
  const resolved = new URL(text, base);
  const leadsOut = /^\/(?!\/)/.test(text) && base.startsWith(root) && !resolved.href.startsWith(root);
  return leadsOut ? new URL(`.${text}`, root) : resolved;
}

/** The URI without its fragment. */
export function withoutFragment(uri: string): string {
  return uri.replace(/#.*$/s, '');
}

/**
 * Reads a schema. Pure.
 * @param schema parsed JSON
 * @param uri what it is known by where it has no `$id`
 * @param root as in `resolveReference`
 * @param isNamed whether it is known by `uri` even if its `$id` says otherwise
 */
export function readDocument(
  schema: unknown,
  { uri, root, isNamed }: { readonly uri: string; readonly root: string; readonly isNamed: boolean },
): SchemaDocument | { readonly problems: readonly SchemaProblem[] } {
  if (typeof schema !== 'boolean' && !isSchemaObject(schema)) {
    return { problems: [{ pointer: '', message: 'must be a JSON Schema: an object, true or false' }] };
  }
  const dialect = dialectOf(schema);
  if (typeof dialect === 'object') return { problems: [{ pointer: '/$schema', message: dialect.problem }] };
  const problems: SchemaProblem[] = [];
  const references: Reference[] = [];
  const embedded = new Set<string>();
  let own = uri;
  const change = (object: Record<string, unknown>, path: readonly string[], base: string): string => {
    const at = (keyword: string): string => formatPointer([...path, keyword]);
    let inner = base;
    // No keyword of JSON Schema: with it a validator would answer later, and so anything would pass.
    delete object.$async;
    // It would be taken for Posthorn's own.
    delete object[stepKeyword];
    const { $id: id } = object;
    if (typeof id === 'string' && !id.startsWith('#')) {
      const resolved = resolveReference(id, base, root);
      if (resolved === null || !/^#?$/.test(resolved.hash)) {
        problems.push({ pointer: at('$id'), message: `${JSON.stringify(id)} is not a URI without fragment` });
      } else if (path.length > 0 || !isNamed) {
        inner = withoutFragment(resolved.href);
      }
      if (path.length === 0) own = inner;
      else embedded.add(inner);
      object.$id = inner;
    }
    for (const keyword of ['$ref', '$dynamicRef'] as const) {
      const { [keyword]: text } = object;
      if (typeof text !== 'string') continue;
      const resolved = resolveReference(text, inner, root);
      if (resolved === null) {
        problems.push({ pointer: at(keyword), message: `${JSON.stringify(text)} is not a URI reference` });
        continue;
      }
      const fragment = decoded(resolved.hash.slice(1));
      references.push({ pointer: at(keyword), text, uri: withoutFragment(resolved.href), fragment });
      object[keyword] = resolved.href;
      object[stepKeyword] = true;
    }
    return inner;
  };
  const copy = mapSchemas(schema, dialect, change, uri);
  if (problems.length > 0) return { problems };
  const named = typeof copy === 'boolean' ? copy : { ...copy, $id: own, $schema: dialectUris[dialect] };
  return { uri: own, dialect, schema: named, references, embedded };
}

/** Text that is wrongly encoded stays as it is: it leads nowhere then. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const metaSchemas = new Set(Object.values(dialectUris));

/**
 * Why a reference leads nowhere, if it does.
 * @param from the document it stands in
 * @param find the other documents
 */
export function brokenReference(
  reference: Reference,
  from: SchemaDocument,
  find: (uri: string) => SchemaDocument | undefined,
): string | null {
  const { uri, fragment, text } = reference;
  // What ajv has by itself, or finds within the document.
  if (isMetaSchema(uri) || from.embedded.has(uri)) return null;
  const target = uri === from.uri ? from : find(uri);
  const shown = JSON.stringify(text);
  if (target === undefined) return `${shown} leads to ${uri}, which is not there`;
  if (target.dialect !== from.dialect) {
    return `${shown} leads to a schema of ${target.dialect}, and this one is of ${from.dialect}; use one $schema in both`;
  }
  const pointer = fragment === '' || fragment.startsWith('/') ? parsePointer(fragment) : [];
  const found = pointer?.reduce<unknown>((value, token) => memberOf(value, token), target.schema);
  return found === undefined ? `${shown} leads to ${fragment}, which ${target.uri} does not have` : null;
}

export function isMetaSchema(uri: string): boolean {
  return metaSchemas.has(uri) || uri.startsWith('https://json-schema.org/draft/2020-12/');
}

function memberOf(value: unknown, token: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
  return (value as Record<string, unknown>)[token];
}
