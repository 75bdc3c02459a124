import type { EventRecord } from '../../event/kafka.ts';
import { type Case, type Expected, eventOf, is, required, unsupported, wrong } from './cases.ts';
import { envelope } from './http-json-cases.ts';

export interface KafkaCase extends Case {
  readonly record: EventRecord;
}

type Headers = Readonly<Record<string, string | Buffer | readonly (string | Buffer)[]>>;

const allRequired: Headers = Object.fromEntries(Object.entries(required).map(([name, value]) => [`ce_${name}`, value]));

function record(
  section: string,
  name: string,
  headers: Headers,
  value: Buffer | string | null,
  expected: Expected,
  key?: string,
): KafkaCase {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return {
    section,
    name,
    record: { key: key === undefined ? null : Buffer.from(key), value: bytes, headers },
    expected,
  };
}

/** A record in binary mode: the required headers and these. */
function binary(
  section: string,
  name: string,
  more: Headers,
  expected: Expected,
  value: Buffer | string | null = null,
): KafkaCase {
  return record(section, name, { ...allRequired, ...more }, value, expected);
}

function without(attribute: string): Headers {
  return Object.fromEntries(Object.entries(allRequired).filter(([name]) => name !== `ce_${attribute}`));
}

const structuredType = 'application/cloudevents+json; charset=UTF-8';

/** A record in structured mode: the required members and these. */
function structured(section: string, name: string, members: string, expected: Expected): KafkaCase {
  const body = `{${envelope}${members === '' ? '' : `,${members}`}}`;
  return record(section, name, { 'content-type': structuredType }, body, expected);
}

const attributeCases: readonly KafkaCase[] = [
  binary('Kafka 3.2', 'the required headers are an event', {}, is()),
  ...(['specversion', 'id', 'source', 'type'] as const).map((name) =>
    record(`CE ${name}`, 'it is required', without(name), 'x', wrong(name)),
  ),
  ...(['specversion', 'id', 'source', 'type'] as const).map((name) =>
    binary(`CE ${name}`, 'it must not be empty', { [`ce_${name}`]: '' }, wrong(name)),
  ),
  ...['0.3', '1', '1.0.2', ' 1.0'].map((version) =>
    binary(
      'CE specversion',
      `a version that is not known is refused: "${version}"`,
      { ce_specversion: version },
      wrong('specversion'),
    ),
  ),
  ...['2018-04-05T03:56:24Z', '2018-04-05T03:56:24.123456789+05:30'].map((time) =>
    binary('CE time', `a time of RFC 3339, kept as it is: ${time}`, { ce_time: time }, is({ time })),
  ),
  ...['noon', '2018-04-05', '1522900584', '2018-02-30T00:00:00Z'].map((time) =>
    binary('CE time', `no time of RFC 3339: ${time}`, { ce_time: time }, wrong('time')),
  ),
  binary(
    'CE source',
    'a URI reference',
    { ce_source: '1-555-123-4567' },
    { events: [eventOf({ source: '1-555-123-4567' }, null)] },
  ),
  binary('CE source', 'no URI reference', { ce_source: 'my context' }, wrong('source')),
  binary('CE subject', 'it must not be empty', { ce_subject: '' }, wrong('subject')),
  binary('CE dataschema', 'a relative reference is no URI', { ce_dataschema: 'schema' }, wrong('dataschema')),
];

const headerCases: readonly KafkaCase[] = [
  binary(
    'Kafka 3.2.1',
    'content-type is datacontenttype',
    { 'content-type': 'application/avro' },
    is({ datacontenttype: 'application/avro' }, 'x'),
    'x',
  ),
  binary('Kafka 3.2.1', 'without it the type of the data is not known', {}, is({}, '{}'), '{}'),
  binary(
    'Kafka 3.2.1',
    'ce_datacontenttype alone, as some SDKs write it',
    { ce_datacontenttype: 'a/b' },
    is({ datacontenttype: 'a/b' }),
  ),
  binary(
    'Kafka 3.2.1',
    'both that say the same',
    { 'content-type': 'a/b', ce_datacontenttype: 'a/b' },
    is({ datacontenttype: 'a/b' }),
  ),
  binary(
    'Kafka 3.2.1',
    'both that differ',
    { 'content-type': 'a/b', ce_datacontenttype: 'a/c' },
    wrong('datacontenttype'),
  ),
  binary('CE datacontenttype', 'a word is no media type', { 'content-type': 'json' }, wrong('datacontenttype')),
  binary(
    'Kafka 3.2.3',
    'headers are UTF-8, not percent-encoded',
    { ce_ext: 'Euro € 😀 %41 "q"' },
    is({ ext: 'Euro € 😀 %41 "q"' }),
  ),
  binary('Kafka 3.2.3', 'bytes of UTF-8', { ce_ext: Buffer.from('Grüße') }, is({ ext: 'Grüße' })),
  ...['ff', 'c0a0', 'eda080', 'e282'].map((hex) =>
    binary('Kafka 3.2.3', `no UTF-8: ${hex}`, { ce_ext: Buffer.from(hex, 'hex') }, wrong('ext')),
  ),
  binary(
    'Kafka 3.2.3',
    'extensions',
    { ce_comexample: '5', ce_yes: 'true', ce_empty: '' },
    is({ comexample: '5', yes: 'true', empty: '' }),
  ),
  binary('Kafka 3.2.3', 'an attribute twice', { ce_ext: ['a', 'a'] }, wrong('ext')),
  binary('Kafka 3.2.3', 'a required attribute twice', { ce_id: [Buffer.from('1'), Buffer.from('2')] }, wrong('id')),
  binary('Kafka 3.2.3', 'content-type twice', { 'content-type': ['a/b', 'a/b'] }, wrong('datacontenttype')),
  binary('Kafka 3.2.3', 'another header twice is no attribute', { trace: ['a', 'b'] }, is()),
  binary('Kafka 3.2.3.1', 'names in another case are no attributes', { CE_ID: '2', Ce_ext: 'x' }, is()),
  binary('Kafka 3.2.3.1', 'other prefixes are no attributes', { 'ce-id': '2', ce: 'x', xce_id: 'y' }, is()),
  ...['Ext', 'my_ext', 'my-ext', '', 'é', '__proto__'].map((name) =>
    binary(
      'CE Attribute Naming Convention',
      `other characters are refused: "${name}"`,
      Object.fromEntries([[`ce_${name}`, 'v']]),
      wrong(name),
    ),
  ),
  binary('CE Attribute Naming Convention', 'an attribute is not named data', { ce_data: 'v' }, wrong('data')),
  ...['a\u0000', '\n', '\u007f', 'ü\u0085', '\uffff', '\ufdd0'].map((value) =>
    binary(
      'CE Type System, String',
      `a character that is not allowed: ${JSON.stringify(value).slice(1, -1)} ${value.charCodeAt(value.length - 1)}`,
      { ce_ext: value },
      wrong('ext'),
    ),
  ),
];

const dataCases: readonly KafkaCase[] = [
  binary(
    'Kafka 3.2.2',
    'the value is the data, byte for byte',
    { 'content-type': 'a/b' },
    is({ datacontenttype: 'a/b' }, Buffer.from([0, 255, 10])),
    Buffer.from([0, 255, 10]),
  ),
  binary('Kafka 3.2.2', 'no value is no data', { 'content-type': 'a/b' }, is({ datacontenttype: 'a/b' })),
  binary('Kafka 3.2.2', 'an empty value is empty data', {}, is({}, ''), ''),
  record('Kafka 3.1', 'a key adds no attribute', allRequired, 'x', is({}, 'x'), 'mykey'),
  record(
    'Kafka 3.1',
    'partitionkey stays an attribute',
    { ...allRequired, ce_partitionkey: 'k' },
    'x',
    is({ partitionkey: 'k' }, 'x'),
    'k',
  ),
  record(
    'Kafka 3.1',
    'a key that differs from partitionkey changes nothing',
    { ...allRequired, ce_partitionkey: 'k' },
    'x',
    is({ partitionkey: 'k' }, 'x'),
    'other',
  ),
];

const structuredCases: readonly KafkaCase[] = [
  structured('Kafka 3.3', 'the required members are an event', '', is()),
  structured(
    'Kafka 3.3.2',
    'its data byte for byte',
    '"data": 12345678901234567890 ',
    is({ datacontenttype: 'application/json' }, '12345678901234567890'),
  ),
  structured('Kafka 3.3.2', 'JSON null', '"data":null', is({ datacontenttype: 'application/json' }, 'null')),
  structured(
    'Kafka 3.3.2',
    'text',
    '"datacontenttype":"text/plain","data":"ü"',
    is({ datacontenttype: 'text/plain' }, 'ü'),
  ),
  structured(
    'Kafka 3.3.2',
    'base64',
    '"datacontenttype":"a/b","data_base64":"AP8="',
    is({ datacontenttype: 'a/b' }, Buffer.from([0, 255])),
  ),
  structured('Kafka 3.3.2', 'data and data_base64', '"data":1,"data_base64":"MQ=="', wrong('data_base64')),
  structured('CE Type System, Integer', 'beyond 32 bits', '"n":2147483648', wrong('n')),
  structured(
    'JSON 2.2',
    'extensions of every type',
    '"a":-1,"b":true,"c":"d","e":null',
    is({ a: '-1', b: 'true', c: 'd' }),
  ),
  structured('CE Context Attributes', 'a member twice', '"a":1,"a":1', wrong('a')),
  record(
    'Kafka 3.3.1',
    'the media type in any case',
    { 'content-type': 'Application/CloudEvents+JSON' },
    `{${envelope}}`,
    is(),
  ),
  record(
    'Kafka 3.3.1',
    'a charset other than UTF-8',
    { 'content-type': 'application/cloudevents+json; charset=latin1' },
    `{${envelope}}`,
    unsupported,
  ),
  record(
    'Kafka 3.3.3',
    'headers of attributes besides are not looked at',
    { 'content-type': structuredType, ce_id: 'other', ce_Ext: 'x' },
    `{${envelope}}`,
    is(),
  ),
  record('Kafka 3.3', 'no value', { 'content-type': structuredType }, null, wrong(null)),
  record('Kafka 3.3', 'no JSON', { 'content-type': structuredType }, '{', wrong(null)),
  record('Kafka 3.3', 'JSON that is no object', { 'content-type': structuredType }, '[]', wrong(null)),
  record(
    'Kafka 3',
    'an event format in Avro is not read',
    { ...allRequired, 'content-type': 'application/cloudevents+avro' },
    'x',
    unsupported,
  ),
  record(
    'Kafka 3',
    'a record is one event, no batch',
    { 'content-type': 'application/cloudevents-batch+json' },
    `[{${envelope}}]`,
    unsupported,
  ),
  record(
    'Kafka 3',
    'no header of an attribute and no event format',
    { 'content-type': 'application/json' },
    '{}',
    unsupported,
  ),
  record('Kafka 3', 'nothing at all', {}, null, unsupported),
];

/** Records as producers write them to a topic. */
export const kafkaCases: readonly KafkaCase[] = [...attributeCases, ...headerCases, ...dataCases, ...structuredCases];
