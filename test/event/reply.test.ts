import t from 'tap';
import { decodeReply } from '../../event/http.ts';
import { plain, refusal, required, textOfData } from './sample.ts';

const ceHeaders = Object.entries(required).flatMap(([name, value]) => [`ce-${name}`, value]);
const body = Buffer.from('{"ok":true}');

t.test('an answer that does not claim to be a CloudEvent is none', (t) => {
  for (const headers of [
    [],
    ['content-type', 'application/json'],
    ['content-type', ''],
    ['content-type', 'not a media type'],
    ['content-type', 'text/plain', 'content-type', 'text/plain'],
    ['ce-time', 'noon', 'ce-x-y', '%'],
    ['x-ce-id', '1'],
  ]) {
    t.equal(decodeReply(headers, body), null, headers.join());
  }
  t.end();
});

t.test('an event in binary or structured mode is the reply', (t) => {
  const binary = decodeReply([...ceHeaders, 'content-type', 'application/json', 'set-cookie', 'a'], body);
  t.same(binary && plain(binary.attributes), { ...required, datacontenttype: 'application/json' });
  t.equal(binary?.data, body);
  t.equal(decodeReply(ceHeaders, Buffer.alloc(0))?.data, undefined);
  const text = JSON.stringify({ ...required, data: [1] });
  const structured = decodeReply(['content-type', 'application/cloudevents+json; charset=utf-8'], Buffer.from(text));
  t.same(structured && plain(structured.attributes), { ...required, datacontenttype: 'application/json' });
  t.equal(structured && textOfData(structured), '[1]');
  t.end();
});

t.test('an answer that claims to be an event and is malformed is refused', (t) => {
  for (const name of Object.keys(required)) {
    refusal(t, () => decodeReply([`ce-${name}`, '1.0'], body), `ce-${name} alone`);
  }
  const cases: [string[], 400 | 415][] = [
    [[...ceHeaders, 'ce-id', '2'], 400],
    [[...ceHeaders, 'ce-time', 'noon'], 400],
    [[...ceHeaders, 'content-type', 'a', 'content-type', 'b'], 400],
    [['content-type', 'application/cloudevents+json'], 400],
    [['content-type', 'application/cloudevents+avro'], 415],
    [['content-type', 'application/cloudevents+json; charset=utf-16'], 415],
  ];
  for (const [headers, status] of cases) {
    t.equal(refusal(t, () => decodeReply(headers, body), headers.join()).status, status);
  }
  t.end();
});

t.test('a batch is no reply', (t) => {
  for (const text of ['[]', JSON.stringify([required])]) {
    const reply = (): unknown => decodeReply(['content-type', 'application/cloudevents-batch+json'], Buffer.from(text));
    t.match(refusal(t, reply, text).message, 'a reply is one event, not a batch');
  }
  t.end();
});
