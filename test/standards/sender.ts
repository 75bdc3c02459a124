import type { CloudEvent } from '../../event/event.ts';
import type { ExpectedEvent } from './cases.ts';

/**
 * Writes events in all the ways that CloudEvents 1.0.2 allows its senders, of which Posthorn's own codec uses one. It
 * shares nothing with that codec.
 */
export interface Sent {
  /** Flat; values with a character for each byte. */
  readonly headers: string[];
  readonly body: Buffer;
  /** What the message says, which is the event itself but for an implied type that is made explicit. */
  readonly said: readonly ExpectedEvent[];
}

export const structuredType = 'application/cloudevents+json';
export const batchType = 'application/cloudevents-batch+json';

/** How the values of headers are written (HTTP binding, 3.1.3.2): as it says now, as it said before, or hardly at all. */
const headerStyles: readonly ((value: string) => string)[] = [
  (value) => encodeURIComponent(value),
  (value) => Buffer.from(value).toString('hex').replace(/../g, '%$&'),
  (value) => value.replace(/[^!#$&-~]/gu, (character) => encodeURIComponent(character).toLowerCase()),
  (value) => Buffer.from(`"${value.replaceAll('%', '%25').replace(/["\\]/g, '\\$&')}"`).toString('latin1'),
  (value) => Buffer.from(value.replaceAll('%', '%25').replace(/^[ "]|[ ]$/g, encodeURIComponent)).toString('latin1'),
];

/** A message in binary mode; in structured mode where the type of the data would make it one. */
export function sendBinary(event: CloudEvent, style: number): Sent {
  const { datacontenttype, ...attributes } = event.attributes;
  if (datacontenttype?.toLowerCase().startsWith('application/cloudevents')) return sendStructured(event, style);
  const write = headerStyles[style % headerStyles.length] ?? encodeURIComponent;
  const headers = Object.entries(attributes).flatMap(([name, value]) => [
    style % 2 === 0 ? `ce-${name}` : `Ce-${name.toUpperCase()}`,
    write(value ?? ''),
  ]);
  if (datacontenttype !== undefined) headers.push('Content-Type', datacontenttype);
  return { headers, body: event.data ?? Buffer.alloc(0), said: [asIs(event)] };
}

export function sendStructured(event: CloudEvent, style: number): Sent {
  const { json, said } = inJson(event, style);
  return { headers: ['content-type', structuredType], body: json, said: [said] };
}

export function sendBatch(events: readonly CloudEvent[], style: number): Sent {
  const members = events.map((event) => inJson(event, style));
  const separator = style % 2 === 0 ? ',' : ' ,\r\n\t';
  const body = members.flatMap(({ json }, at) => (at === 0 ? [json] : [Buffer.from(separator), json]));
  return {
    headers: ['content-type', `${batchType}; charset=utf-8`],
    body: Buffer.concat([Buffer.from('['), ...body, Buffer.from(']')]),
    said: members.map(({ said }) => said),
  };
}

function asIs({ attributes, data }: CloudEvent): ExpectedEvent {
  return { attributes: attributes as Record<string, string>, data: data ?? null };
}

function inJson(event: CloudEvent, style: number): { json: Buffer; said: ExpectedEvent } {
  const attributes = Object.entries(event.attributes).map(([name, value]) => [name, member(name, value ?? '', style)]);
  if (event.attributes.unset === undefined && style % 3 === 0) attributes.push(['unset', 'null']);
  const parts = attributes.map(([name, value]) => Buffer.from(`"${name}":${value},`));
  const { data, isImplied } = dataMember(event, style);
  // The data before the attributes, or behind them.
  const all = style % 2 === 0 ? [data, ...parts] : [...parts, data];
  const members = Buffer.concat(all);
  const json = Buffer.concat([Buffer.from('{ '), members.subarray(0, members.lastIndexOf(',')), Buffer.from('}')]);
  const said = asIs(event);
  const datacontenttype = 'application/json';
  return { json, said: isImplied ? { ...said, attributes: { ...said.attributes, datacontenttype } } : said };
}

const named = ['specversion', 'id', 'source', 'type', 'subject', 'time', 'dataschema', 'datacontenttype'];

/** Of an extension the number or boolean that has this canonical form (JSON format, 2.2), or the string. */
function member(name: string, value: string, style: number): string {
  const isNumber = /^(0|-?[1-9]\d{0,8})$/.test(value);
  if (!named.includes(name) && style % 2 === 0 && (isNumber || /^(true|false)$/.test(value))) return value;
  const text = JSON.stringify(value);
  if (style % 3 !== 1) return text;
  return text.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function dataMember({ attributes, data }: CloudEvent, style: number): { data: Buffer; isImplied: boolean } {
  if (data === undefined) return { data: Buffer.alloc(0), isImplied: false };
  const type = attributes.datacontenttype;
  const isBase64 = style % 5 === 0;
  const text = data.toString();
  const isText = Buffer.from(text).equals(data);
  // Of no type only now and then, as to say so is to say that it is JSON.
  const isJson = (type === undefined ? style % 5 === 1 : /^[^;]*[/+]json *(;|$)/i.test(type)) && isText && parses(text);
  if (isJson && !isBase64) {
    return { data: Buffer.concat([Buffer.from('"data":'), data, Buffer.from(',')]), isImplied: type === undefined };
  }
  const isPlain = type !== undefined && /^(text\/[^;]*|application\/xml)$/.test(type);
  if (isPlain && isText && !isBase64) return { data: Buffer.from(`"data":${JSON.stringify(text)},`), isImplied: false };
  return { data: Buffer.from(`"data_base64":"${data.toString('base64')}",`), isImplied: false };
}

/** Whether it is JSON without white space around it, which would get lost in a JSON document. */
function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return text.trim() === text;
  } catch {
    return false;
  }
}
