import t from 'tap';
import { decodeHttp } from '../../event/http.ts';
import { named, only, plain, rawBytes, refusal, required, textOfData } from './sample.ts';

const ceHeaders = [
  'ce-specversion',
  '1.0',
  'ce-id',
  'A234-1234-1234',
  'ce-source',
  '/mycontext',
  'ce-type',
  'com.example.someevent',
];
const json = ['Content-Type', 'application/cloudevents+json'];
const batch = ['Content-Type', 'application/cloudevents-batch+json'];
const envelope = '"specversion":"1.0","id":"A234-1234-1234","source":"/mycontext","type":"com.example.someevent"';
const none = Buffer.alloc(0);

function structured(members: string): ReturnType<typeof decodeHttp> {
  return decodeHttp(json, Buffer.from(`{${envelope}${members === '' ? '' : `,${members}`}}`));
}

t.test('a binary event is its ce- headers, its content type and its body', (t) => {
  const body = Buffer.from([0, 255, 1, 13, 10]);
  const { mode, events } = decodeHttp(
    [
      'Host',
      'h',
      ...ceHeaders,
      'CE-Time',
      '2018-04-05T03:56:24Z',
      'Ce-MyExt',
      '5',
      'Content-Type',
      'Image/PNG; a=b',
      'x-ce-id',
      'y',
    ],
    body,
  );
  t.equal(mode, 'binary');
  const event = only(events);
  t.same(plain(event.attributes), {
    ...required,
    time: '2018-04-05T03:56:24Z',
    myext: '5',
    datacontenttype: 'Image/PNG; a=b',
  });
  t.equal(Object.keys(Object.getPrototypeOf(event.attributes)).length, 0);
  t.equal(event.attributes.constructor, undefined, 'attributes inherit nothing');
  t.equal(event.data, body);
  t.end();
});

t.test('a binary event whose body is empty has no data', (t) => {
  const event = only(decodeHttp([...ceHeaders, 'content-type', 'text/plain'], none).events);
  t.equal(event.data, undefined);
  t.equal(event.attributes.datacontenttype, 'text/plain');
  t.end();
});

t.test('header values are unquoted, percent-decoded once, and UTF-8', (t) => {
  const cases: [string, string][] = [
    ['plain', 'plain'],
    ['with space', 'with space'],
    ['', ''],
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['Euro%20%e2%82%ac%20%f0%9F%98%80', 'Euro € 😀'],
    ['lenient %30%31', 'lenient 01'],
    ['100%25', '100%'],
    ['%2541', '%41'],
    ['caf%C3%A9', 'café'],
    [rawBytes('café 😀'), 'café 😀'],
    [rawBytes('é%C3%A9'), 'éé'],
    ['"quoted"', 'quoted'],
    ['"  quoted  text  "unquoted', '  quoted  text  unquoted'],
    ['"escaped quote\\"end"', 'escaped quote"end'],
    ['"escaped backslash\\\\end"', 'escaped backslash\\end'],
    ['"quoted %22percent"', 'quoted "percent'],
    ['""', ''],
    ['non-escaping backslash\\end', 'non-escaping backslash\\end'],
    ['W/"etag"', 'W/"etag"'],
    ['%22', '"'],
  ];
  for (const [header, value] of cases) {
    const event = only(decodeHttp([...ceHeaders, 'ce-ext', header], none).events);
    t.equal(event.attributes.ext, value, named(header));
  }
  t.end();
});

t.test('header values that can not be decoded are refused', (t) => {
  const values = [
    '%',
    '%0',
    '%g0',
    '%0g',
    '%0$',
    '%ED%B0%80',
    '%ED%A0%80%ED%B0%80',
    '%C0%A0',
    '%E2',
    '%E2x',
    '%82',
    '%E2%E2',
  ];
  values.push(
    '%00',
    '%0A',
    '%7F',
    '%C2%80',
    '%EF%BF%BF',
    '%EF%B7%90',
    '\xe9',
    '\xe9 caf%C3%A9',
    '\u20ac',
    '\u0141',
    '"open',
    '"open \\',
    '"open\\"',
  );
  for (const value of values) {
    const error = refusal(t, () => decodeHttp([...ceHeaders, 'ce-ext', value], none), named(value));
    t.equal(error.attribute, 'ext', named(value));
    t.equal(error.status, 400);
  }
  t.end();
});

t.test('a repeated header is refused', (t) => {
  t.equal(refusal(t, () => decodeHttp([...ceHeaders, 'CE-ID', 'A234-1234-1234'], none), 'id twice').attribute, 'id');
  t.equal(refusal(t, () => decodeHttp([...ceHeaders, 'ce-x', '', 'ce-x', ''], none), 'x twice').attribute, 'x');
  for (const first of ['text/plain', 'application/cloudevents+json']) {
    const headers = [...ceHeaders, 'content-type', first, 'Content-Type', 'text/plain'];
    t.equal(refusal(t, () => decodeHttp(headers, none), 'content-type twice').attribute, 'datacontenttype');
  }
  t.end();
});

t.test('headers that are no attributes are refused by name', (t) => {
  const cases = {
    'ce-data': 'data',
    'ce-': '',
    'ce-my-ext': 'my-ext',
    'ce-data_base64': 'data_base64',
    'ce-datacontenttype': 'datacontenttype',
  };
  for (const [header, attribute] of Object.entries(cases)) {
    t.equal(refusal(t, () => decodeHttp([...ceHeaders, header, 'text/plain'], none), header).attribute, attribute);
  }
  t.end();
});

t.test('missing headers of required attributes are named', (t) => {
  const error = refusal(t, () => decodeHttp(['ce-id', '1', 'ce-specversion', '1.0'], none), 'two missing');
  t.equal(error.message, 'the required attributes source (header ce-source), type (header ce-type) are missing');
  t.equal(error.attribute, 'source');
  t.equal(refusal(t, () => decodeHttp(['ce-ext', '1'], none), 'all missing').status, 400);
  t.equal(
    refusal(t, () => decodeHttp([...ceHeaders, 'content-type', ''], none), 'no type').attribute,
    'datacontenttype',
  );
  t.end();
});

t.test('what is not a CloudEvent is answered 415, with what would be right', (t) => {
  for (const headers of [[], ['content-type', 'application/json'], ['content-type', 'x', 'x-ce-id', '1']]) {
    const error = refusal(t, () => decodeHttp(headers, Buffer.from('{}')), headers.join());
    t.equal(error.status, 415);
    for (const right of ['ce-id', 'ce-source', 'ce-type', 'ce-specversion: 1.0', 'application/cloudevents+json']) {
      t.match(error.message, right);
    }
  }
  t.end();
});

t.test('event formats other than JSON in UTF-8 are answered 415', (t) => {
  for (const type of [
    'application/cloudevents',
    'application/cloudevents+avro',
    'Application/CloudEvents+protobuf; charset=utf-8',
    'application/cloudevents-batch+xml',
    'application/cloudevents+json; charset=iso-8859-1',
    'application/cloudevents+json; charset=utf-8; charset=utf-16',
    'application/cloudevents+json; charset',
    'application/cloudevents+json, text/plain',
    'application/cloudevents-batch+json;charset="utf-16"',
  ]) {
    const error = refusal(t, () => decodeHttp([...ceHeaders, 'content-type', type], none), type);
    t.equal(error.status, 415, type);
    t.equal(error.code, 'EVENT_FORMAT');
  }
  for (const type of [
    'application/cloudevents+json',
    'Application/CloudEvents+JSON',
    'application/cloudevents+json;charset=UTF-8',
    'application/cloudevents+json; charset="utf-8"; x=y',
  ]) {
    t.equal(decodeHttp(['content-type', type], Buffer.from(`{${envelope}}`)).mode, 'structured', type);
  }
  t.end();
});

t.test('a structured event is its members; headers besides are not looked at', (t) => {
  const body = `{${envelope},"subject":null,"time":"2018-04-05T17:31:00Z","comexampleothervalue":5,"neg":-2147483648,"zero":-0,"yes":true,"no":false,"unset":null,"esc":"\\u00fc\\ud83d\\ude00\\"","c":""}`;
  const event = only(decodeHttp([...json, 'ce-id', 'other', 'ce-data', 'x'], Buffer.from(body)).events);
  t.same(plain(event.attributes), {
    ...required,
    time: '2018-04-05T17:31:00Z',
    comexampleothervalue: '5',
    neg: '-2147483648',
    zero: '0',
    yes: 'true',
    no: 'false',
    esc: 'ü😀"',
    c: '',
  });
  t.equal(event.data, undefined);
  t.end();
});

t.test('structured JSON data is the exact bytes of the body', (t) => {
  for (const text of [
    'null',
    '12345678901234567890',
    '1e400',
    '"I\'m just a string"',
    '{ "a" : 1.0, "a" : 2 ,\n"ü":"\\u00fc\\/" }',
    '[ ]',
    'false',
    '""',
  ]) {
    for (const type of [
      '',
      ',"datacontenttype":"application/json"',
      ',"datacontenttype":"Text/JSON;a=b"',
      ',"datacontenttype":"a/b+json"',
    ]) {
      const event = only(structured(`"data": ${text} ${type}`).events);
      t.equal(textOfData(event), text, `${text} ${type}`);
      t.ok(event.attributes.datacontenttype, 'the implied type is made explicit');
    }
  }
  t.equal(only(structured('"data":1').events).attributes.datacontenttype, 'application/json');
  t.equal(only(structured('"data":1,"datacontenttype":null').events).attributes.datacontenttype, 'application/json');
  t.equal(only(structured('').events).attributes.datacontenttype, undefined, 'without data nothing is implied');
  t.end();
});

t.test('structured data of another type is the text of its string, or the bytes of its base64', (t) => {
  const xml = '"datacontenttype":"application/xml"';
  t.equal(textOfData(only(structured(`${xml},"data":"<much wow=\\"xml\\"/>"`).events)), '<much wow="xml"/>');
  t.equal(textOfData(only(structured(`${xml},"data":"\\u00fc\\ud83d\\ude00"`).events)), 'ü😀');
  t.equal(textOfData(only(structured(`${xml},"data":""`).events)), '');
  t.equal(textOfData(only(structured(`${xml},"data":{"a": 1.0}`).events)), '{"a": 1.0}', 'not a string: as it is');
  t.same(only(structured(`${xml},"data_base64":"AAH\\/"`).events).data, Buffer.from([0, 1, 255]));
  t.same(only(structured('"data_base64":""').events).data, none);
  t.equal(only(structured('"data_base64":""').events).attributes.datacontenttype, undefined);
  t.equal(textOfData(only(structured('"data":1,"data_base64":null').events)), '1', 'null is unset');
  t.equal(only(structured('"data_base64":null').events).data, undefined);
  const latin1 = '"datacontenttype":"text/plain;charset=iso-8859-1"';
  t.equal(textOfData(only(structured(`${latin1},"data":"ascii"`).events)), 'ascii');
  t.equal(refusal(t, () => structured(`${latin1},"data":"ü"`), 'latin1').attribute, 'data');
  t.equal(refusal(t, () => structured(`${xml},"data":"\\ud800"`), 'a lone surrogate').attribute, 'data');
  t.end();
});

t.test('a structured event that is wrong is refused, naming the member', (t) => {
  const cases: [string, string | null][] = [
    ['"id":"2"', 'id'],
    ['"a":1,"\\u0061":1', 'a'],
    ['"a":null,"a":null', 'a'],
    ['"data":1,"data":1', 'data'],
    ['"data":1,"data_base64":"AA=="', 'data_base64'],
    ['"data":null,"data_base64":""', 'data_base64'],
    ...['"A"', '"A=="', '"AA="', '"AA"', '"AB=="', '"A A="', '"AA==\\n"', '"-_8="', '"ü"', '1', 'true', '{}'].map(
      (value): [string, string] => [`"data_base64":${value}`, 'data_base64'],
    ),
    ...['1.0', '1e2', '2147483648', '-2147483649', '99999999999', '[]', '{"a":1}'].map((value): [string, string] => [
      `"ext":${value}`,
      'ext',
    ]),
    ['"time":5', 'time'],
    ['"subject":true', 'subject'],
    ['"subject":""', 'subject'],
    ['"Ext":"a"', 'Ext'],
    ['"my_ext":null', 'my_ext'],
    ['"":""', ''],
    ['"ext":"\\ud800"', 'ext'],
    ['"ext":"\\n"', 'ext'],
    ['"ext":"\\uffff"', 'ext'],
    ['"datacontenttype":"json","data":1', 'datacontenttype'],
    ['"x":', null],
    ['"x":1 "y"', null],
  ];
  for (const [members, attribute] of cases) {
    const error = refusal(t, () => structured(members), members);
    t.equal(error.attribute, attribute, members);
    t.equal(error.status, 400);
    t.ok(error.message.includes(attribute ?? ''), error.message);
  }
  for (const body of [
    '',
    'null',
    '[]',
    '{}',
    '"x"',
    `{${envelope}} x`,
    `\ufeff{${envelope}}`,
    `{${envelope},"data":"\xff"}`,
  ]) {
    refusal(t, () => decodeHttp(json, Buffer.from(body, 'latin1')), named(body));
  }
  for (const name of Object.keys(required)) {
    const wrong = { ...required, [name]: name === 'specversion' ? 1 : 5 };
    t.equal(refusal(t, () => decodeHttp(json, Buffer.from(JSON.stringify(wrong))), name).attribute, name);
    const unset = { ...required, [name]: null };
    t.equal(refusal(t, () => decodeHttp(json, Buffer.from(JSON.stringify(unset))), name).attribute, name);
  }
  t.end();
});

t.test('a batch is its events, and an error names the member', (t) => {
  const read = (text: string): ReturnType<typeof decodeHttp> => decodeHttp(batch, Buffer.from(text));
  t.same(read('[]'), { mode: 'batch', events: [] });
  const { mode, events } = read(`[{${envelope},"data": 1.0 } , {${envelope},"data_base64":"AA=="}]`);
  t.equal(mode, 'batch');
  t.same(
    events.map(({ data }) => data),
    [Buffer.from('1.0'), Buffer.from([0])],
  );
  const error = refusal(t, () => read(`[{${envelope}},{${envelope},"time":"noon"}]`), 'bad member');
  t.equal(error.index, 1);
  t.equal(error.attribute, 'time');
  t.match(error.message, /^batch member 1: attribute time is "noon"/);
  t.equal(refusal(t, () => read(`[{${envelope}},{}]`), 'empty member').index, 1);
  for (const text of [
    '',
    `{${envelope}}`,
    `[{${envelope}},]`,
    `[{${envelope}},1]`,
    `[[{${envelope}}]]`,
    `[{${envelope}}`,
  ]) {
    t.equal(refusal(t, () => read(text), text).status, 400);
  }
  t.end();
});

t.test('100,000 brackets in each other do not overflow the stack', (t) => {
  for (const text of [
    `{"data":${'['.repeat(100_000)}`,
    '['.repeat(100_000),
    `{${envelope},"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  ]) {
    refusal(t, () => decodeHttp(json, Buffer.from(text)), 'deep');
    refusal(t, () => decodeHttp(batch, Buffer.from(text)), 'deep');
    refusal(t, () => decodeHttp(batch, Buffer.from(`[${text}`)), 'deep');
  }
  t.end();
});
