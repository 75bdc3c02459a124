/**
 * What an expression computes with. Of the types of CEL: int is bigint, double is number, list is an array; a map is an
 * object, as JSON has it, or a Map, as `{…}` makes it. The others are tagged.
 */
export type Value =
  | null
  | boolean
  | string
  | number
  | bigint
  | Tagged
  | TypeValue
  | readonly Value[]
  | ReadonlyMap<MapKey, Value>
  | JsonObject;

export interface JsonObject {
  readonly [name: string]: Value;
}

/** Numbers are whole here, and of whatever type bigint: 1, 1u and 1.0 are one key. */
export type MapKey = string | boolean | bigint;

/** A value of a type that JavaScript lacks. */
export class Tagged {
  readonly kind: 'uint' | 'timestamp' | 'duration';
  /** Of a timestamp nanoseconds since 1970, of a duration nanoseconds. */
  readonly value: bigint;

  constructor(kind: Tagged['kind'], value: bigint) {
    this.kind = kind;
    this.value = value;
  }
}

/** A type, as a value: `type(data.x) == string`. */
export class TypeValue {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What stands in place of a value after an error. Not thrown: `||` and `&&` go on after one, and there are many. */
export class Failure {
  readonly message: string;
  /** Where in the expression: an offset in UTF-16 units, from 0. */
  readonly position: number;

  constructor(message: string, position: number) {
    this.message = message;
    this.position = position;
  }
}

export const intMin = -(2n ** 63n);
export const intMax = 2n ** 63n - 1n;
export const uintMax = 2n ** 64n - 1n;

export function isTagged(value: Value, kind: Tagged['kind']): value is Tagged {
  return value instanceof Tagged && value.kind === kind;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMade(value: Value): value is ReadonlyMap<MapKey, Value> {
  return value instanceof Map;
}

export function isObject(value: Value): value is JsonObject {
  if (typeof value !== 'object' || value === null) return false;
  return !(isList(value) || isMade(value) || value instanceof Tagged || value instanceof TypeValue);
}

/** The name of its type in CEL. */
export function typeOf(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'number':
      return 'double';
    case 'bigint':
      return 'int';
    case 'boolean':
      return 'bool';
    default:
      if (value === null) return 'null_type';
      if (isList(value)) return 'list';
      if (value instanceof TypeValue) return 'type';
      return value instanceof Tagged ? value.kind : 'map';
  }
}

/** The number that a value of one of the three types of numbers is; undefined for another. */
export function numberOf(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return isTagged(value, 'uint') ? value.value : undefined;
}

/** A whole number, of whatever type: JSON knows only one type of numbers. */
export function wholeOf(value: Value): bigint | undefined {
  const number = numberOf(value);
  if (typeof number !== 'number') return number;
  return Number.isSafeInteger(number) ? BigInt(number) : undefined;
}

/** The value of a key; undefined where the map lacks it. */
export function lookUp(map: ReadonlyMap<MapKey, Value> | JsonObject, key: Value): Value | undefined {
  if (isMade(map)) {
    const known = mapKeyOf(key);
    return known === undefined ? undefined : map.get(known);
  }
  return typeof key === 'string' && Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Undefined for what is no key of any map. */
export function mapKeyOf(value: Value): MapKey | undefined {
  return typeof value === 'string' || typeof value === 'boolean' ? value : wholeOf(value);
}

/** The keys of a map, as values. */
export function keysOf(map: ReadonlyMap<MapKey, Value> | JsonObject): readonly MapKey[] {
  if (isMade(map)) return [...map.keys()];
  return Object.keys(map);
}
