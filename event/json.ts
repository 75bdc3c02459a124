import { isUtf8 } from 'node:buffer';
import { EventError, shown } from './errors.ts';
import { type AttributesDraft, type CloudEvent, newAttributes } from './event.ts';
import { isJson, JsonError, type JsonMember, membersOf, membersOfEach, textOf } from './json-slice.ts';
import { isJsonType, isTextType, isUtf8Type } from './media-type.ts';
import { attributesMaxBytes, checkAttributes, checkName, requiredAttributes } from './validate.ts';

/**
 * Reads an event in the JSON event format (CloudEvents JSON format 1.0.2, section 3). Data that is JSON is the exact
 * slice of the bytes, shared with them. Without a `datacontenttype` it gets the one that is implied, application/json.
 *
 * @throws EventError
 */
export function decodeJson(bytes: Buffer, attributesMax: number = attributesMaxBytes): CloudEvent {
  return eventOf(bytes, read(membersOf, bytes), attributesMax);
}

/** Reads a batch (JSON format, section 4); it may be empty. @throws EventError that has the index of the member */
export function decodeJsonBatch(bytes: Buffer): CloudEvent[] {
  return read(membersOfEach, bytes).map((members, index) => {
    try {
      return eventOf(bytes, members, attributesMaxBytes);
    } catch (error) {
      throw error instanceof EventError ? error.inBatch(index) : error;
    }
  });
}

/**
 * Writes the event in the JSON event format: JSON data as it is, text as a string, all else in base64, also data of no
 * type, which in `data` would be taken for JSON (JSON format, section 3.1.1). All attributes are strings, their canonical
 * form.
 */
export function encodeJson(event: CloudEvent): Buffer {
  return encodeAs(event, event.attributes.datacontenttype);
}

/** The same for people, who read the event and forward it to nobody: data of no type that happens to be JSON is shown. */
export function encodeReadableJson(event: CloudEvent): Buffer {
  return encodeAs(event, event.attributes.datacontenttype ?? 'application/json');
}

/** @param type what the data is taken for */
function encodeAs(event: CloudEvent, type: string | undefined): Buffer {
  const { head, data, tail } = partsOf(event, type);
  return data === null ? Buffer.from(head) : Buffer.concat([Buffer.from(head), data, Buffer.from(tail)]);
}

interface JsonParts {
  readonly head: string;
  /** JSON data as it is; null where there is none, or it is within the head. */
  readonly data: Buffer | null;
  readonly tail: string;
}

/** A member of a batch as what it is put together of, so that its data is copied once only, to where it goes. */
export interface BatchMember extends JsonParts {
  /** Of all three in UTF-8, and of the bracket or comma before it. */
  readonly bytes: number;
}

/** What `encodeJson` writes, as a member of a batch. */
export function batchMemberOf(event: CloudEvent): BatchMember {
  const { head, data, tail } = partsOf(event, event.attributes.datacontenttype);
  return { head, data, tail, bytes: 1 + Buffer.byteLength(head) + (data?.length ?? 0) + tail.length };
}

/** Writes a batch of one event or more (JSON format, section 4). It has one byte more than its members together. */
export function encodeJsonBatch(members: readonly BatchMember[]): Buffer {
  const body = Buffer.allocUnsafe(members.reduce((sum, { bytes }) => sum + bytes, 1));
  let at = 0;
  for (const { head, data, tail } of members) {
    at += body.write(at === 0 ? '[' : ',', at, 'latin1');
    at += body.write(head, at);
    if (data !== null) at += data.copy(body, at);
    at += body.write(tail, at, 'latin1');
  }
  body.write(']', at, 'latin1');
  return body;
}

function partsOf({ attributes, data }: CloudEvent, type: string | undefined): JsonParts {
  let head = '';
  for (const name in attributes) {
    const value = attributes[name];
    if (value !== undefined) head += `${head === '' ? '{' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`;
  }
  if (data === undefined) return allInHead(`${head}}`);
  if (type !== undefined && isJsonType(type)) {
    if (isJson(data)) return { head: `${head},"data":`, data, tail: '}' };
  } else if (type !== undefined && isTextType(type) && isUtf8Type(type) && isUtf8(data)) {
    return allInHead(`${head},"data":${JSON.stringify(data.toString())}}`);
  }
  return allInHead(`${head},"data_base64":"${data.toString('base64')}"}`);
}

function allInHead(head: string): JsonParts {
  return { head, data: null, tail: '' };
}

function read<T>(parse: (bytes: Buffer) => T, bytes: Buffer): T {
  try {
    return parse(bytes);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new EventError(`the event is not in the JSON event format: ${error.message}`);
  }
}

function eventOf(bytes: Buffer, members: readonly JsonMember[], attributesMax: number): CloudEvent {
  const attributes = newAttributes();
  const seen = new Set<string>();
  let data: JsonMember | undefined;
  let base64: JsonMember | undefined;
  for (const member of members) {
    const { name } = member;
    if (seen.has(name)) throw new EventError(`the member ${shown(name)} occurs twice`, { attribute: name });
    seen.add(name);
    if (name === 'data') data = member;
    else if (name === 'data_base64') base64 = member.kind === 'null' ? undefined : member;
    else readAttribute(attributes, bytes, member);
  }
  if (data !== undefined && base64 !== undefined) {
    throw new EventError('data and data_base64 are both there; an event has one of them', { attribute: 'data_base64' });
  }
  if (data !== undefined) attributes.datacontenttype ??= 'application/json';
  checkAttributes(attributes, attributesMax);
  if (base64 !== undefined) return { attributes, data: bytesOfBase64(bytes, base64) };
  return { attributes, data: data && dataOf(bytes, data, attributes.datacontenttype) };
}

/** Sets the attribute in canonical string form (JSON format, section 2.2); null is an attribute that is not set. */
function readAttribute(attributes: AttributesDraft, bytes: Buffer, member: JsonMember): void {
  const { name, kind, start, end } = member;
  checkName(name);
  if (kind === 'null') return;
  if (kind === 'string') {
    attributes[name] = textOf(bytes, start, end);
    return;
  }
  const text = bytes.toString('latin1', start, end);
  if (!stringAttributes.has(name)) {
    if (kind === 'boolean') {
      attributes[name] = text;
      return;
    }
    if (kind === 'number' && /^-?\d{1,10}$/.test(text) && Number(text) === (Number(text) | 0)) {
      // By way of a number, as -0 is written 0.
      attributes[name] = String(Number(text) | 0);
      return;
    }
  }
  const wanted = stringAttributes.has(name)
    ? 'a JSON string is wanted'
    : 'a JSON string, a boolean or an integer from -2147483648 to 2147483647 is wanted';
  throw new EventError(`attribute ${name} is the ${kind} ${shown(text)}: ${wanted}`, { attribute: name });
}

/** The attributes whose type CloudEvents gives as one that JSON writes as a string. */
const stringAttributes: ReadonlySet<string> = new Set([
  ...requiredAttributes,
  'datacontenttype',
  'dataschema',
  'subject',
  'time',
]);

function bytesOfBase64(bytes: Buffer, { kind, start, end }: JsonMember): Buffer {
  const text = kind === 'string' ? textOf(bytes, start, end) : bytes.toString('utf8', start, end);
  const data = Buffer.from(text, 'base64');
  // Node's decoder passes over what is not base64, so what it read must come out again.
  if (kind === 'string' && data.toString('base64') === text) return data;
  throw new EventError(
    `data_base64 is ${shown(text)}: a string in base64 is wanted (RFC 4648, section 4, padded, no white space)`,
    { attribute: 'data_base64' },
  );
}

/** The bytes of the `data` member (JSON format, section 3.1.2). */
function dataOf(bytes: Buffer, { kind, start, end }: JsonMember, type: string | undefined): Buffer {
  if (kind !== 'string' || type === undefined || isJsonType(type)) return bytes.subarray(start, end);
  const text = textOf(bytes, start, end);
  if (!text.isWellFormed()) {
    throw new EventError('data has a lone surrogate, which no text can hold; send it in data_base64', {
      attribute: 'data',
    });
  }
  const data = Buffer.from(text);
  if (data.length !== text.length && !isUtf8Type(type)) {
    throw new EventError(
      `data is text of ${shown(type)}, which is written in UTF-8 only here; send it in data_base64`,
      {
        attribute: 'data',
      },
    );
  }
  return data;
}
