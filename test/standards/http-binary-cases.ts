import { type Case, type Expected, is, required, unsupported, wrong } from './cases.ts';

export interface HttpCase extends Case {
  /** Lines of the request's header, a character for each byte. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** A request in binary mode: the required headers without those that a line with a `-` in front names, and the lines. */
function binary(section: string, name: string, lines: readonly string[], expected: Expected, body = ''): HttpCase {
  const left = Object.entries(required).filter(([attribute]) => !lines.includes(`-${attribute}`));
  const headers = left.map(([attribute, value]) => `ce-${attribute}: ${value}`);
  return {
    section,
    name,
    headers: [...headers, ...lines.filter((line) => !line.startsWith('-'))],
    body: Buffer.from(body, 'latin1'),
    expected,
  };
}

/** One attribute whose header value is read as `value`, or refused where that is null. */
function valued(section: string, name: string, attribute: string, header: string, value: string | null): HttpCase {
  const lines = [`-${attribute}`, `ce-${attribute}: ${header}`];
  return binary(section, name, lines, value === null ? wrong(attribute) : is({ [attribute]: value }));
}

const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

const specversion = 'CE specversion';
const id = 'CE id';
const source = 'CE source';
const type = 'CE type';
const time = 'CE time';
const subject = 'CE subject';
const dataschema = 'CE dataschema';
const contentType = 'HTTP 3.1.1';
const names = 'CE Attribute Naming Convention';
const strings = 'CE Type System, String';
const values = 'HTTP 3.1.3.2';

const requiredCases: readonly HttpCase[] = [
  binary('HTTP 3.1', 'the required attributes are an event', [], is()),
  binary(specversion, 'it is required', ['-specversion'], wrong('specversion')),
  ...['0.3', '0.2', '1.1', '2.0', '1', '1.0.2', '01.0', '', '1.0a'].map((version) =>
    valued(specversion, `a version that is not known is refused: "${version}"`, 'specversion', version, null),
  ),
  valued(specversion, 'space around a header value is no part of it', 'specversion', ' \t 1.0 \t', '1.0'),
  binary(id, 'it is required', ['-id'], wrong('id')),
  valued(id, 'it must not be empty', 'id', '', null),
  valued(id, 'empty in quotes is empty', 'id', '""', null),
  valued(id, 'any string', 'id', 'C234/x:?#[]@=;,', 'C234/x:?#[]@=;,'),
  valued(id, 'a number is a string', 'id', '0', '0'),
  binary(source, 'it is required', ['-source'], wrong('source')),
  ...[
    'https://github.com/cloudevents',
    'mailto:cncf-wg-serverless@lists.cncf.io',
    'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
    '/cloudevents/spec/pull/123',
    '/sensors/tn-1234567/alerts',
    '1-555-123-4567',
    'cloudevents/spec',
    '//example.com:8080/a?b=c#d',
    'http://[2001:db8::1]/',
    '?query',
    '#fragment',
    './a:b',
    '.',
  ].map((text) => valued(source, `a URI reference: ${text}`, 'source', text, text)),
  valued(source, 'a percent sign of the URI is encoded once more', 'source', '/a%2520b', '/a%20b'),
  valued(source, 'an unreserved character that needed no encoding', 'source', '/%61?b=%2541', '/a?b=%41'),
  ...['/a%20b', '/%25', '/%252', '/%C3%A9', 'https://de.wikipedia.org/wiki/Z%C3%BCrich?a=%22'].map((text) =>
    // Written by senders that encode no header values, as the SDKs for Go, Java and JavaScript; decoded it is no URI.
    valued(source, `a URI with its own percent signs: ${text}`, 'source', text, text),
  ),
  ...['', 'a b', 'a:b:<c>', '/\\x', ':a', '1a:b', 'http://[::zz]/', '/a|b', '/a%20b|', '/%FF', '/%'].map((text) =>
    valued(source, `no URI reference: ${text}`, 'source', text, null),
  ),
  binary(type, 'it is required', ['-type'], wrong('type')),
  valued(type, 'it must not be empty', 'type', '', null),
  valued(type, 'any string', 'type', 'com.github.pull_request.opened', 'com.github.pull_request.opened'),
  binary('CE REQUIRED Attributes', 'all are missing', ['-id', '-source', '-type', 'ce-x: 1'], wrong('id')),
];

const optionalCases: readonly HttpCase[] = [
  ...[
    '2018-04-05T17:31:00Z',
    '2018-04-05t17:31:00z',
    '1985-04-12T23:20:50.52Z',
    '1996-12-19T16:39:57-08:00',
    '2018-04-05T17:31:00.123456789123+14:00',
    '2018-04-05T17:31:00-00:00',
    '1990-12-31T23:59:60Z',
    '1990-12-31T15:59:60-08:00',
    '2024-02-29T00:00:00Z',
    '0001-01-01T00:00:00Z',
  ].map((text) => valued(time, `a time of RFC 3339, kept as it is: ${text}`, 'time', text, text)),
  ...[
    '',
    'now',
    '2018-04-05',
    '2018-04-05T17:31:00',
    '2018-04-05 17:31:00Z',
    '20180405T173100Z',
    '2018-4-5T17:31:00Z',
    '2018-04-05T17:31Z',
    '2018-04-05T17:31:00,5Z',
    '2018-04-05T17:31:00.Z',
    '2018-04-05T17:31:00+0530',
    '2018-04-05T17:31:00+24:00',
    '2018-04-05T24:00:00Z',
    '2018-04-05T17:60:00Z',
    '2018-04-05T17:31:60Z',
    '2018-13-05T17:31:00Z',
    '2018-02-29T17:31:00Z',
    '2018-04-31T17:31:00Z',
    '12018-04-05T17:31:00Z',
    '1522949460',
  ].map((text) => valued(time, `no time of RFC 3339: "${text}"`, 'time', text, null)),
  valued(subject, 'any string that is not empty', 'subject', 'mynewfile.jpg', 'mynewfile.jpg'),
  valued(subject, 'it must not be empty', 'subject', '', null),
  valued(dataschema, 'a URI', 'dataschema', 'https://example.com/schema/1', 'https://example.com/schema/1'),
  valued(dataschema, 'a URI of any scheme', 'dataschema', 'urn:example:schema:1', 'urn:example:schema:1'),
  valued(dataschema, 'a relative reference is no URI', 'dataschema', '/schema/1', null),
  valued(dataschema, 'it must not be empty', 'dataschema', '', null),
  ...[
    'text/plain',
    'application/json; charset=utf-8',
    'Application/JSON;Charset=UTF-8',
    'multipart/mixed; boundary="gc0p4Jq0M2Yt08j34c0p"',
    'application/vnd.apache.thrift.binary',
    'image/svg+xml',
    'text/xml;a="b;c\\"d"',
  ].map((text) =>
    binary(
      contentType,
      `it is datacontenttype: ${text}`,
      [`content-type: ${text}`],
      is({ datacontenttype: text }, 'x'),
      'x',
    ),
  ),
  binary(contentType, 'the header name is of any case', ['CONTENT-TYPE: a/b'], is({ datacontenttype: 'a/b' })),
  binary(contentType, 'without it the type of the data is not known', [], is({}, '{"a":1}'), '{"a":1}'),
  binary(contentType, 'it is mapped from content-type alone', ['ce-datacontenttype: a/b'], wrong('datacontenttype')),
  ...['json', 'text/plain, text/html'].map((text) =>
    binary('CE datacontenttype', `no media type at all: ${text}`, [`content-type: ${text}`], unsupported),
  ),
  ...['text/plain; charset', 'text/plain; charset=', 'text/plain; =x'].map((text) =>
    binary('CE datacontenttype', `no media type: ${text}`, [`content-type: ${text}`], wrong('datacontenttype')),
  ),
];

const nameCases: readonly HttpCase[] = [
  binary('HTTP 3.1.3.1', 'header names are of any case', ['Ce-TIME: 2018-04-05T17:31:00Z', 'CE-ComExample: 5'], {
    ...is({ time: '2018-04-05T17:31:00Z', comexample: '5' }),
  }),
  binary('HTTP 3.1.3.1', 'other headers are no attributes', ['cex: 1', 'ce_id: 2', 'x-ce-id: 3', 'ce: 4'], is()),
  binary(names, 'letters and digits', ['ce-abc0123: v', 'ce-0: w'], is({ abc0123: 'v', 0: 'w' })),
  binary(names, 'longer than 20 characters is not forbidden', ['ce-abcdefghijklmnopqrstuvwxyz: v'], {
    ...is({ abcdefghijklmnopqrstuvwxyz: 'v' }),
  }),
  ...['my-ext', 'my_ext', 'my.ext', '', '~', "it's"].map((name) =>
    binary(names, `other characters are refused: "${name}"`, [`ce-${name}: v`], wrong(name)),
  ),
  binary(names, 'an attribute is not named data', ['ce-data: v'], wrong('data')),
  ...['constructor', 'tostring', 'valueof', 'hasownproperty', 'prototype'].map((name) =>
    binary(names, `a name like any other: ${name}`, [`ce-${name}: v`], is({ [name]: 'v' })),
  ),
  binary('HTTP 3.1.3', 'a header of an attribute twice', ['ce-x: a', 'ce-x: b'], wrong('x')),
  binary('HTTP 3.1.3', 'twice with the same value', ['ce-x: a', 'ce-x: a'], wrong('x')),
  binary('HTTP 3.1.3', 'twice in different case', ['ce-x: a', 'CE-X: a'], wrong('x')),
  binary('HTTP 3.1.3', 'a required attribute twice', [`ce-id: ${required.id}`], wrong('id')),
  binary('HTTP 3.1.3', 'empty and not', ['ce-x:', 'ce-x: a'], wrong('x')),
  binary('HTTP 3.1.3', 'content-type twice', ['content-type: a/b', 'Content-Type: a/b'], wrong('datacontenttype')),
];

const valueCases: readonly HttpCase[] = [
  valued(values, 'the example of the text', 'ext', 'Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'),
  valued(values, 'lower-case digits', 'ext', '%e2%82%ac', '€'),
  valued(values, 'what needed no encoding', 'ext', '%30%41%7e', '0A~'),
  valued(values, 'a single round of decoding', 'ext', '%2541%252541', '%41%2541'),
  valued(values, 'no plus sign stands for a space', 'ext', 'a+b', 'a+b'),
  valued(values, 'a space that was not encoded', 'ext', 'a  b', 'a  b'),
  valued(values, 'quotes are taken off', 'ext', '"Euro sign"', 'Euro sign'),
  valued(values, 'backslash escapes within quotes', 'ext', '"a\\"b\\\\c\\d"', 'a"b\\cd'),
  valued(values, 'quotes first, then percent-encoding', 'ext', '"%22a%22"', '"a"'),
  valued(values, 'space within quotes is kept', 'ext', '"  a  "', '  a  '),
  valued(values, 'empty in quotes', 'ext', '""', ''),
  valued(values, 'a backslash outside of quotes', 'ext', 'a\\b', 'a\\b'),
  valued(values, 'parentheses are no comment', 'ext', 'a (b) c', 'a (b) c'),
  valued(
    values,
    'every printable character',
    'ext',
    "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~",
  ),
  valued(values, 'bytes of UTF-8 that were not encoded', 'ext', utf8('Grüße €'), 'Grüße €'),
  ...['%', '%2', 'a%', '%zz', '%%41', '%u20AC', '"open', '"open\\"'].map((text) =>
    valued(values, `what can not be decoded: ${text}`, 'ext', text, null),
  ),
  ...['%C0%A0', '%E2%82', '%82', '%F8%88%80%80%80', '%F4%90%80%80', '%FF', '\xe9', '\xc3x'].map((text) =>
    valued(values, `no UTF-8: ${encodeURIComponent(text)}`, 'ext', text, null),
  ),
  ...['%00', '%0D%0A', '%1F', '%7F', '%C2%80', '%C2%9F', '%09'].map((text) =>
    valued(strings, `no control characters: ${text}`, 'ext', text, null),
  ),
  ...['%EF%BF%BE', '%EF%BF%BF', '%EF%B7%90', '%F0%9F%BF%BE', '%F4%8F%BF%BF'].map((text) =>
    valued(strings, `no noncharacters: ${text}`, 'ext', text, null),
  ),
  ...['%ED%A0%80', '%ED%B0%80', '%ED%A0%BD%ED%B8%80'].map((text) =>
    valued(strings, `no surrogates: ${text}`, 'ext', text, null),
  ),
  valued(strings, 'an extension may be empty', 'ext', '', ''),
  valued(strings, 'the first characters that are allowed', 'ext', '%20%C2%A0%EE%80%80', ' \u00a0\ue000'),
  valued('CE Type System, Boolean', 'its canonical form', 'ext', 'true', 'true'),
  valued('CE Type System, Integer', 'the least', 'ext', '-2147483648', '-2147483648'),
  valued('CE Type System, Binary', 'its canonical form', 'ext', 'AAH/', 'AAH/'),
  valued('CE Type System, URI', 'its canonical form', 'ext', 'https://example.com/?a=%25', 'https://example.com/?a=%'),
  valued('CE Type System, Timestamp', 'its canonical form', 'ext', '2018-04-05T17:31:00Z', '2018-04-05T17:31:00Z'),
  valued('CE Type System, Timestamp', 'an extension of no known type is a string', 'ext', 'noon', 'noon'),
];

const bodyCases: readonly HttpCase[] = [
  binary(
    'HTTP 3.1.2',
    'the body is the data, byte for byte',
    ['content-type: a/b'],
    is({ datacontenttype: 'a/b' }, Buffer.from([0, 255, 13, 10, 0xc3])),
    '\0\xff\r\n\xc3',
  ),
  binary(
    'HTTP 3.1.2',
    'JSON is not looked at',
    ['content-type: application/json'],
    is({ datacontenttype: 'application/json' }, '{"a":1e400,}'),
    '{"a":1e400,}',
  ),
  binary('CE Event Data', 'there may be none', ['content-type: a/b'], is({ datacontenttype: 'a/b' })),
  binary(
    'HTTP 3',
    'an event format in Avro is not read',
    ['content-type: application/cloudevents+avro'],
    unsupported,
    'x',
  ),
  binary('HTTP 3', 'an event format without a name', ['content-type: application/cloudevents'], unsupported, 'x'),
  binary(
    'HTTP 3',
    'no header of an attribute and no event format',
    ['-specversion', '-id', '-source', '-type', 'content-type: text/plain'],
    unsupported,
    'x',
  ),
  binary(
    'HTTP 1.2',
    'content that is encoded would be taken for something else',
    ['content-encoding: gzip'],
    unsupported,
    'x',
  ),
  binary(
    'Knative data plane, Background',
    'an offer to upgrade is passed over',
    ['connection: Upgrade, HTTP2-Settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQAAP__'],
    is({}, 'x'),
    'x',
  ),
];

/** Requests in binary mode. */
export const binaryCases: readonly HttpCase[] = [
  ...requiredCases,
  ...optionalCases,
  ...nameCases,
  ...valueCases,
  ...bodyCases,
];
