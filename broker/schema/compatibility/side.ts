import type { ErrorObject } from 'ajv';
import { formatPointer, parsePointer } from '../../../event/json-pointer.ts';
import { Compiler } from '../compile.ts';
import type { Dialect, JsonSchema, SchemaObject } from '../dialect.ts';
import { isSchemaObject } from '../dialect.ts';
import { decoded, type SchemaDocument, stepKeyword, withoutFragment } from '../document.ts';
import { mapSchemas } from '../walk.ts';

/** A subschema, and where it stands. */
export interface Node {
  readonly schema: JsonSchema;
  readonly document: SchemaDocument;
  /** Of the subschema in its document. */
  readonly path: readonly string[];
}

/** What the keywords of one schema object say, references and `allOf` aside, which are parts of their own. */
export interface Part extends Node {
  readonly schema: SchemaObject;
}

/** All that must hold at once. */
export interface Flat {
  readonly parts: readonly Part[];
  /** One of them is `false`: nothing is valid. */
  readonly isNever: boolean;
  /** References that lead to where nothing is known. */
  readonly opaque: readonly Node[];
}

/** Keywords that say nothing of what is valid. */
const annotations = new Set([
  ...['$schema', '$id', '$anchor', '$dynamicAnchor', '$comment', '$defs', '$vocabulary', 'definitions', stepKeyword],
  ...['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['contentEncoding', 'contentMediaType', 'contentSchema'],
]);

/** Keywords that the one dialect has and the other does not know. */
const only: Readonly<Record<Dialect, readonly string[]>> = {
  'draft-07': ['additionalItems'],
  '2020-12': [
    ...['prefixItems', 'dependentRequired', 'dependentSchemas', 'minContains', 'maxContains'],
    ...['unevaluatedItems', 'unevaluatedProperties', '$dynamicRef'],
  ],
};

/** Longer than that, two subschemas are not compared by their text. */
const fingerprintCharactersMax = 200_000;

/** The old or the new schema with all that it refers to. */
export class Side {
  readonly root: Node;
  readonly #documents: ReadonlyMap<string, SchemaDocument>;
  readonly #compiler: Compiler;

  /** @param documents all that the root refers to, right as they are, of its dialect */
  constructor(root: SchemaDocument, documents: ReadonlyMap<string, SchemaDocument>) {
    this.root = { schema: root.schema, document: root, path: [] };
    this.#documents = documents;
    this.#compiler = new Compiler(root.dialect);
    for (const document of documents.values()) this.#compiler.add(document);
  }

  /** Whether the subschema accepts the value; undefined where that can't be told. */
  accepts({ document, path }: Node, value: unknown): boolean | undefined {
    const error = this.#compiler.errorAt(referenceOf(document, path), value);
    return error === undefined ? undefined : error === null;
  }

  /** Why the whole schema does not accept the value; null: it does. */
  error(value: unknown): ErrorObject | null | undefined {
    return this.#compiler.errorAt(this.root.document.uri, value);
  }

  flatten(nodes: readonly Node[]): Flat {
    const parts: Part[] = [];
    const opaque: Node[] = [];
    const seen = new Set<string>();
    let isNever = false;
    const add = (node: Node): void => {
      const { schema } = node;
      if (schema === false) isNever = true;
      if (!isSchemaObject(schema)) return;
      const id = idOf(node);
      if (seen.has(id)) return;
      seen.add(id);
      const { $ref: ref, allOf, ...rest } = known(schema, node.document.dialect);
      parts.push({ ...node, schema: rest });
      if (typeof ref === 'string') {
        const target = this.#resolve(ref, node.document);
        if (target === null) opaque.push(child(node, '$ref'));
        else add(target);
      }
      for (const index of indexes(allOf)) add(child(node, 'allOf', index));
    };
    for (const node of nodes) add(node);
    return { parts, isNever, opaque };
  }

  #resolve(ref: string, from: SchemaDocument): Node | null {
    const uri = withoutFragment(ref);
    const document = from.uri === uri ? from : this.#documents.get(uri);
    const path = parsePointer(decoded(ref.slice(uri.length + 1)));
    if (document === undefined || path === null) return null;
    let schema: unknown = document.schema;
    for (const token of path) {
      if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, token)) return null;
      schema = (schema as Record<string, unknown>)[token];
    }
    return isSchemaObject(schema) || typeof schema === 'boolean' ? { schema, document, path } : null;
  }

  /**
   * A text that is the same for two subschemas only if they accept the same; null where there is none.
   * @param keywords of the subschema that are looked at; absent: all
   */
  fingerprint(node: Node, keywords?: readonly string[]): string | null {
    const { schema, document } = node;
    const picked =
      keywords === undefined || !isSchemaObject(schema)
        ? schema
        : Object.fromEntries(Object.entries(schema).filter(([name]) => keywords.includes(name)));
    const text = this.#expand({ ...node, schema: picked }, []);
    return text === null ? null : `${document.dialect} ${text}`;
  }

  /** @param within the references that led here: one that leads back is told by how far back */
  #expand({ schema, document }: Node, within: readonly string[]): string | null {
    let isKnown = true;
    const expanded = mapSchemas(
      schema,
      document.dialect,
      (copy) => {
        for (const name of Object.keys(copy)) if (annotations.has(name)) delete copy[name];
        if ('$dynamicRef' in copy || '$recursiveRef' in copy) isKnown = false;
        const { $ref: ref } = copy;
        if (typeof ref !== 'string' || !isKnown) return '';
        const target = this.#resolve(ref, document);
        const back = within.indexOf(ref);
        const text =
          target === null ? null : back < 0 ? this.#expand(target, [...within, ref]) : `back ${within.length - back}`;
        if (text === null || text.length > fingerprintCharactersMax) isKnown = false;
        copy.$ref = text;
        return '';
      },
      '',
    );
    const text = isKnown ? stable(expanded) : null;
    return text !== null && text.length > fingerprintCharactersMax ? null : text;
  }
}

/** The keywords that count in a dialect. */
function known(schema: SchemaObject, dialect: Dialect): SchemaObject {
  const foreign = only[dialect === 'draft-07' ? '2020-12' : 'draft-07'];
  return Object.fromEntries(
    Object.entries(schema).filter(([name]) => !annotations.has(name) && !foreign.includes(name)),
  );
}

/** The subschema below a keyword. */
export function child(node: Node, ...tokens: readonly string[]): Node {
  let schema: unknown = node.document.schema;
  const path = [...node.path, ...tokens];
  for (const token of path) schema = (schema as Record<string, unknown>)[token];
  return { schema: schema as JsonSchema, document: node.document, path };
}

/** `0`, `1` ... of a list; none where it is no list. */
export function indexes(list: unknown): string[] {
  return Array.isArray(list) ? list.map((_, index) => String(index)) : [];
}

/** The names of an object; none where it is no object. */
export function namesOf(object: unknown): string[] {
  return isSchemaObject(object) ? Object.keys(object) : [];
}

export function idOf({ document, path }: Node): string {
  return document.uri + formatPointer(path);
}

function referenceOf({ uri }: SchemaDocument, path: readonly string[]): string {
  return path.length === 0 ? uri : `${uri}#${path.map((token) => `/${escaped(token)}`).join('')}`;
}

function escaped(token: string): string {
  return encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** JSON that is the same for equal values. */
export function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${stable(member)}`);
  return `{${members.sort().join()}}`;
}
