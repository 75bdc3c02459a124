import { CesqlFailure, type CesqlFunction } from './function-table.ts';
import { cast, castProblem, integerMax, integerMin, type Type, type Value } from './value.ts';

/** What CONCAT may make. Attributes together have 16 KiB in most brokers; this bounds memory, not use. */
export const textCharactersMax = 1_048_576;

/**
 * The functions that every expression may call: those of CESQL 1.0, 3.5.1 and 3.5.2, the casts that its examples use,
 * and IS_INT and IS_BOOL, which earlier drafts had and the Java and Go implementations still have.
 */
export const builtIns: readonly CesqlFunction[] = [
  text1('LENGTH', 'Integer', (text) => lengthOf(text)),
  { name: 'CONCAT', parameters: [], variadic: 'String', returns: 'String', call: (...texts) => join(texts, '') },
  {
    name: 'CONCAT_WS',
    parameters: ['String'],
    variadic: 'String',
    returns: 'String',
    call: (delimiter, ...texts) => join(texts, String(delimiter)),
  },
  text1('LOWER', 'String', (text) => text.toLowerCase()),
  text1('UPPER', 'String', (text) => text.toUpperCase()),
  text1('TRIM', 'String', trim),
  text2('LEFT', (text, count) => {
    if (count < 0) return new CesqlFailure(`LEFT takes 0 characters or more, found ${count}`, text);
    return text.slice(0, offsetOf(text, count));
  }),
  text2('RIGHT', (text, count) => {
    if (count < 0) return new CesqlFailure(`RIGHT takes 0 characters or more, found ${count}`, text);
    return text.slice(offsetOf(text, Math.max(0, lengthOf(text) - count)));
  }),
  text2('SUBSTRING', (text, at) => substring(text, at, integerMax)),
  {
    name: 'SUBSTRING',
    parameters: ['String', 'Integer', 'Integer'],
    returns: 'String',
    call: (text, at, length) => substring(String(text), Number(at), Number(length)),
  },
  { name: 'ABS', parameters: ['Integer'], returns: 'Integer', call: (value) => absolute(Number(value)) },
  castTo('INT', 'Integer'),
  castTo('BOOL', 'Boolean'),
  castTo('STRING', 'String'),
  isCastable('IS_INT', 'Integer'),
  isCastable('IS_BOOL', 'Boolean'),
];

function text1(name: string, returns: Type, call: (text: string) => Value): CesqlFunction {
  return { name, parameters: ['String'], returns, call: (text) => call(String(text)) };
}

function text2(name: string, call: (text: string, number: number) => string | CesqlFailure): CesqlFunction {
  return {
    name,
    parameters: ['String', 'Integer'],
    returns: 'String',
    call: (text, number) => call(String(text), Number(number)),
  };
}

function castTo(name: string, type: Type): CesqlFunction {
  const call = (value: Value = '') =>
    cast(value, type) ?? new CesqlFailure(castProblem(value, type), undefined, 'CastError');
  return { name, parameters: ['Any'], returns: type, call };
}

function isCastable(name: string, type: Type): CesqlFunction {
  const call = (value: Value = '') => cast(value, type) !== undefined;
  return { name, parameters: ['Any'], returns: 'Boolean', call };
}

function join(texts: readonly Value[], delimiter: string): string | CesqlFailure {
  let length = delimiter.length * Math.max(0, texts.length - 1);
  for (const text of texts) length += String(text).length;
  if (length <= textCharactersMax) return texts.join(delimiter);
  return new CesqlFailure(`a String has at most ${textCharactersMax} characters here, this has ${length}`);
}

function absolute(value: number): number | CesqlFailure {
  if (value !== integerMin) return Math.abs(value);
  return new CesqlFailure(`ABS(${value}) is more than the greatest Integer`, integerMax, 'MathError');
}

/** Positions count from 1, and from the end where they are not positive, so that nothing comes after 0. */
function substring(text: string, at: number, count: number): string | CesqlFailure {
  const length = lengthOf(text);
  if (count < 0) return new CesqlFailure(`SUBSTRING takes 0 characters or more, found ${count}`);
  if (at > length || at < -length) {
    return new CesqlFailure(`SUBSTRING begins at ${at}, but the String has ${length} characters`);
  }
  const before = at > 0 ? at - 1 : length + at;
  const rest = text.slice(offsetOf(text, before));
  return rest.slice(0, offsetOf(rest, count));
}

/** How many characters of Unicode there are; one beyond the basic plane is two units of a JavaScript string. */
function lengthOf(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) if (isPair(text, i)) length -= 1;
  return length;
}

/** How many units so many characters have, at most all. */
function offsetOf(text: string, characters: number): number {
  let offset = 0;
  for (let i = 0; i < characters && offset < text.length; i++) offset += isPair(text, offset) ? 2 : 1;
  return offset;
}

function isPair(text: string, offset: number): boolean {
  const unit = text.charCodeAt(offset);
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(offset + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

/** By Unicode's White_Space, which String.prototype.trim() misses by U+0085 and U+FEFF. */
function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isWhiteSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isWhiteSpace(unit: number): boolean {
  if (unit <= 0x20) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
  return unit === 0x85 || unit === 0xa0 || (unit >= 0x1680 && /\p{White_Space}/u.test(String.fromCharCode(unit)));
}
