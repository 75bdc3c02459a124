import { isUtf8 } from 'node:buffer';
import { EventError } from './errors.ts';

/** A JSON pointer (RFC 6901) as the names and indexes that it goes by; empty: the whole value. */
export type JsonPointer = readonly string[];

/** Reads a pointer as it is written, `/meta/id`; null for a text that is none. */
export function parsePointer(text: string): JsonPointer | null {
  if (text === '') return [];
  if (!text.startsWith('/') || /~(?![01])/.test(text)) return null;
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The pointer as it is written. */
export function formatPointer(pointer: JsonPointer): string {
  return pointer.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A JSON text that pointers are asked of. Numbers come out whole: those that a double can't hold, as they are written. */
export class JsonText {
  readonly #text: string;
  readonly #value: unknown;
  #exact: unknown;

  /** @param bytes a whole JSON text. @throws EventError if it is none */
  constructor(bytes: Buffer | null) {
    if (bytes === null) throw new EventError('there is no JSON to look into: the value is absent');
    if (!isUtf8(bytes)) throw new EventError('the value is not JSON: it is not UTF-8');
    this.#text = bytes.toString();
    try {
      this.#value = JSON.parse(this.#text);
    } catch (error) {
      throw new EventError(`the value is not JSON: ${error instanceof Error ? error.message : error}`);
    }
  }

  /**
   * What is there as text: strings as they are, numbers as written, booleans; undefined where there is nothing or null.
   * @throws EventError where it is an object or an array
   */
  textAt(pointer: JsonPointer): string | undefined {
    const found = find(this.#value, pointer);
    if (found === undefined || found === null) return undefined;
    if (typeof found === 'string') return found;
    if (typeof found === 'boolean') return String(found);
    if (typeof found === 'number') return this.#jsonOf(found, pointer);
    const kind = Array.isArray(found) ? 'an array' : 'an object';
    throw new EventError(`the value has ${kind} at ${formatPointer(pointer)}; a string, number or boolean is wanted`);
  }

  /** What is there as JSON without white space; undefined where there is nothing or null. */
  jsonAt(pointer: JsonPointer): string | undefined {
    const found = find(this.#value, pointer);
    return found === undefined || found === null ? undefined : this.#jsonOf(found, pointer);
  }

  #jsonOf(found: unknown, pointer: JsonPointer): string {
    if (typeof found === 'string' || typeof found === 'boolean' || Number.isSafeInteger(found)) {
      return JSON.stringify(found);
    }
    // A second reading, which keeps numbers as they are written, costs several times as much as the first.
    this.#exact ??= JSON.parse(this.#text, keepNumber as (key: string, value: unknown) => unknown);
    return JSON.stringify(find(this.#exact, pointer));
  }
}

function keyIn(value: unknown, token: string): unknown {
  if (Array.isArray(value)) return /^(?:0|[1-9]\d*)$/.test(token) ? value[Number(token)] : undefined;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
  return (value as Record<string, unknown>)[token];
}

function find(value: unknown, pointer: JsonPointer): unknown {
  let found = value;
  for (const token of pointer) found = keyIn(found, token);
  return found;
}

function keepNumber(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  return typeof value === 'number' && source !== undefined ? rawJson(source) : value;
}

/** In ECMAScript 2026; TypeScript's libraries don't know it yet. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };
