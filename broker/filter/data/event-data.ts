import { isUtf8 } from 'node:buffer';
import type { CloudEvent } from '../../../event/event.ts';
import { checkJson, JsonError } from '../../../event/json-slice.ts';
import { isJsonType } from '../../../event/media-type.ts';
import { intMax, intMin, type JsonObject, Tagged, uintMax, type Value } from './value.ts';

/** The largest event that the ingress takes by default: reading it takes some milliseconds. */
export const dataBytesMax = 1_048_576;

/** Deeper than any data that is meant to be read, and shallow enough for the stack. */
export const dataNestingMax = 128;

/** A megabyte of texts and numbers that people care for has fewer; one of nothing but brackets takes long to read. */
export const dataValuesMax = 50_000;

/** What an event has as JSON. */
export type JsonData =
  | { readonly kind: 'json'; readonly value: Value }
  /** There is none; that is nobody's mistake. */
  | { readonly kind: 'none'; readonly reason: string }
  /** It is over a bound, or not what its type says. */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** One event as the data filters see it: its data is read once for all of them, and only if one asks for it. */
export class EventData {
  readonly #event: CloudEvent;
  #json: JsonData | undefined;
  #attributes: JsonObject | undefined;

  constructor(event: CloudEvent) {
    this.#event = event;
  }

  /** Those that the event has. */
  get attributes(): JsonObject {
    this.#attributes ??= presentOf(this.#event.attributes);
    return this.#attributes;
  }

  json(): JsonData {
    this.#json ??= readJson(this.#event);
    return this.#json;
  }
}

function presentOf(attributes: CloudEvent['attributes']): JsonObject {
  const present: Record<string, string> = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value !== undefined) present[name] = value;
  }
  return present;
}

/**
 * Data that says by its `datacontenttype` that it is JSON has to be. Where an event says nothing, JSON is implied
 * (CloudEvents JSON format, 3.1.1), but producers that write to the topic themselves say nothing of other data as well.
 */
function readJson({ data, attributes }: CloudEvent): JsonData {
  const type = attributes.datacontenttype;
  if (!isJsonType(type)) return { kind: 'none', reason: `the data of the event is ${type}, not JSON` };
  if (data === undefined || data.length === 0) return { kind: 'none', reason: 'the event has no data' };
  if (data.length > dataBytesMax) {
    return unreadable(`the data has ${data.length} bytes, and data filters read at most ${dataBytesMax}`);
  }
  const { nesting, values, hasLongNumber } = survey(data);
  if (nesting > dataNestingMax) {
    return unreadable(`the data is nested ${nesting} deep, and data filters read at most ${dataNestingMax}`);
  }
  if (values > dataValuesMax) {
    return unreadable(`the data has ${values} values, and data filters read at most ${dataValuesMax}`);
  }
  try {
    if (isUtf8(data)) return { kind: 'json', value: parse(data.toString(), hasLongNumber) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (type === undefined) return { kind: 'none', reason: `the data of the event is not JSON: ${problemOf(data)}` };
  return unreadable(`the data is not the JSON that its datacontenttype ${type} says: ${problemOf(data)}`);
}

/** With the place, and without a piece of the data, which is nothing for log lines. */
function problemOf(data: Buffer): string {
  try {
    checkJson(data);
  } catch (error) {
    if (error instanceof JsonError) return error.message;
    throw error;
  }
  return 'it can not be parsed';
}

function unreadable(reason: string): JsonData {
  return { kind: 'unreadable', reason };
}

const quote = 0x22;
const backslash = 0x5c;

interface Survey {
  /** How deep it is nested. */
  readonly nesting: number;
  /** Lists, objects, and what is in them; an empty list counts as two. */
  readonly values: number;
  /** Whether a number has so many digits that a double may not hold it. */
  readonly hasLongNumber: boolean;
}

function survey(json: Buffer): Survey {
  let depth = 0;
  let nesting = 0;
  let values = 1;
  let digits = 0;
  let hasLongNumber = false;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) {
      digits += 1;
      if (digits === safeDigits) hasLongNumber = true;
      continue;
    }
    digits = 0;
    if (byte === quote) {
      at += 1;
      while (at < json.length && json[at] !== quote) at += json[at] === backslash ? 2 : 1;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      values += 1;
      if (depth > nesting) nesting = depth;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth -= 1;
    } else if (byte === 0x2c) {
      values += 1;
    }
  }
  return { nesting, values, hasLongNumber };
}

/** Every whole number of fewer digits is one that a double holds: 2^53 has 16. */
const safeDigits = 16;

function parse(text: string, hasLongNumber: boolean): Value {
  return hasLongNumber ? JSON.parse(text, exactNumber) : JSON.parse(text);
}

/**
 * A whole number that a double can't hold is an int or a uint, so that ids are compared as they are written; beyond
 * 64 bits it is the nearest double.
 */
function exactNumber(_name: string, value: Value, context?: { readonly source?: string }): Value {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const { source = '' } = context ?? {};
  if (!/^-?\d{1,20}$/.test(source)) return value;
  const exact = BigInt(source);
  if (exact >= intMin && exact <= intMax) return exact;
  return exact > 0 && exact <= uintMax ? new Tagged('uint', exact) : value;
}
