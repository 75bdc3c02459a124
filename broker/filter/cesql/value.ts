import { type CesqlError, shorten } from './errors.ts';

/** A String, an Integer (32 bits, signed) or a Boolean (CESQL 1.0, 3.1). */
export type Value = string | number | boolean;

/** The types of values, by their names in the specification. */
export type Type = 'String' | 'Integer' | 'Boolean';

/** The attributes of an event by their names in lower case; one that is undefined is absent. */
export type Attributes = Readonly<Record<string, Value | undefined>>;

/** Where errors are gathered; null where nobody reads them, which saves making them. */
export type Errors = CesqlError[] | null;

export const integerMin = -2_147_483_648;
export const integerMax = 2_147_483_647;

/** What an operator or function gives that can't give anything better. */
export function zeroOf(type: Type): Value {
  switch (type) {
    case 'String':
      return '';
    case 'Integer':
      return 0;
    case 'Boolean':
      return false;
  }
}

export function typeOf(value: Value): Type {
  switch (typeof value) {
    case 'string':
      return 'String';
    case 'number':
      return 'Integer';
    case 'boolean':
      return 'Boolean';
  }
}

/** The value of an attribute (CESQL 1.0, 3.2): a number that is no Integer becomes a String. Undefined: it is absent. */
export function attributeValue(value: unknown): Value | undefined {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value !== 'number') return undefined;
  return isInteger(value) ? value | 0 : String(value);
}

export function isInteger(value: number): boolean {
  return Number.isInteger(value) && value >= integerMin && value <= integerMax;
}

/** The value as that type (CESQL 1.0, 3.7), or undefined where it is not one. */
export function cast(value: Value, type: Type): Value | undefined {
  switch (type) {
    case 'String':
      return typeof value === 'string' ? value : String(value);
    case 'Integer':
      return toInteger(value);
    case 'Boolean':
      return toBoolean(value);
  }
}

/** What `cast` does; a value that can't be cast is an error that came from the position. */
export function castOrFail(value: Value, type: Type, position: number, errors: Errors): Value | undefined {
  const result = cast(value, type);
  if (result === undefined) errors?.push({ kind: 'CastError', message: castProblem(value, type), position });
  return result;
}

export function castProblem(value: Value, type: Type): string {
  const right =
    type === 'Integer' ? `digits with or without a sign, from ${integerMin} to ${integerMax}` : 'true or false';
  return `the ${typeOf(value)} ${shownValue(value)} is no ${type}: expected ${right}`;
}

/** For messages. */
export function shownValue(value: Value): string {
  return typeof value === 'string' ? JSON.stringify(shorten(value)) : String(value);
}

function toInteger(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (!/^[+-]?[0-9]+$/.test(value)) return undefined;
  const integer = Number(value);
  // -0 is 0.
  return isInteger(integer) ? integer | 0 : undefined;
}

function toBoolean(value: Value): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  if (value === 'true') return true;
  if (value === 'false') return false;
  // No longer text has these as its lower case.
  if (value.length > 5) return undefined;
  const lower = value.toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}
