import { EventError, shown } from './errors.ts';
import { type CloudEvent, newAttributes, withAttributes } from './event.ts';
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts';
import { decodeJson, decodeJsonBatch, encodeJson } from './json.ts';
import { type ContentMode, contentModeOf, isEventFormat } from './media-type.ts';
import { checkAttributes, checkName, missingAttributes, missingError, requiredAttributes } from './validate.ts';

export interface DecodedHttp {
  readonly mode: ContentMode;
  /** One event; of a batch any number. */
  readonly events: CloudEvent[];
}

/** A message to send. */
export interface EncodedHttp {
  /** Flat: name, value, name, value; names in lower case. */
  readonly headers: string[];
  /** Null where the event has no data. */
  readonly body: Buffer | null;
}

/**
 * Reads the events of an HTTP message (CloudEvents HTTP binding 1.0.2, section 3) in binary, structured JSON or batch
 * JSON mode. Data shares its memory with the body. A binary event whose body is empty has no data.
 *
 * @param rawHeaders flat, names in any case, values with a character for each byte, as node:http gives them
 * @throws EventError with status 415 where the message is not one of these, 400 where it is one and wrong
 */
export function decodeHttp(rawHeaders: readonly string[], body: Buffer): DecodedHttp {
  const contentType = contentTypeOf(rawHeaders);
  const mode = contentModeOf(contentType);
  switch (mode) {
    case 'structured':
      return { mode, events: [decodeJson(body)] };
    case 'batch':
      return { mode, events: decodeJsonBatch(body) };
    case 'binary':
      return { mode, events: [decodeBinary(rawHeaders, contentType, body)] };
  }
}

/**
 * Reads an HTTP answer that may be an event: it is meant as one if it has a header of a required attribute or its
 * content type is an event format.
 *
 * @param headers as for decodeHttp
 * @returns null if the answer is not a CloudEvent
 * @throws EventError if it is meant as one and is wrong; a batch is, as a reply is one event
 */
export function decodeReply(headers: readonly string[], body: Buffer): CloudEvent | null {
  if (!isMeantAsEvent(headers)) return null;
  const { mode, events } = decodeHttp(headers, body);
  const event = events[0];
  if (mode === 'batch' || event === undefined) {
    throw new EventError('a reply is one event, not a batch; use content-type application/cloudevents+json', {
      status: 415,
    });
  }
  return event;
}

/**
 * The event as an HTTP message in binary mode: one header an attribute, the data as body.
 * @param added extensions beside the event's own attributes, or instead of them
 */
export function encodeBinary(event: CloudEvent, added: Readonly<Record<string, string>> = none): EncodedHttp {
  const { attributes, data } = event;
  const headers: string[] = [];
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined || Object.hasOwn(added, name)) continue;
    if (name !== 'datacontenttype') {
      headers.push(`ce-${name}`, encodeHeaderValue(value));
    } else {
      // Data that is an event itself would make the message one in structured mode.
      if (isEventFormat(value)) return encodeStructured(withAttributes(event, added));
      headers.push('content-type', value);
    }
  }
  for (const name in added) headers.push(`ce-${name}`, encodeHeaderValue(added[name] ?? ''));
  return { headers, body: data ?? null };
}

const none: Readonly<Record<string, string>> = {};

/** The event as an HTTP message in structured mode, in JSON. */
export function encodeStructured(event: CloudEvent): EncodedHttp {
  return { headers: ['content-type', 'application/cloudevents+json; charset=utf-8'], body: encodeJson(event) };
}

function decodeBinary(rawHeaders: readonly string[], contentType: string | undefined, body: Buffer): CloudEvent {
  const attributes = newAttributes();
  let isEmpty = true;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i] ?? '';
    if (!attributeHeader.test(header)) continue;
    isEmpty = false;
    const name = header.slice(3).toLowerCase();
    if (name === 'datacontenttype') {
      throw new EventError('the header ce-datacontenttype is refused: datacontenttype is the header content-type', {
        attribute: name,
      });
    }
    checkName(name);
    if (attributes[name] !== undefined) {
      throw new EventError(`the header ce-${name} occurs more than once`, { attribute: name });
    }
    attributes[name] = decodeHeaderValue(name, rawHeaders[i + 1] ?? '');
  }
  if (isEmpty) throw notAnEvent(contentType);
  if (contentType !== undefined) attributes.datacontenttype = contentType;
  const missing = missingAttributes(attributes);
  if (missing.length > 0) {
    throw missingError(
      missing,
      missing.map((name) => `${name} (header ce-${name})`),
    );
  }
  checkAttributes(attributes);
  return { attributes, data: body.length === 0 ? undefined : body };
}

/** Out here, as a literal in a function is a new object at each call. */
const attributeHeader = /^ce-/i;

function notAnEvent(contentType: string | undefined): EventError {
  const seen = contentType === undefined ? 'no content-type' : `content-type ${shown(contentType)}`;
  return new EventError(
    `not a CloudEvent: it has no ce- headers and ${seen}; add the headers ce-id, ce-source, ce-type and ` +
      'ce-specversion: 1.0, or send an event in JSON with content-type application/cloudevents+json',
    { status: 415 },
  );
}

function contentTypeOf(rawHeaders: readonly string[]): string | undefined {
  let contentType: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!isContentType(rawHeaders[i] ?? '')) continue;
    if (contentType !== undefined) {
      throw new EventError('the header content-type occurs more than once', { attribute: 'datacontenttype' });
    }
    contentType = rawHeaders[i + 1] ?? '';
  }
  return contentType;
}

function isMeantAsEvent(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const header = headers[i] ?? '';
    if (isContentType(header) && isEventFormat(headers[i + 1] ?? '')) return true;
    if (attributeHeader.test(header) && requiredAttributes.includes(header.slice(3).toLowerCase())) return true;
  }
  return false;
}

function isContentType(header: string): boolean {
  return header.length === 12 && header.toLowerCase() === 'content-type';
}
