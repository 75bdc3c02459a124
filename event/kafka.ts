import { isUtf8 } from 'node:buffer';
import { EventError } from './errors.ts';
import { type CloudEvent, newAttributes } from './event.ts';
import { decodeJson } from './json.ts';
import { contentModeOf, isEventFormat } from './media-type.ts';
import { attributesMaxBytes, checkAttributes } from './validate.ts';

/** What a record of the log holds of an event. */
export interface EventRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Text, or bytes that may be text; a name that occurs more than once has an array. */
  readonly headers: Readonly<Record<string, string | Buffer | readonly (string | Buffer)[]>>;
}

export interface EncodedRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, string>;
}

/** Twice what is accepted, as Posthorn adds attributes of its own to what it puts back into the log. */
export const recordAttributesMaxBytes = 2 * attributesMaxBytes;

/**
 * The event as a record in binary mode (CloudEvents Kafka binding 1.0.2, section 3.2), its key the `partitionkey`. No
 * data is a null value, empty data an empty one.
 */
export function toRecord(event: CloudEvent): EncodedRecord {
  const { attributes, data } = event;
  const headers: Record<string, string> = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    // Data that is an event itself would make the record one in structured mode, were its type in content-type.
    if (name === 'datacontenttype' && !isEventFormat(value)) headers['content-type'] = value;
    else headers[`ce_${name}`] = value;
  }
  const key = attributes.partitionkey;
  return { key: key === undefined ? null : Buffer.from(key), value: data ?? null, headers };
}

/**
 * Reads the event of a record in binary or structured JSON mode (Kafka binding, section 3). Headers that are not
 * CloudEvents' are passed over. Data shares its memory with the record's value.
 *
 * @throws EventError
 */
export function fromRecord(record: EventRecord): CloudEvent {
  const { headers, value } = record;
  const contentTypeHeader = headers['content-type'];
  const contentType =
    contentTypeHeader === undefined ? undefined : headerText('content-type', 'datacontenttype', contentTypeHeader);
  const mode = contentModeOf(contentType);
  if (mode === 'binary') return decodeBinary(headers, contentType, value);
  if (mode === 'batch') throw new EventError('a record is one event, not a batch', { status: 415 });
  if (value === null) throw new EventError('the record has the content-type of an event in JSON, but no value');
  return decodeJson(value, recordAttributesMaxBytes);
}

function decodeBinary(
  headers: EventRecord['headers'],
  contentType: string | undefined,
  value: Buffer | null,
): CloudEvent {
  const attributes = newAttributes();
  let isEmpty = true;
  for (const header in headers) {
    const name = attributeNameOf(header);
    const headerValue = headers[header];
    if (name === null || headerValue === undefined) continue;
    attributes[name] = headerText(header, name, headerValue);
    isEmpty = false;
  }
  if (isEmpty) {
    throw new EventError(
      'the record is not a CloudEvent: it has no ce_ headers, and its content-type is not application/cloudevents+json',
      { status: 415 },
    );
  }
  if (contentType !== undefined) {
    const own = attributes.datacontenttype;
    // Some SDKs write it twice, which is no harm while both say the same.
    if (own !== undefined && own !== contentType) {
      throw new EventError('the headers content-type and ce_datacontenttype differ', { attribute: 'datacontenttype' });
    }
    attributes.datacontenttype = contentType;
  }
  checkAttributes(attributes, recordAttributesMaxBytes);
  return { attributes, data: value ?? undefined };
}

/** Header names that were seen, with their attributes: the names of a topic's records are few and come again. */
const attributeNames = new Map<string, string | null>();
const attributeNamesMax = 1_000;

/** What a header calls its attribute, or null if the header is not CloudEvents'. */
export function attributeNameOf(header: string): string | null {
  const known = attributeNames.get(header);
  if (known !== undefined) return known;
  const name = header.startsWith('ce_') ? header.slice(3) : null;
  if (attributeNames.size < attributeNamesMax) attributeNames.set(header, name);
  return name;
}

function headerText(header: string, attribute: string, value: EventRecord['headers'][string]): string {
  if (typeof value === 'string') return value;
  if (!(value instanceof Uint8Array)) {
    throw new EventError(`the header ${header} occurs more than once`, { attribute });
  }
  if (!isUtf8(value)) throw new EventError(`the header ${header} is not UTF-8`, { attribute });
  return value.toString();
}
