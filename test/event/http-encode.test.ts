import t from 'tap';
import { decodeHttp, encodeBinary, encodeStructured } from '../../event/http.ts';
import { eventWith, named, only, plain } from './sample.ts';

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
const envelope = '"specversion":"1.0","id":"A234-1234-1234","source":"/mycontext","type":"com.example.someevent"';
const none = Buffer.alloc(0);

t.test('in binary mode a header is one attribute, percent-encoded', (t) => {
  t.same(encodeBinary(eventWith({})), { headers: ceHeaders, body: null });
  const cases: [string, string][] = [
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
    ['a b', 'a%20b'],
    ['percent%encoded', 'percent%25encoded'],
    ['quote"encoded', 'quote%22encoded'],
    ['café', 'caf%C3%A9'],
    ['line1\r\nline2\u007f', 'line1%0D%0Aline2%7F'],
    ["!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", "!#$&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"],
    ['', ''],
  ];
  for (const [value, header] of cases) {
    t.same(encodeBinary(eventWith({ ext: value })).headers.slice(-2), ['ce-ext', header], named(value));
  }
  const body = Buffer.from('{}');
  t.same(encodeBinary(eventWith({ datacontenttype: 'application/json; a="b c"' }, body)), {
    headers: [...ceHeaders, 'content-type', 'application/json; a="b c"'],
    body,
  });
  t.same(encodeBinary(eventWith({}, none)).body, none);
  t.end();
});

t.test('an event whose data is itself an event is sent in structured mode', (t) => {
  const event = eventWith({ datacontenttype: 'application/cloudevents+json' }, `{${envelope}}`);
  const { headers, body } = encodeBinary(event);
  const { mode, events } = decodeHttp(headers, body ?? none);
  t.equal(mode, 'structured');
  t.same(plain(only(events).attributes), event.attributes);
  t.same(only(events).data, event.data);
  t.end();
});

t.test('in structured mode JSON data is sent as it is, text as a string, all else in base64', (t) => {
  const cases: [string | undefined, string | Buffer, string][] = [
    [undefined, '1.0', '"data_base64":"MS4w"'],
    [undefined, 'x', '"data_base64":"eA=="'],
    ['application/json', ' {"a":1e400,"a":"\\/"}\n', '"data": {"a":1e400,"a":"\\/"}\n'],
    ['application/json', '{', '"data_base64":"ew=="'],
    ['application/json', '\ufeff1', '"data_base64":"77u/MQ=="'],
    ['application/json', '', '"data_base64":""'],
    ['application/json', '1,"id":"2"', '"data_base64":"MSwiaWQiOiIyIg=="'],
    ['application/json', '['.repeat(2_000) + ']'.repeat(2_000), '"data_base64":"'],
    ['a/b+JSON;c=d', 'null', '"data":null'],
    ['text/plain', 'a"ü\n', '"data":"a\\"ü\\n"'],
    ['text/plain', '', '"data":""'],
    ['text/plain; charset=UTF-8', 'ü', '"data":"ü"'],
    ['text/plain; charset=iso-8859-1', 'ü', '"data_base64":"w7w="'],
    ['text/plain', Buffer.from([0xff]), '"data_base64":"/w=="'],
    ['text/plain', '\ufeffa', '"data":"\ufeffa"'],
    ['application/xml', '<a/>', '"data":"<a/>"'],
    ['application/octet-stream', 'abc', '"data_base64":"YWJj"'],
  ];
  for (const [type, data, member] of cases) {
    const event = eventWith(type === undefined ? {} : { datacontenttype: type }, data);
    const { headers, body } = encodeStructured(event);
    t.same(headers, ['content-type', 'application/cloudevents+json; charset=utf-8']);
    const text = body?.toString() ?? '';
    t.ok(text.startsWith(`{${envelope}`) && text.includes(`,${member}`), `${type} ${named(text)}`);
    JSON.parse(text);
  }
  t.equal(
    encodeStructured(eventWith({ ext: 'ü"' })).body?.toString(),
    `{${envelope},"ext":"ü\\""}`,
    'no data, no member',
  );
  t.end();
});
