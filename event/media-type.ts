import { EventError, shown } from './errors.ts';

const token = "[!#$%&'*+.^_`{|}~0-9A-Za-z-]+";
const quotedString = '"(?:[ !#-\\[\\]-~]|\\\\[ -~])*"';
// A parameter may be empty, as RFC 9110 (5.6.6) has it for HTTP: the trailing `;` of many clients.
const parameter = `[ \\t]*;(?:[ \\t]*${token}=(?:${token}|${quotedString}))?`;
const mediaType = new RegExp(`^${token}/${token}(?:${parameter})*$`);
const typeAndSubtype = new RegExp(`^[ \\t]*${token}/${token}[ \\t]*(?:;|$)`);
const eventFormat = /^application\/cloudevents/i;
const charset = new RegExp(`;[ \\t]*charset=(${token}|${quotedString})`, 'gi');

/** Whether it is a media type with its parameters (RFC 2045, section 5.1). */
export function isMediaType(text: string): boolean {
  return mediaType.test(text);
}

/** Whether it names a type and a subtype, whatever its parameters are. */
export function hasTypeAndSubtype(contentType: string): boolean {
  return typeAndSubtype.test(contentType);
}

/** The media type without its parameters, in lower case. */
export function essenceOf(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** Whether data of this type is JSON: subtype `json` or `+json`, or no type at all (CloudEvents JSON format, 3.1.1). */
export function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined) return true;
  const essence = essenceOf(contentType);
  return essence.endsWith('/json') || essence.endsWith('+json');
}

/** Whether data of this type is text that a JSON string can hold: `text/*` and XML. */
export function isTextType(contentType: string): boolean {
  const essence = essenceOf(contentType);
  return essence.startsWith('text/') || essence.endsWith('/xml') || essence.endsWith('+xml');
}

/** Whether text of this type is in UTF-8: it says so, or says nothing. */
export function isUtf8Type(contentType: string): boolean {
  for (const match of contentType.matchAll(charset)) {
    if (match[1]?.replaceAll('"', '').toLowerCase() !== 'utf-8') return false;
  }
  return true;
}

/** Whether a message of this type claims to hold a CloudEvent in some event format (HTTP binding, section 3). */
export function isEventFormat(contentType: string): boolean {
  return eventFormat.test(contentType);
}

/** How the event lies in a message of this content type (HTTP binding, section 3). */
export type ContentMode = 'binary' | 'structured' | 'batch';

/** @throws EventError (415) if it is an event format other than JSON in UTF-8 */
export function contentModeOf(contentType: string | undefined): ContentMode {
  if (contentType === undefined || !isEventFormat(contentType)) return 'binary';
  const essence = essenceOf(contentType);
  const mode = modes.get(essence);
  if (mode === undefined || !isMediaType(contentType)) {
    throw new EventError(
      `content-type ${shown(contentType)} is not an event format that is read here; use ${[...modes.keys()].join(' or ')}`,
      { status: 415 },
    );
  }
  if (!isUtf8Type(contentType)) {
    throw new EventError(`content-type ${shown(contentType)} is refused: events in JSON are in UTF-8 (charset=utf-8)`, {
      status: 415,
    });
  }
  return mode;
}

const modes: ReadonlyMap<string, ContentMode> = new Map([
  ['application/cloudevents+json', 'structured'],
  ['application/cloudevents-batch+json', 'batch'],
]);
