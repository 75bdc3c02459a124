import { isUtf8 } from 'node:buffer';
import { EventError } from './errors.ts';
import { type AttributesDraft, type CloudEvent, newAttributes } from './event.ts';
import { hopsAttribute } from './hops.ts';
import { JsonText } from './json-pointer.ts';
import { isJson } from './json-slice.ts';
import { attributeNameOf, type EncodedRecord, type EventRecord, recordAttributesMaxBytes } from './kafka.ts';
import { isEventFormat, isMediaType } from './media-type.ts';
import { fillIn, formatTemplate, type Template } from './template.ts';
import { isUri, isUriReference } from './uri.ts';
import { checkAttributes, requiredAttributes } from './validate.ts';

/** Where a record stands, and who reads it. */
export interface PlainPlace {
  readonly namespace: string;
  /** Of the broker. */
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
}

export interface PlainRecord extends EventRecord {
  readonly offset: number;
  readonly timestampMs: number;
}

/** An attribute that is taken from the value: by the first of the templates that finds something. */
export interface MappedAttribute {
  readonly name: string;
  readonly from: readonly Template[];
}

/** Counts the replies that led to a plain record, which has no attributes to carry it. */
export const hopsHeader = 'posthorn-hops';

/** Headers that are read for what they say, and are not made extensions. */
const ownHeaders: ReadonlySet<string> = new Set(['traceparent', 'tracestate', hopsHeader]);

/** The last moment that RFC 3339 can say, in ms since 1970. A producer may count in other units. */
const timestampMaxMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Whether the record says that it is a CloudEvent, by attributes in its headers or by its content-type. */
export function isEventRecord({ headers }: EventRecord): boolean {
  for (const header in headers) if (attributeNameOf(header) !== null) return true;
  const contentType = textOf(headers['content-type']);
  return contentType !== undefined && isEventFormat(contentType);
}

/**
 * Makes an event of a record that is none, as Knative's KafkaSource does: id from partition and offset, source with
 * the topic, time of the append, the key as `partitionkey` and `key`, headers as `kafkaheader…`. The attributes of the
 * mapping are taken from the value instead.
 *
 * @throws EventError that says what of the mapping is missing or wrong
 */
export function fromPlainRecord(
  record: PlainRecord,
  place: PlainPlace,
  mapping: readonly MappedAttribute[] | null,
): CloudEvent {
  const { namespace, name, topic, partition } = place;
  const { offset, timestampMs, key, value, headers } = record;
  const attributes = newAttributes();
  attributes.specversion = '1.0';
  attributes.id = `partition:${partition}/offset:${offset}`;
  attributes.source = `/apis/v1/namespaces/${namespace}/kafkasources/${name}#${topic}`;
  attributes.type = 'dev.knative.kafka.event';
  attributes.subject = `partition:${partition}#${offset}`;
  // A producer may have given it no time (-1).
  if (timestampMs >= 0 && timestampMs <= timestampMaxMs) attributes.time = new Date(timestampMs).toISOString();
  if (key !== null && key.length > 0) {
    attributes.key = readableText(key);
    attributes.partitionkey = attributes.key;
  }
  const contentType = setHeaders(attributes, headers);
  const isJsonValue = mapping !== null && setMapped(attributes, mapping, value);
  attributes.datacontenttype ??= contentType ?? impliedType(value, isJsonValue);
  checkAttributes(attributes, recordAttributesMaxBytes);
  return { attributes, data: value ?? undefined };
}

/** The event's data alone as a record, for consumers that know nothing of CloudEvents. Without data it has no value. */
export function toPlainRecord({ attributes, data }: CloudEvent): EncodedRecord {
  const headers: Record<string, string> = {};
  const { datacontenttype, partitionkey: key, [hopsAttribute]: hops } = attributes;
  // Data that is an event itself would make the record one.
  if (datacontenttype !== undefined && !isEventFormat(datacontenttype)) headers['content-type'] = datacontenttype;
  if (hops !== undefined) headers[hopsHeader] = hops;
  return { key: key === undefined ? null : Buffer.from(key), value: data ?? null, headers };
}

/** @returns the media type that a header says, in whatever case its name is; one that says no media type is like any other */
function setHeaders(attributes: AttributesDraft, headers: EventRecord['headers']): string | undefined {
  let contentType: string | undefined;
  for (const header in headers) {
    const value = headers[header];
    if (value === undefined || ownHeaders.has(header)) continue;
    const last = typeof value === 'string' || Buffer.isBuffer(value) ? value : value.at(-1);
    if (last === undefined) continue;
    const name = header.toLowerCase();
    if (name === 'content-type' && isMediaType(last.toString())) contentType = last.toString();
    else attributes[`kafkaheader${name.replace(/[^a-z0-9]/g, '')}`] = readableText(last as string | Buffer);
  }
  const hops = textOf(headers[hopsHeader]);
  if (hops !== undefined) attributes[hopsAttribute] = hops;
  return contentType;
}

/** @returns whether the value was read, and so is JSON */
function setMapped(attributes: AttributesDraft, mapping: readonly MappedAttribute[], value: Buffer | null): boolean {
  let json: JsonText | undefined;
  const read = (): JsonText => {
    json ??= new JsonText(value);
    return json;
  };
  for (const { name, from } of mapping) {
    let found: string | undefined;
    for (const template of from) found ??= fillIn(template, read);
    if (found === undefined && requiredAttributes.includes(name)) {
      const places = from.map(formatTemplate).join(' nor ');
      throw new EventError(`the value has nothing at ${places}, where its ${name} is to come from`, {
        attribute: name,
      });
    }
    attributes[name] = found === undefined ? undefined : uriIn(name, found);
  }
  return json !== undefined;
}

/** Pages have titles in any language: what makes an address of one is encoded where it is none as it stands. */
function uriIn(name: string, text: string): string {
  const isRight = name === 'source' ? isUriReference : name === 'dataschema' ? isUri : null;
  return isRight === null || isRight(text) || !text.isWellFormed() ? text : encodeURI(text);
}

/** JSON where the value is that: data filters and consumers of JSON go by it. */
function impliedType(value: Buffer | null, isKnownJson: boolean): string | undefined {
  if (value === null) return undefined;
  return isKnownJson || (isObjectOrArray(value[0]) && isJson(value)) ? 'application/json' : undefined;
}

function isObjectOrArray(firstByte: number | undefined): boolean {
  return firstByte === 0x7b || firstByte === 0x5b;
}

/** Text where an attribute can hold it, else base64, the form that CloudEvents gives to bytes. */
function readableText(value: string | Buffer): string {
  const bytes = typeof value === 'string' ? null : value;
  if (bytes !== null && !isUtf8(bytes)) return bytes.toString('base64');
  const text = value.toString();
  return /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(text) ? Buffer.from(text).toString('base64') : text;
}

function textOf(value: EventRecord['headers'][string] | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  const last = Buffer.isBuffer(value) ? value : value.at(-1);
  return last?.toString();
}
