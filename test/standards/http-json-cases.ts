import { type Expected, eventOf, is, required, unsupported, wrong } from './cases.ts';
import type { HttpCase } from './http-binary-cases.ts';

/** The required members as JSON, without braces. */
export const envelope = JSON.stringify(required).slice(1, -1);

const xml = '"datacontenttype":"application/xml"';
const json = '"datacontenttype":"application/json"';
const implied = { datacontenttype: 'application/json' };
const types = 'JSON 2.2';
const reading = 'JSON 3.1.2';

function sent(section: string, name: string, contentType: string, body: string | Buffer, expected: Expected): HttpCase {
  return { section, name, headers: [`content-type: ${contentType}`], body: Buffer.from(body), expected };
}

/** An event in structured mode: the required members and these. */
function structured(section: string, name: string, members: string, expected: Expected): HttpCase {
  const body = `{${envelope}${members === '' ? '' : `,${members}`}}`;
  return sent(section, name, 'application/cloudevents+json', body, expected);
}

function whole(section: string, name: string, body: string | Buffer, expected: Expected): HttpCase {
  return sent(section, name, 'application/cloudevents+json', body, expected);
}

function batch(section: string, name: string, body: string, expected: Expected): HttpCase {
  return sent(section, name, 'application/cloudevents-batch+json', body, expected);
}

const without = (member: string): string =>
  JSON.stringify(Object.fromEntries(Object.entries(required).filter(([name]) => name !== member)));

const attributeCases: readonly HttpCase[] = [
  structured('HTTP 3.2', 'the required members are an event', '', is()),
  ...[
    'application/cloudevents+json; charset=UTF-8',
    'Application/CloudEvents+JSON',
    'application/cloudevents+json;charset="utf-8"',
  ].map((type) => sent('HTTP 3.2.1', `the media type of the JSON format: ${type}`, type, `{${envelope}}`, is())),
  ...[
    'application/cloudevents+json; charset=utf-16',
    'application/cloudevents+xml',
    'application/cloudevents+protobuf',
  ].map((type) => sent('HTTP 3.2.1', `no format that is read: ${type}`, type, `{${envelope}}`, unsupported)),
  {
    ...structured('HTTP 3.2.3', 'headers of attributes besides are not looked at', '"ext":"a"', is({ ext: 'a' })),
    headers: ['content-type: application/cloudevents+json', 'ce-id: other', 'ce-ext: %zz', 'ce-my_x: 1'],
  },
  ...(['specversion', 'id', 'source', 'type'] as const).map((name) =>
    whole(`CE ${name}`, 'it is required in JSON', without(name), wrong(name)),
  ),
  ...(['specversion', 'id', 'source', 'type'] as const).map((name) =>
    whole(
      types,
      `null is not set, and ${name} is required`,
      JSON.stringify({ ...required, [name]: null }),
      wrong(name),
    ),
  ),
  ...(['specversion', 'id', 'source', 'type'] as const).map((name) =>
    whole(types, `${name} is a string, no number`, JSON.stringify({ ...required, [name]: 1 }), wrong(name)),
  ),
  whole(
    'CE specversion',
    'a version that is not known',
    JSON.stringify({ ...required, specversion: '1.1' }),
    wrong('specversion'),
  ),
  whole('CE id', 'it must not be empty in JSON', JSON.stringify({ ...required, id: '' }), wrong('id')),
  structured(types, 'null is not set', '"subject":null,"time":null,"ext":null', is()),
  structured(types, 'Boolean', '"yes":true,"no":false', is({ yes: 'true', no: 'false' })),
  structured(
    types,
    'Integer',
    '"a":0,"b":-1,"c":2147483647,"d":-2147483648',
    is({ a: '0', b: '-1', c: '2147483647', d: '-2147483648' }),
  ),
  structured(types, 'Integer in its canonical form', '"a":-0', is({ a: '0' })),
  ...['2147483648', '-2147483649', '99999999999999999999', '1.0', '1.5', '1e2', '0.1E1'].map((number) =>
    structured('CE Type System, Integer', `no whole number of 32 bits: ${number}`, `"ext":${number}`, wrong('ext')),
  ),
  ...['{}', '[]', '{"a":"b"}', '[1]'].map((value) =>
    structured(types, `no type of attributes: ${value}`, `"ext":${value}`, wrong('ext')),
  ),
  structured(types, 'String', '"ext":"a \\"b\\" \\u00fc\\ud83d\\ude00 \\/"', is({ ext: 'a "b" ü😀 /' })),
  structured(types, 'Binary is its base64', '"ext":"AAH/"', is({ ext: 'AAH/' })),
  structured(
    types,
    'Timestamp is kept as it is',
    '"time":"2018-04-05T17:31:00.000+00:00"',
    is({ time: '2018-04-05T17:31:00.000+00:00' }),
  ),
  ...['time', 'subject', 'dataschema', 'datacontenttype'].map((name) =>
    structured(types, `${name} is a string, no boolean`, `"${name}":true`, wrong(name)),
  ),
  ...['\\n', '\\u0000', '\\u007f', '\\u009f', '\\uffff', '\\ufdd0', '\\ud800', '\\udc00\\ud800'].map((text) =>
    structured('CE Type System, String', `a character that is not allowed: ${text}`, `"ext":"${text}"`, wrong('ext')),
  ),
  ...['Ext', 'my_ext', 'my-ext', '', 'é', 'data_', 'data_base'].map((name) =>
    structured(
      'CE Attribute Naming Convention',
      `other characters are refused in JSON: "${name}"`,
      `"${name}":"v"`,
      wrong(name),
    ),
  ),
  structured('CE Context Attributes', 'a member twice', '"ext":"a","ext":"a"', wrong('ext')),
  structured('CE Context Attributes', 'a member twice, once in escapes', '"ext":"a","e\\u0078t":"b"', wrong('ext')),
  structured('CE Context Attributes', 'a member twice, null and not', '"ext":null,"ext":"b"', wrong('ext')),
  structured('CE Context Attributes', 'data twice', '"data":1,"data":1', wrong('data')),
  structured('CE time', 'no time of RFC 3339', '"time":"2018-04-05"', wrong('time')),
  structured('CE source', 'no URI reference', '"source2":"x","dataschema":"x"', wrong('dataschema')),
  structured('CE subject', 'it must not be empty in JSON', '"subject":""', wrong('subject')),
];

const dataCases: readonly HttpCase[] = [
  structured('JSON 3.1.1', 'no data', '', is()),
  structured('JSON 3.1.1', 'null is data where the type is JSON', `${json},"data":null`, is(implied, 'null')),
  structured(
    reading,
    'data without a type is JSON, and says so from here on',
    '"data":{"a":1}',
    is(implied, '{"a":1}'),
  ),
  structured(reading, 'a type of null is none', '"datacontenttype":null,"data":1', is(implied, '1')),
  ...[
    '{"a":1.0,"a":2}',
    '[ ]',
    '12345678901234567890',
    '1e400',
    '-0',
    'true',
    '"\\u00fc"',
    '""',
    '{"data":{"data":null}}',
  ].map((text) =>
    structured(reading, `JSON is kept byte for byte: ${text}`, `"data":${text},${json}`, is(implied, text)),
  ),
  structured(
    reading,
    'a string under JSON is a JSON string, no document',
    `${json},"data":"{\\"a\\":1}"`,
    is(implied, '"{\\"a\\":1}"'),
  ),
  ...['application/vnd.x+json', 'text/json', 'a/b+JSON; charset=utf-8'].map((type) =>
    structured(
      'JSON 3.1.1',
      `JSON by its subtype: ${type}`,
      `"datacontenttype":"${type}","data":"x"`,
      is({ datacontenttype: type }, '"x"'),
    ),
  ),
  structured(
    reading,
    'the example with XML',
    `${xml},"data":"<much wow=\\"xml\\"/>"`,
    is({ datacontenttype: 'application/xml' }, '<much wow="xml"/>'),
  ),
  structured(
    reading,
    'an empty string is empty data',
    `${xml},"data":""`,
    is({ datacontenttype: 'application/xml' }, ''),
  ),
  structured(reading, 'text with a lone surrogate is none', `${xml},"data":"\\ud800"`, wrong('data')),
  structured(
    reading,
    'text in a charset that is not written here',
    '"datacontenttype":"text/plain;charset=latin1","data":"ü"',
    wrong('data'),
  ),
  structured(
    reading,
    'base64 is bytes',
    `${xml},"data_base64":"AAH/"`,
    is({ datacontenttype: 'application/xml' }, Buffer.from([0, 1, 255])),
  ),
  structured(reading, 'base64 without a type is not taken for JSON', '"data_base64":"MQ=="', is({}, '1')),
  structured(reading, 'base64 of JSON is its bytes', `${json},"data_base64":"eyJhIjoxfQ=="`, is(implied, '{"a":1}')),
  structured(reading, 'empty base64 is empty data', '"data_base64":""', is({}, '')),
  ...['"A"', '"AA="', '"AB=="', '"A A="', '"AA==\\n"', '"-_8="', '"é==="', '1', 'true', '{}', '[]'].map((value) =>
    structured(reading, `no base64: ${value}`, `"data_base64":${value}`, wrong('data_base64')),
  ),
  structured(
    'JSON 3.1.1',
    'data and data_base64 exclude each other',
    '"data":1,"data_base64":"MQ=="',
    wrong('data_base64'),
  ),
  structured(
    'JSON 3.1.1',
    'data of null is data beside data_base64',
    '"data":null,"data_base64":""',
    wrong('data_base64'),
  ),
  structured('CE datacontenttype', 'no media type', '"datacontenttype":"json","data":1', wrong('datacontenttype')),
];

const envelopeCases: readonly HttpCase[] = [
  whole('JSON 3', 'members in any order, with white space', `\r\n\t{ "data" : 1 , ${envelope} } \n`, is(implied, '1')),
  ...[
    '',
    '{',
    'null',
    '[]',
    '"x"',
    '1',
    '{}x',
    `{${envelope},}`,
    `{${envelope}} {}`,
    `[{${envelope}}]`,
    `{${envelope},'a':1}`,
    `{${envelope},"a":01}`,
    `{${envelope},"data":NaN}`,
  ].map((text) => whole('JSON 3', `no JSON object: ${text.replace(envelope, '…')}`, text, wrong(null))),
  whole('JSON 3', 'an empty object has no attributes', '{}', wrong('specversion')),
  whole('JSON 1', 'not UTF-8', Buffer.from(`{${envelope},"ext":"\xe9"}`, 'latin1'), wrong(null)),
  whole('JSON 1', 'in UTF-16', Buffer.from(`{${envelope}}`, 'utf16le'), wrong(null)),
];

const batchCases: readonly HttpCase[] = [
  batch('JSON 4.1', 'no events are a batch', '[]', { events: [] }),
  batch('JSON 4.1', 'one event', `[{${envelope}}]`, is()),
  batch(
    'HTTP 3.3.2',
    'each with its own attributes and data',
    `[{${envelope},"data":[1.0]}, {${envelope},${xml},"data":"<a/>","n":5}\n]`,
    {
      events: [eventOf(implied, '[1.0]'), eventOf({ datacontenttype: 'application/xml', n: '5' }, '<a/>')],
    },
  ),
  sent(
    'HTTP 3.3.1',
    'the media type with its charset',
    'application/cloudevents-batch+json; charset=utf-8',
    `[{${envelope}}]`,
    is(),
  ),
  sent('HTTP 3.3.1', 'no batch format that is read', 'application/cloudevents-batch+xml', '<a/>', unsupported),
  batch('JSON 4.2', 'an object is no batch', `{${envelope}}`, wrong(null)),
  ...['[null]', '[[]]', '[1]', `[{${envelope}},]`, `[{${envelope}}`, ''].map((text) =>
    batch('JSON 4.2', `no array of events: ${text.replace(envelope, '…')}`, text, wrong(null)),
  ),
  batch('HTTP 3.3.2', 'one that is wrong refuses all', `[{${envelope}},${without('id')}]`, wrong('id')),
  batch('HTTP 3.3.2', 'a batch in a batch', `[[{${envelope}}]]`, wrong(null)),
  batch(
    'CE specversion',
    'a version that is not known in a batch',
    `[${JSON.stringify({ ...required, specversion: '0.3' })}]`,
    wrong('specversion'),
  ),
  whole('HTTP 3', 'a batch under the media type of one event', `[{${envelope}}]`, wrong(null)),
];

/** Requests in structured and batched mode. */
export const jsonCases: readonly HttpCase[] = [...attributeCases, ...dataCases, ...envelopeCases, ...batchCases];
