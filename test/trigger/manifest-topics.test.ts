import t from 'tap';
import { brokerFromManifest, parseManifests, triggerFromManifest } from '../../broker/trigger/manifest.ts';
import type { Broker } from '../../broker/trigger/trigger.ts';
import { fromPlainRecord } from '../../event/plain.ts';

type Annotations = Record<string, string>;

const topic = 'kafka.eventing.knative.dev/external.topic';

function text(kind: 'Broker' | 'Trigger', annotations: Annotations): string {
  const spec = kind === 'Trigger' ? { subscriber: { uri: 'http://handler.example' } } : {};
  const metadata = { name: 'pages', annotations };
  return JSON.stringify({ apiVersion: 'eventing.knative.dev/v1', kind, metadata, spec });
}

function said(kind: 'Broker' | 'Trigger', annotations: Annotations): string[] {
  return parseManifests(text(kind, annotations), 'file.json').problems.map(
    ({ severity, message }) => `${severity}: ${message}`,
  );
}

function brokerOf(annotations: Annotations): Broker {
  const { documents, problems } = parseManifests(text('Broker', annotations), 'file.json');
  if (!documents[0]) throw new Error(JSON.stringify(problems));
  return brokerFromManifest(documents[0].manifest, 'default');
}

t.test('a broker has one external topic or several', async (t) => {
  t.strictSame(brokerOf({ [topic]: 'eqiad.pages' }).externalTopics, ['eqiad.pages']);
  t.strictSame(brokerOf({ [topic]: 'eqiad.pages, codfw.pages' }).externalTopics, ['eqiad.pages', 'codfw.pages']);
  t.strictSame(said('Broker', { [topic]: 'a,b,a' }), ['error: names the topic a twice; keep one']);
  t.match(said('Broker', { [topic]: 'a,' }), [/^error: must be the name of a Kafka topic .*, found ""$/]);
  const many = Array.from({ length: 33 }, (_, n) => `t${n}`).join();
  t.strictSame(said('Broker', { [topic]: many }), ['error: names 33 topics; a broker has at most 32']);
});

t.test(
  'attributes are mapped in JSON or YAML, by pointers, texts with pointers, or the first that is there',
  async (t) => {
    const mapped = [
      { name: 'id', from: [[['meta', 'id']]] },
      { name: 'source', from: [['https://', ['meta', 'domain']]] },
      { name: 'time', from: [[['dt']], [['meta', 'dt']]] },
      { name: 'type', from: [['com.example.page']] },
    ];
    const json =
      '{"id": "/meta/id", "source": "https://{/meta/domain}", "time": ["/dt", "/meta/dt"], "type": "com.example.page"}';
    const yaml = 'id: /meta/id\nsource: https://{/meta/domain}\ntime: [/dt, /meta/dt]\ntype: com.example.page\n';
    for (const attributes of [json, yaml]) {
      t.strictSame(brokerOf({ [topic]: 'pages', 'posthorn.dev/attributes': attributes }).attributes, mapped);
    }
  },
);

t.test("Wikimedia's events are known by name", async (t) => {
  const { attributes } = brokerOf({ [topic]: 'pages', 'posthorn.dev/attributes': 'wikimedia' });
  const place = { namespace: 'default', name: 'pages', topic: 'eqiad.mediawiki.page_change.v1', partition: 0 };
  const of = (value: unknown): Record<string, string | undefined> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const key = Buffer.from('{"wiki_id":"enwiki","page_id":7}');
    const record = { offset: 0, timestampMs: 0, key, value: bytes, headers: {} };
    return { ...fromPlainRecord(record, place, attributes).attributes };
  };
  const meta = {
    id: 'b6a9',
    stream: 'mediawiki.page_change.v1',
    dt: '2026-01-05T10:00:01Z',
    domain: 'de.wikipedia.org',
  };
  const event = { $schema: '/mediawiki/page/change/1.2.0', dt: '2026-01-05T10:00:00Z', meta };
  t.match(of(event), {
    id: 'b6a9',
    source: 'https://de.wikipedia.org',
    type: 'mediawiki.page_change.v1',
    time: '2026-01-05T10:00:00Z',
    dataschema: 'https://schema.wikimedia.org/repositories/primary/jsonschema/mediawiki/page/change/1.2.0',
    datacontenttype: 'application/json',
    partitionkey: '{"wiki_id":"enwiki","page_id":7}',
    subject: undefined,
  });
  const { domain: _, ...undomained } = { ...meta, uri: 'https://de.wikipedia.org/wiki/Z%C3%BCrich' };
  t.match(of({ $schema: '/a/1.0.0', meta: undomained }), {
    source: 'mediawiki.page_change.v1',
    subject: 'https://de.wikipedia.org/wiki/Z%C3%BCrich',
    time: '2026-01-05T10:00:01Z',
  });
});

t.test('a mapping that is wrong is refused with what would be right', async (t) => {
  const refused = (attributes: string): string[] =>
    said('Broker', { [topic]: 'pages', 'posthorn.dev/attributes': attributes });
  const cases: [string, RegExp][] = [
    [
      '/meta/id',
      /^error: must be an object of names and JSON pointers, as \{"id": "\/meta\/id"\}, found "\/meta\/id"$/,
    ],
    ['{"id": ', /^error: not YAML: /],
    ['id: /a\nid: /b', /^error: id given twice/],
    ['{}', /^error: maps no attribute/],
    ['id: []', /^error: has nothing that id comes from/],
    ['id: 5', /^error: has the number 5 for id; must be a JSON pointer/],
    ['id: /a~', /^error: id has \/a~, which is no JSON pointer/],
    ['pageId: /id', /^error: has "pageId" can not be the name of an attribute/],
    ['data: /id', /^error: has an attribute can not be named data/],
    ['specversion: /v', /^error: has specversion, which Posthorn sets itself/],
    ['posthornhops: /v', /^error: has posthornhops, which Posthorn sets itself/],
    ['time: dt', /^error: attribute time is "dt": a time of RFC 3339 is wanted.*; a JSON pointer begins with \/$/],
  ];
  for (const [attributes, message] of cases) {
    const [first = '', ...more] = refused(attributes);
    t.match(first, message, attributes);
    t.strictSame(more, []);
  }
});

t.test('a mapping has an effect only where records may be without attributes', async (t) => {
  const [warned = ''] = said('Broker', { 'posthorn.dev/attributes': 'id: /id' });
  t.match(warned, /^warning: no effect without .*external\.topic or posthorn\.dev\/value-format: data/);
  t.strictSame(said('Broker', { 'posthorn.dev/attributes': 'id: /id', 'posthorn.dev/value-format': 'data' }), []);
});

t.test('a key is a pointer, a text with pointers, or an object of JSON', async (t) => {
  const keyOf = (key: string) => brokerOf({ 'posthorn.dev/key': key }).key;
  t.strictSame(keyOf('/page/page_id'), { kind: 'text', template: [['page', 'page_id']] });
  t.strictSame(keyOf('page-{/page/page_id}'), { kind: 'text', template: ['page-', ['page', 'page_id']] });
  const members = [
    { name: 'wiki_id', pointer: ['wiki_id'] },
    { name: 'page_id', pointer: ['page', 'page_id'] },
  ];
  t.strictSame(keyOf('{"wiki_id": "/wiki_id", "page_id": "/page/page_id"}'), { kind: 'json', members });
  t.strictSame(keyOf('wiki_id: /wiki_id\npage_id: /page/page_id'), { kind: 'json', members });
  t.match(said('Broker', { 'posthorn.dev/key': 'page_id' }), [/^error: must be an object/]);
  t.match(said('Broker', { 'posthorn.dev/key': '{"a": "b"}' }), [/^error: has "b" for a; must be a JSON pointer/]);
  t.match(said('Broker', { 'posthorn.dev/key': '{}' }), [/^error: has no members/]);
  t.match(said('Broker', { 'posthorn.dev/value-format': 'json' }), [
    /^error: must be cloudevent or data, found "json"/,
  ]);
});

t.test('a trigger says which broker gets its replies', async (t) => {
  const replyTo = (to: string) => {
    const { documents } = parseManifests(text('Trigger', { 'posthorn.dev/reply-to': to }), 'file.json');
    const identity = { uid: '', generation: 1, owner: '', namespace: 'default' };
    return documents[0] && triggerFromManifest(documents[0].manifest, identity, null).replyTo;
  };
  t.strictSame(replyTo('wiki/page-content'), { namespace: 'wiki', name: 'page-content' });
  for (const wrong of ['page-content', 'a/b/c', 'A/b', 'a/']) {
    const message = `error: must be namespace/broker, as default/page-content-change, found ${JSON.stringify(wrong)}`;
    t.strictSame(said('Trigger', { 'posthorn.dev/reply-to': wrong }), [message]);
  }
  t.match(said('Broker', { 'posthorn.dev/reply-to': 'a/b' }), [/belongs on a Trigger/]);
  t.match(said('Trigger', { 'posthorn.dev/value-format': 'data' }), [/belongs on a Broker/]);
});
