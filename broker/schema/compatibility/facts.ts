import { isSchemaObject } from '../dialect.ts';
import { budget, regExp } from '../keywords.ts';
import { child, type Flat, indexes, type Node, namesOf, type Part, type Side } from './side.ts';

/** The kinds of JSON values; a number is an `integer` or a `fraction`. */
export const kinds = ['null', 'boolean', 'integer', 'fraction', 'string', 'array', 'object'] as const;
export type Kind = (typeof kinds)[number];

export function kindOf(value: unknown): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return typeof value === 'boolean' || typeof value === 'string' ? (typeof value as Kind) : 'object';
}

/** Those that are in both. */
export function common<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): Set<T> {
  return new Set([...a].filter((one) => b.has(one)));
}

/** What `type` says, or null where it says nothing. */
export function kindsOfType({ type, nullable }: Part['schema']): ReadonlySet<Kind> | null {
  if (type === undefined) return null;
  const found = new Set<Kind>();
  for (const one of [type].flat()) {
    if (one === 'number') found.add('integer').add('fraction');
    else found.add(one as Kind);
  }
  // Of OpenAPI, and understood by ajv in any schema.
  if (nullable === true) found.add('null');
  return found;
}

/** No valid value is of another kind. */
export function kindsOf(side: Side, flat: Flat, depth = 0): ReadonlySet<Kind> {
  if (flat.isNever) return new Set();
  let found: ReadonlySet<Kind> = new Set(kinds);
  const narrow = (to: ReadonlySet<Kind> | null): void => {
    if (to !== null) found = common(found, to);
  };
  for (const part of flat.parts) {
    const { schema } = part;
    narrow(kindsOfType(schema));
    const values = valuesIn(schema);
    if (values !== null) narrow(new Set(values.map(kindOf)));
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      const branches = indexes(schema[keyword]);
      if (branches.length === 0 || depth > 3) continue;
      const union = new Set<Kind>();
      for (const index of branches) {
        const branch = side.flatten([child(part, keyword, index)]);
        for (const kind of kindsOf(side, branch, depth + 1)) union.add(kind);
      }
      narrow(union);
    }
  }
  return found;
}

function valuesIn({ enum: values, const: value }: Part['schema']): readonly unknown[] | null {
  if (value !== undefined) return [value];
  return Array.isArray(values) ? values : null;
}

/** All values that may be valid, where they can be listed; else null. */
export function listed({ parts }: Flat, may: ReadonlySet<Kind>): readonly unknown[] | null {
  for (const { schema } of parts) {
    const values = valuesIn(schema);
    if (values !== null) return values;
  }
  if ([...may].some((kind) => kind !== 'null' && kind !== 'boolean')) return null;
  return [...(may.has('null') ? [null] : []), ...(may.has('boolean') ? [true, false] : [])];
}

/** The largest (or smallest) number that the keyword has in any part; null where none has it. */
export function extreme({ parts }: Flat, keyword: string, which: 'max' | 'min'): number | null {
  const numbers = parts.map(({ schema }) => schema[keyword]).filter((value) => typeof value === 'number');
  return numbers.length === 0 ? null : Math[which](...numbers);
}

/** A bound of numbers; of integers it is the last that is allowed. */
export interface Bound {
  readonly at: number;
  readonly isOpen: boolean;
}

/** The tightest lower bound. */
export function lowerBound(flat: Flat, areIntegers: boolean): Bound | null {
  const [closed, open] = [extreme(flat, 'minimum', 'max'), extreme(flat, 'exclusiveMinimum', 'max')];
  if (closed === null && open === null) return null;
  const isOpen = open !== null && (closed === null || open >= closed);
  const at = isOpen ? (open ?? 0) : (closed ?? 0);
  if (!areIntegers || !Number.isSafeInteger(Math.trunc(at))) return { at, isOpen };
  return { at: isOpen ? Math.floor(at) + 1 : Math.ceil(at), isOpen: false };
}

/** The tightest upper bound. */
export function upperBound(flat: Flat, areIntegers: boolean): Bound | null {
  const [closed, open] = [extreme(flat, 'maximum', 'min'), extreme(flat, 'exclusiveMaximum', 'min')];
  if (closed === null && open === null) return null;
  const isOpen = open !== null && (closed === null || open <= closed);
  const at = isOpen ? (open ?? 0) : (closed ?? 0);
  if (!areIntegers || !Number.isSafeInteger(Math.trunc(at))) return { at, isOpen };
  return { at: isOpen ? Math.ceil(at) - 1 : Math.floor(at), isOpen: false };
}

export function requiredNames({ parts }: Flat): ReadonlySet<string> {
  return new Set(parts.flatMap(({ schema }) => (Array.isArray(schema.required) ? schema.required : [])));
}

/** What the value of a property must satisfy, by one part. */
export function propertyNodes(part: Part, name: string): Node[] {
  const { properties, patternProperties, additionalProperties } = part.schema;
  const found: Node[] = [];
  if (isSchemaObject(properties) && Object.hasOwn(properties, name)) found.push(child(part, 'properties', name));
  for (const pattern of namesOf(patternProperties)) {
    if (matches(pattern, name)) found.push(child(part, 'patternProperties', pattern));
  }
  if (found.length === 0 && additionalProperties !== undefined) found.push(child(part, 'additionalProperties'));
  return found;
}

export function matches(pattern: string, text: string): boolean {
  budget.reset();
  return regExp(pattern).test(text);
}

/** The items of an array by one part: those at the first places, and the rest. */
export interface Items {
  readonly prefix: readonly Node[];
  /** Null: anything. */
  readonly rest: Node | null;
}

export function itemsOf(part: Part): Items {
  const { items, prefixItems, additionalItems } = part.schema;
  if (part.document.dialect === '2020-12') {
    const prefix = indexes(prefixItems).map((index) => child(part, 'prefixItems', index));
    return { prefix, rest: items === undefined ? null : child(part, 'items') };
  }
  if (!Array.isArray(items)) return { prefix: [], rest: items === undefined ? null : child(part, 'items') };
  const prefix = indexes(items).map((index) => child(part, 'items', index));
  return { prefix, rest: additionalItems === undefined ? null : child(part, 'additionalItems') };
}

/** What the item at a place must satisfy. */
export function itemNodes({ parts }: Flat, index: number): Node[] {
  return parts.flatMap((part) => {
    const { prefix, rest } = itemsOf(part);
    return prefix[index] ?? rest ?? [];
  });
}

/** No valid array is longer; null: it may be of any length. */
export function longest(flat: Flat): number | null {
  const ends = flat.parts.flatMap((part) => {
    const { prefix, rest } = itemsOf(part);
    return rest?.schema === false ? [prefix.length] : [];
  });
  const most = extreme(flat, 'maxItems', 'min');
  if (most !== null) ends.push(most);
  return ends.length === 0 ? null : Math.min(...ends);
}
