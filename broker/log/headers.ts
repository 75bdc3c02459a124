import { isUtf8 } from 'node:buffer';
import type { HeaderValue } from './log.ts';

/** The headers of a record while they are read. */
export type ReadHeaders = Record<string, HeaderValue | HeaderValue[]>;

/**
 * The value of a record's header: text where it is UTF-8. Text costs less than bytes, of which each value would be an
 * object of its own.
 */
export function headerValueAt(bytes: Buffer, start: number, end: number): HeaderValue {
  // Most values are ASCII, and latin1 is the decoding that costs least.
  const text = bytes.toString('latin1', start, end);
  if (isAscii(text)) return text;
  const value = bytes.subarray(start, end);
  return isUtf8(value) ? value.toString() : value;
}

/** The name of a record's header, which is UTF-8. */
export function headerNameAt(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('latin1', start, end);
  return isAscii(text) ? text : bytes.toString('utf8', start, end);
}

/** Adds a header behind those of the same name. */
export function addHeader(headers: ReadHeaders, name: string, value: HeaderValue): void {
  const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (before === undefined) setOwn(headers, name, value);
  else if (Array.isArray(before)) before.push(value);
  else setOwn(headers, name, [before, value]);
}

/** Assignment would change the prototype where the name is `__proto__`. */
function setOwn(headers: ReadHeaders, name: string, value: HeaderValue | HeaderValue[]): void {
  if (name !== '__proto__') headers[name] = value;
  else Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Out here, as a literal in a function is a new object at each call. */
const ascii = /^[\0-\x7f]*$/;

function isAscii(text: string): boolean {
  return ascii.test(text);
}
