import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import type { ExpectedEvent } from './cases.ts';

/**
 * A receiver of CloudEvents that shares nothing with Posthorn's codec, so that a mistake of one is not hidden by the
 * same mistake of the other. It is strict in what it takes: each message must be as the specification has senders write it.
 */
export interface Received {
  readonly attributes: Readonly<Record<string, string>>;
  /** Null: no data. */
  readonly data: Buffer | null;
}

/**
 * @param rawHeaders flat, as on the wire
 * @throws Error with the rule of the specification that is broken
 */
export function receive(rawHeaders: readonly string[], body: Buffer): Received {
  const types = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'content-type');
  assert.ok(types.length <= 1, `content-type ${types.length} times`);
  const received = types[0]?.startsWith('application/cloudevents')
    ? structured(types[0], body)
    : binary(rawHeaders, types[0], body);
  checkValid(received.attributes);
  return received;
}

/** The same for a batch: its events in their order. */
export function receiveBatch(rawHeaders: readonly string[], body: Buffer): Received[] {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type');
  assert.match(rawHeaders[at + 1] ?? '', /^application\/cloudevents-batch\+json(; charset=utf-8)?$/, 'HTTP 3.3.1');
  const events = membersOf(body).map(jsonEvent);
  assert.equal(events.length, (JSON.parse(body.toString()) as unknown[]).length, 'JSON 4.2: an array of events');
  for (const { attributes } of events) checkValid(attributes);
  return events;
}

/** The bytes of each object of a JSON array of objects. */
function membersOf(body: Buffer): Buffer[] {
  const members: Buffer[] = [];
  let [depth, start] = [0, 0];
  // Strings, in which braces are no braces, and braces; all of it ASCII, so that a character is a byte.
  for (const { 0: token, index } of body.toString('latin1').matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (token === '{' && depth++ === 0) start = index;
    if (token === '}' && --depth === 0) members.push(body.subarray(start, index + 1));
  }
  return members;
}

function binary(rawHeaders: readonly string[], type: string | undefined, body: Buffer): Received {
  const attributes: Record<string, string> = type === undefined ? {} : { datacontenttype: type };
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [header = '', value = ''] = rawHeaders.slice(at, at + 2);
    assert.match(header + value, /^[ -~]*$/, 'HTTP 3.1.3.2: a header has printable ASCII only');
    if (!header.toLowerCase().startsWith('ce-')) continue;
    const name = header.slice(3).toLowerCase();
    assert.ok(!Object.hasOwn(attributes, name), `HTTP 3.1.3: ${name} occurs twice`);
    assert.doesNotMatch(value, /[ "]/, 'HTTP 3.1.3.2: space and double quote are encoded');
    attributes[name] = decodeURIComponent(value);
  }
  return { attributes, data: body.length === 0 ? null : body };
}

function structured(type: string, body: Buffer): Received {
  assert.match(type, /^application\/cloudevents\+json(; charset=utf-8)?$/, 'HTTP 3.2.1');
  return jsonEvent(body);
}

function jsonEvent(body: Buffer): Received {
  assert.ok(isUtf8(body), 'JSON is UTF-8');
  const { data, data_base64: base64, ...members } = JSON.parse(body.toString()) as Record<string, unknown>;
  assert.ok(data === undefined || base64 === undefined, 'JSON 3.1.1: data or data_base64');
  for (const [name, value] of Object.entries(members)) assert.equal(typeof value, 'string', name);
  const attributes = members as Record<string, string>;
  if (typeof base64 === 'string') return { attributes, data: Buffer.from(base64, 'base64') };
  assert.equal(base64, undefined, 'JSON 3.1.1: data_base64 is a string');
  if (data === undefined) return { attributes, data: null };
  const isJson = /^[^;]*[/+]json *(;|$)/i.test(attributes.datacontenttype ?? 'application/json');
  if (!isJson) {
    assert.equal(typeof data, 'string', 'JSON 3.1.1: data of another type is a string');
    return { attributes, data: Buffer.from(data as string) };
  }
  return { attributes: { datacontenttype: 'application/json', ...attributes }, data: bytesOfData(body, data) };
}

/**
 * The bytes of the data as they stand in the body. No parser tells them, but Posthorn writes `data` last; that it is the
 * member and not something else is seen by its value.
 */
function bytesOfData(body: Buffer, data: unknown): Buffer {
  for (let at = body.indexOf('"data":'); at >= 0; at = body.indexOf('"data":', at + 1)) {
    const bytes = body.subarray(at + 7, body.length - 1);
    try {
      assert.deepEqual(JSON.parse(bytes.toString()), data);
      return bytes;
    } catch {
      // Within the text of an attribute, or of the data itself.
    }
  }
  throw new Error('the bytes of data are not in the body');
}

/** The rules of CloudEvents 1.0.2, "Context Attributes", as far as a few lines can say them. */
export function checkValid(attributes: Readonly<Record<string, string>>): void {
  assert.equal(attributes.specversion, '1.0');
  for (const name of ['id', 'source', 'type', 'subject', 'time', 'dataschema', 'datacontenttype']) {
    const isRequired = ['id', 'source', 'type'].includes(name);
    if (isRequired || attributes[name] !== undefined) assert.ok(attributes[name], `${name} is not empty`);
  }
  for (const [name, value] of Object.entries(attributes)) {
    assert.match(name, /^[a-z0-9]+$/);
    assert.notEqual(name, 'data');
    assert.ok(value.isWellFormed(), `${name} has a lone surrogate`);
    for (const character of value) {
      const point = character.codePointAt(0) ?? 0;
      const isControl = point < 0x20 || (point > 0x7e && point < 0xa0);
      const isNoncharacter = point % 0x10000 > 0xfffd || (point > 0xfdcf && point < 0xfdf0);
      assert.ok(!isControl && !isNoncharacter, `${name} has the character ${point.toString(16)}`);
    }
  }
  const { source = '', time, dataschema, datacontenttype } = attributes;
  assert.match(source, /^[!#$%&'()*+,\-./0-9:;=?@A-Z[\]_a-z~]+$/, 'source is of the characters of a URI');
  assert.ok(URL.canParse(source, 'http://example.com/') || URL.canParse(`./${source}`, 'http://example.com/'), source);
  if (dataschema !== undefined) assert.match(dataschema, /^[a-z][a-z0-9+.-]*:[^ "<>\\^`{|}]*$/i);
  if (time !== undefined) {
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i);
    assert.ok(!Number.isNaN(Date.parse(time.toUpperCase().replace(':60', ':59'))), time);
  }
  if (datacontenttype !== undefined) assert.match(datacontenttype, /^[^/ ;]+\/[^/ ;,]+ *(;|$)/);
}

/** Equal attributes and equal data bytes, but for what a message can not say: that data is there and empty. */
export function assertSame(
  received: Received,
  event: ExpectedEvent,
  added: Readonly<Record<string, string>> = {},
): void {
  assert.deepEqual({ ...received.attributes }, { ...event.attributes, ...added });
  const [got, wanted] = [received.data ?? Buffer.alloc(0), event.data ?? Buffer.alloc(0)];
  assert.ok(got.equals(wanted), `data ${JSON.stringify(got.toString())}, wanted ${JSON.stringify(wanted.toString())}`);
}
