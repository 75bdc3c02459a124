import t from 'tap';
import { fromRecord } from '../../event/kafka.ts';
import { fromPlainRecord, isEventRecord, type MappedAttribute, toPlainRecord } from '../../event/plain.ts';
import { parseTemplate, type Template } from '../../event/template.ts';
import { eventWith, plain, refusal, textOfData } from './sample.ts';

const place = { namespace: 'shop', name: 'pages', topic: 'eqiad.pages', partition: 3 };
const atMs = Date.parse('2026-01-31T12:00:00.5Z');

interface Given {
  readonly key?: string | Buffer;
  readonly value?: unknown;
  readonly headers?: Record<string, string | Buffer | readonly (string | Buffer)[]>;
  readonly timestampMs?: number;
}

function record({ key, value = null, headers = {}, timestampMs = atMs }: Given = {}) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return {
    ...{ offset: 42, timestampMs, headers, key: key === undefined ? null : Buffer.from(key) },
    value: value === null ? null : Buffer.isBuffer(value) ? value : Buffer.from(text),
  };
}

function mapping(of: Record<string, string | readonly string[]>): MappedAttribute[] {
  return Object.entries(of).map(([name, texts]) => {
    return { name, from: [texts].flat().map((text) => parseTemplate(text) as Template) };
  });
}

const wrapped = {
  specversion: '1.0',
  id: 'partition:3/offset:42',
  source: '/apis/v1/namespaces/shop/kafkasources/pages#eqiad.pages',
  type: 'dev.knative.kafka.event',
  subject: 'partition:3#42',
  time: '2026-01-31T12:00:00.500Z',
};

function attributesOf(given: Given, by: MappedAttribute[] | null = null): Record<string, string | undefined> {
  const { attributes } = fromPlainRecord(record(given), place, by);
  return Object.fromEntries(Object.entries(plain(attributes)).filter(([, value]) => value !== undefined));
}

t.test("a record is wrapped as by Knative's KafkaSource: id, source, type, subject, time, key, headers", async (t) => {
  t.strictSame(attributesOf({}), wrapped, 'nothing but its place and time');
  const key = '{"wiki_id": "enwiki", "page_id": 7}';
  const headers = { 'X-Trace.Id': 'a-1', twice: ['1', '2'] };
  t.strictSame(attributesOf({ key, value: 'text', headers: { ...headers, 'content-type': 'text/plain' } }), {
    ...{ ...wrapped, key, partitionkey: key, datacontenttype: 'text/plain' },
    ...{ kafkaheaderxtraceid: 'a-1', kafkaheadertwice: '2' },
  });
  const { time: _, ...timeless } = wrapped;
  t.strictSame(attributesOf({ key: '', timestampMs: -1 }), timeless, 'no key, and no time');
  for (const timestampMs of [253_402_300_800_000, 1_767_225_600_000_000_000]) {
    t.strictSame(attributesOf({ timestampMs }), timeless, 'a time beyond the year 9999, as of a count of nanoseconds');
  }
});

t.test('the content type is read in any case; what is none is a header like any other', async (t) => {
  const of = (headers: Record<string, string | Buffer>) => attributesOf({ value: '{}', headers });
  t.strictSame(of({ 'Content-Type': 'text/plain' }), { ...wrapped, datacontenttype: 'text/plain' });
  const json = { ...wrapped, datacontenttype: 'application/json' };
  t.strictSame(of({ 'content-type': 'json' }), { ...json, kafkaheadercontenttype: 'json' });
  t.strictSame(of({ 'content-type': Buffer.from([255]) }), { ...json, kafkaheadercontenttype: '/w==' });
  t.strictSame(of({ TraceParent: 'x' }), { ...json, kafkaheadertraceparent: 'x' }, 'nothing is lost');
});

t.test('data is byte for byte the value, and no value is no data', async (t) => {
  const value = Buffer.from([0, 255, 10]);
  const { data } = fromPlainRecord(record({ value }), place, null);
  t.ok(data?.equals(value));
  t.equal(fromPlainRecord(record(), place, null).data, undefined);
});

t.test('an object or array of JSON is JSON, where the record does not say what it is', async (t) => {
  const typeOf = (value: string): string | undefined => attributesOf({ value }).datacontenttype;
  t.strictSame(['{"a": 1}', '[1]', '{"a": 1', 'text', '15', ''].map(typeOf), [
    'application/json',
    'application/json',
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

t.test('keys and headers that no attribute can hold are in base64', async (t) => {
  const bytes = Buffer.from([0, 1, 255]);
  const attributes = attributesOf({ key: bytes, headers: { a: bytes, b: 'x\ny', c: 'Grüße' } });
  t.match(attributes, { key: 'AAH/', kafkaheadera: 'AAH/', kafkaheaderb: 'eAp5', kafkaheaderc: 'Grüße' });
});

t.test('the trace context of a record is no extension, and its hops are those of the event', async (t) => {
  const headers = { traceparent: '00-1-2-01', tracestate: 'a=b', 'posthorn-hops': '3' };
  t.strictSame(attributesOf({ headers }), { ...wrapped, posthornhops: '3' });
});

t.test('attributes are mapped from the value; the others are those of the wrapping', async (t) => {
  const value = {
    meta: { id: 'abc', dt: '2026-01-01T00:00:00Z' },
    page: { id: 7, title: 'Zürich, Altstadt' },
    bot: false,
  };
  const by = mapping({
    id: '/meta/id',
    source: 'https://wiki.example/{/page/title}',
    time: ['/dt', '/meta/dt'],
    page: '/page/id',
    bot: '/bot',
    none: '/none',
  });
  t.strictSame(attributesOf({ value, key: 'k' }, by), {
    ...{ ...wrapped, key: 'k', partitionkey: 'k', datacontenttype: 'application/json' },
    ...{ id: 'abc', source: 'https://wiki.example/Z%C3%BCrich,%20Altstadt' },
    ...{ time: '2026-01-01T00:00:00Z', page: '7', bot: 'false' },
  });
  const { subject: _, ...unnamed } = wrapped;
  const others = mapping({ subject: '/none', partitionkey: '/page/id' });
  t.strictSame(attributesOf({ value, key: 'k' }, others), {
    ...{ ...unnamed, key: 'k', partitionkey: '7', datacontenttype: 'application/json' },
  });
});

t.test('a value that the mapping can not be taken from is refused, with what is missing or wrong', async (t) => {
  const said = (value: unknown, by: Record<string, string | readonly string[]>): string =>
    refusal(t, () => fromPlainRecord(record({ value }), place, mapping(by)), JSON.stringify(by)).message;
  t.equal(
    said({}, { id: ['/meta/id', '/id'] }),
    'the value has nothing at /meta/id nor /id, where its id is to come from',
  );
  t.match(said('text', { id: '/id' }), 'the value is not JSON');
  t.match(said(null, { id: '/id' }), 'the value is absent');
  t.match(said({ id: [] }, { id: '/id' }), 'an array at /id');
  t.match(said({ at: 'noon' }, { time: '/at' }), 'attribute time is "noon": a time of RFC 3339 is wanted');
  t.match(said({ schema: '/page/1.0' }, { dataschema: '/schema' }), 'attribute dataschema is "/page/1.0"');
});

t.test('a record that says it is a CloudEvent is taken at its word', async (t) => {
  t.equal(isEventRecord(record()), false);
  t.equal(isEventRecord(record({ headers: { 'content-type': 'application/json', ce: 'x' } })), false);
  t.equal(isEventRecord(record({ headers: { ce_id: '1' } })), true);
  t.equal(isEventRecord(record({ headers: { 'content-type': 'application/cloudevents+json' } })), true);
  t.equal(isEventRecord(record({ headers: { 'content-type': Buffer.from('application/cloudevents+avro') } })), true);
});

t.test('an event as data alone: value, key, its type, and its hops for the way back', async (t) => {
  const event = eventWith(
    { datacontenttype: 'application/json', partitionkey: 'k', posthornhops: '2', ext: 'x' },
    '{}',
  );
  const written = toPlainRecord(event);
  t.strictSame(written.headers, { 'content-type': 'application/json', 'posthorn-hops': '2' });
  t.equal(written.key?.toString(), 'k');
  t.equal(written.value?.toString(), '{}');
  const back = fromPlainRecord({ ...written, offset: 1, timestampMs: atMs }, place, null);
  t.match(plain(back.attributes), { posthornhops: '2', partitionkey: 'k', datacontenttype: 'application/json' });
  t.equal(textOfData(back), '{}');
  t.strictSame(toPlainRecord(eventWith({})), { key: null, value: null, headers: {} });
  const nested = toPlainRecord(eventWith({ datacontenttype: 'application/cloudevents+json' }, '{}'));
  t.equal(isEventRecord(nested), false, 'data that is an event does not make the record one');
  t.match(refusal(t, () => fromRecord(nested), 'plain').message, 'not a CloudEvent');
});
