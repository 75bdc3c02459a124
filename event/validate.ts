import { EventError, shown } from './errors.ts';
import type { CloudEventAttributes } from './event.ts';
import { isMediaType } from './media-type.ts';
import { isTimestamp } from './time.ts';
import { isUri, isUriReference } from './uri.ts';

/**
 * Names and values of all attributes together, in bytes of UTF-8. With what a delivery adds and what percent-encoding
 * makes longer it is about what HTTP servers take as headers.
 */
export const attributesMaxBytes = 16 * 1024;

export const requiredAttributes: readonly string[] = ['specversion', 'id', 'source', 'type'];

/**
 * Checks the attributes of an event against CloudEvents 1.0.2: names, required ones, values by their type.
 * Values are never changed.
 *
 * @param maxBytes bound on all names and values together
 * @throws EventError that names the attribute, what was seen and what is right
 */
export function checkAttributes(
  attributes: Readonly<Record<string, string | undefined>>,
  maxBytes: number = attributesMaxBytes,
): asserts attributes is CloudEventAttributes {
  // First, as the other rules are those of this version.
  if (attributes.specversion !== undefined) checkAttribute('specversion', attributes.specversion);
  const missing = missingAttributes(attributes);
  if (missing[0] !== undefined) throw missingError(missing, missing);
  let length = 0;
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    checkName(name);
    checkAttribute(name, value);
    length += name.length + value.length;
  }
  // UTF-8 takes at most 3 bytes for a UTF-16 unit, so that most events need no exact count.
  if (length * 3 > maxBytes) checkSize(attributes, maxBytes);
}

/** The required attributes that are absent. */
export function missingAttributes(attributes: Readonly<Record<string, string | undefined>>): readonly string[] {
  for (const name of requiredAttributes) {
    if (attributes[name] === undefined) return requiredAttributes.filter((other) => attributes[other] === undefined);
  }
  return none;
}

const none: readonly string[] = [];

/** @param spelled the missing attributes as they are written where the event came from, as `ce-id` */
export function missingError(missing: readonly string[], spelled: readonly string[]): EventError {
  const what = spelled.length === 1 ? 'the required attribute' : 'the required attributes';
  return new EventError(`${what} ${spelled.join(', ')} ${spelled.length === 1 ? 'is' : 'are'} missing`, {
    attribute: missing[0] ?? null,
  });
}

// Out here, as a literal in a function is a new object at each call.
const attributeName = /^[a-z0-9]+$/;
const printable = /^[ -~]*$/;

/** The naming convention; longer names than the 20 characters that it recommends are taken. @throws EventError */
export function checkName(name: string): void {
  if (name === 'data') {
    throw new EventError('an attribute can not be named data, which is the name of the payload', { attribute: name });
  }
  if (!attributeName.test(name)) {
    throw new EventError(`${shown(name)} can not be the name of an attribute: it takes letters a-z and digits only`, {
      attribute: name,
    });
  }
}

/** Checks one value by the type that CloudEvents gives the attribute; an extension is a string. @throws EventError */
export function checkAttribute(name: string, value: string): void {
  if (!printable.test(value)) checkCharacters(name, value);
  switch (name) {
    case 'specversion':
      if (value !== '1.0') throw wrong(name, value, 'CloudEvents 1.0 is what is read here, so 1.0');
      break;
    case 'id':
    case 'type':
    case 'subject':
      if (value === '') throw wrong(name, value, 'it must not be empty');
      break;
    case 'source':
      if (value === '' || !isUriReference(value)) {
        throw wrong(name, value, 'a URI or a URI reference is wanted, other characters percent-encoded (RFC 3986)');
      }
      break;
    case 'dataschema':
      // With a fragment too, which the spec's text rules out and its JSON schema does not: many schema ids end in "#".
      if (!isUri(value)) throw wrong(name, value, 'an absolute URI is wanted, as https://example.com/schema');
      break;
    case 'time':
      if (!isTimestamp(value)) throw wrong(name, value, 'a time of RFC 3339 is wanted, as 2026-01-31T12:00:00Z');
      break;
    case 'datacontenttype':
      if (!isMediaType(value)) throw wrong(name, value, 'a media type is wanted, as application/json (RFC 2045)');
      break;
  }
}

/** The characters that the type String leaves out: controls, lone surrogates, noncharacters. */
const forbidden = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

function checkCharacters(name: string, value: string): void {
  const found = forbidden.exec(value)?.[0].codePointAt(0);
  if (found === undefined) return;
  const point = `U+${found.toString(16).toUpperCase().padStart(4, '0')}`;
  throw wrong(name, value, `the character ${point} is not allowed (no controls, lone surrogates, noncharacters)`);
}

function checkSize(attributes: Readonly<Record<string, string | undefined>>, maxBytes: number): void {
  let bytes = 0;
  for (const name in attributes) bytes += Buffer.byteLength(name) + Buffer.byteLength(attributes[name] ?? '');
  if (bytes > maxBytes) {
    throw new EventError(`the attributes take ${bytes} bytes together; at most ${maxBytes} are taken`);
  }
}

function wrong(name: string, value: string, wanted: string): EventError {
  return new EventError(`attribute ${name} is ${shown(value)}: ${wanted}`, { attribute: name });
}
