import type { ExpectedEvent } from '../standards/cases.ts';

/** An event as the test tells an SDK's program to make it: by the types of CloudEvents, not by text. */
export interface EventToMake {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly time?: string;
  readonly dataschema?: string;
  readonly datacontenttype?: string;
  readonly extensions: readonly Extension[];
  readonly data: DataToMake | null;
}

export interface Extension {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'uri' | 'urireference' | 'timestamp' | 'binary';
  /** In canonical form, which is base64 of the type `binary`. */
  readonly value: string;
}

/** What the SDK is given: a value of the language that is JSON, text, or bytes (in base64). */
export type DataToMake = { readonly json: unknown } | { readonly text: string } | { readonly bytes: string };

export interface Case {
  readonly name: string;
  readonly event: Omit<EventToMake, 'id' | 'source' | 'type'>;
}

const source = 'https://example.com/foreign?a=b%20c';
/** When all events happened but those without a time. */
export const time = '2026-01-31T12:00:00.123456Z';
/** The type of all that the SDKs send. */
export const producedType = 'com.example.produced';

export const json = { text: 'süß 日本 😀 "<&>"', list: [1, 1.5, true, null], none: {} };
export const exactJson = '{ "n": 12345678901234567890,\n "x":1.0, "u": "\\u00fc" }';
const text = 'Grüße,\n日本 😀 <&>"';
const allBytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const unicode = 'Zürich 日本 😀 a\\b';
/** What means something else in a header, if it is not encoded. */
const percent = '100% %41 "a"';

export const cases: readonly Case[] = [
  { name: 'required', event: { extensions: [], data: null } },
  {
    name: 'json',
    event: {
      subject: 'a/subject',
      dataschema: 'https://example.com/schema?v=%201',
      datacontenttype: 'application/json',
      extensions: [],
      data: { json },
    },
  },
  {
    name: 'exactjson',
    event: { datacontenttype: 'application/json', extensions: [], data: bytes(exactJson) },
  },
  { name: 'text', event: { datacontenttype: 'text/plain; charset=utf-8', extensions: [], data: { text } } },
  { name: 'bytes', event: { datacontenttype: 'image/png', extensions: [], data: bytes(allBytes) } },
  { name: 'untyped', event: { extensions: [], data: bytes('{"a":1}') } },
  {
    name: 'unicode',
    event: {
      subject: unicode,
      extensions: [{ name: 'comtext', type: 'string', value: unicode }],
      data: null,
    },
  },
  { name: 'percent', event: { subject: percent, extensions: [], data: null } },
  {
    name: 'extensions',
    event: {
      extensions: [
        { name: 'comtext', type: 'string', value: 'plain text' },
        { name: 'commin', type: 'integer', value: '-2147483648' },
        { name: 'commax', type: 'integer', value: '2147483647' },
        { name: 'comuri', type: 'uri', value: 'https://example.com/a?b=c#d' },
        { name: 'comref', type: 'urireference', value: '../a/b?c' },
        { name: 'partitionkey', type: 'string', value: 'a key' },
      ],
      data: null,
    },
  },
  { name: 'boolean', event: { extensions: [{ name: 'comflag', type: 'boolean', value: 'true' }], data: null } },
  {
    name: 'timestamp',
    event: { extensions: [{ name: 'comwhen', type: 'timestamp', value: '2026-01-31T12:00:00Z' }], data: null },
  },
  { name: 'binary', event: { extensions: [{ name: 'combytes', type: 'binary', value: 'AP8H' }], data: null } },
];

function bytes(data: string | Buffer): DataToMake {
  return { bytes: Buffer.from(data).toString('base64') };
}

/** The case as an event whose id says where it comes from. */
export function eventOfCase({ name, event }: Case, id: string): EventToMake {
  const timed = name === 'required' ? {} : { time };
  return { id, source, type: producedType, ...timed, ...event };
}

/** What a subscriber gets of an SDK that does all by the specification. */
export function expectedOf({ id, source, type, extensions, data, ...optional }: EventToMake): ExpectedEvent {
  const attributes = { specversion: '1.0', id, source, type, ...optional };
  return {
    attributes: { ...attributes, ...Object.fromEntries(extensions.map(({ name, value }) => [name, value])) },
    data: data && bytesOf(data),
  };
}

function bytesOf(data: DataToMake): Buffer {
  if ('bytes' in data) return Buffer.from(data.bytes, 'base64');
  return Buffer.from('text' in data ? data.text : JSON.stringify(data.json));
}

/** The event that an SDK answers with. */
export function replyTo(sdk: string): EventToMake {
  return {
    id: `${sdk}/reply`,
    source,
    type: producedType,
    time,
    datacontenttype: 'application/json',
    extensions: [{ name: 'comtext', type: 'string', value: 'a reply' }],
    data: { json },
  };
}

/** What is sent to an SDK, in all forms that an event may have. */
export function sentTo(sdk: string): readonly ExpectedEvent[] {
  const event = (id: string, more: Record<string, string>, data: Buffer | string | null): ExpectedEvent => ({
    attributes: { specversion: '1.0', id: `for-${sdk}/${id}`, source, type: `com.example.for.${sdk}`, ...more },
    data: data === null ? null : Buffer.from(data),
  });
  return [
    event('required', {}, null),
    event(
      'json',
      {
        subject: 'a/subject',
        time,
        dataschema: 'https://example.com/schema?v=%201',
        datacontenttype: 'application/json',
        comtext: 'plain text',
        comcount: '-2147483648',
        comflag: 'true',
        partitionkey: 'a key',
      },
      JSON.stringify(json),
    ),
    event('exactjson', { datacontenttype: 'application/json' }, exactJson),
    event('text', { datacontenttype: 'text/plain; charset=utf-8' }, text),
    event('bytes', { datacontenttype: 'image/png' }, allBytes),
    event('unicode', { subject: unicode, comtext: percent }, null),
  ];
}

export function eventWithId(event: EventToMake, id: string): EventToMake {
  return { ...event, id };
}

/** The name of the case that an event with this id is of. */
export function nameOf(id: string): string {
  return id.split('/').at(-1) ?? '';
}
