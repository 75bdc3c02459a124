import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import type { CloudEvent } from '../../event/event.ts';
import { decodeHttp, encodeBinary, encodeStructured } from '../../event/http.ts';
import { testEvent } from '../support/events.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { type SinkRequest, startSink } from '../support/sink.ts';
import { readTopic } from '../support/topics.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const eventMaxBytes = 1_048_576;
const structured = 'application/cloudevents+json; charset=utf-8';

interface Case {
  readonly name: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
  readonly expected: readonly CloudEvent[];
}

function json(id: string, rest: string): string {
  return `{"specversion":"1.0","id":"${id}","source":"/test","type":"com.example.test"${rest}}`;
}

const binaryData = randomBytes(1_000);

const cases: readonly Case[] = [
  {
    name: 'structured: extensions of every type, non-ASCII values',
    contentType: structured,
    body: json('s1', ',"subject":"naïve 日本 😀 \\"q\\" 100%","count":-2147483648,"flag":true,"gone":null'),
    expected: [testEvent({ id: 's1', subject: 'naïve 日本 😀 "q" 100%', count: '-2147483648', flag: 'true' })],
  },
  {
    name: 'structured: JSON data byte for byte, numbers that JavaScript would change included',
    contentType: structured,
    body: json('s2', ', "data" : { "n":12345678901234567890, "x":1e400,"x":1.0,  "é":"\\u00e9" }'),
    expected: [
      testEvent(
        { id: 's2', datacontenttype: 'application/json' },
        Buffer.from('{ "n":12345678901234567890, "x":1e400,"x":1.0,  "é":"\\u00e9" }'),
      ),
    ],
  },
  {
    name: 'structured: JSON null data',
    contentType: structured,
    body: json('s3', ',"datacontenttype":"application/json","data":null'),
    expected: [testEvent({ id: 's3', datacontenttype: 'application/json' }, Buffer.from('null'))],
  },
  {
    name: 'structured: no data',
    contentType: structured,
    body: json('s4', ''),
    expected: [testEvent({ id: 's4' })],
  },
  {
    name: 'structured: binary data',
    contentType: structured,
    body: json('s5', `,"datacontenttype":"image/png","data_base64":"${binaryData.toString('base64')}"`),
    expected: [testEvent({ id: 's5', datacontenttype: 'image/png' }, binaryData)],
  },
  {
    name: 'structured: a time is not rewritten',
    contentType: structured,
    body: json('s6', ',"time":"2026-01-02T03:04:05.123456789+05:30"'),
    expected: [testEvent({ id: 's6', time: '2026-01-02T03:04:05.123456789+05:30' })],
  },
  {
    name: 'batch: each member as it is',
    contentType: 'application/cloudevents-batch+json',
    body: `[${json('b1', ',"data":[1.00]')},\n${json('b2', ',"datacontenttype":"text/plain","data":"süß"')}]`,
    expected: [
      testEvent({ id: 'b1', datacontenttype: 'application/json' }, Buffer.from('[1.00]')),
      testEvent({ id: 'b2', datacontenttype: 'text/plain' }, Buffer.from('süß')),
    ],
  },
  {
    name: 'binary: percent-encoded values and binary data',
    contentType: 'application/octet-stream',
    headers: { 'ce-id': 'n1', 'ce-subject': 'na%C3%AFve%20%E2%82%AC%20%22q%22%20100%25', 'ce-comexampleext': 'x y' },
    body: binaryData,
    expected: [
      testEvent(
        { id: 'n1', subject: 'naïve € "q" 100%', comexampleext: 'x y', datacontenttype: 'application/octet-stream' },
        binaryData,
      ),
    ],
  },
  {
    name: 'binary: 64 KiB',
    contentType: 'text/plain',
    headers: { 'ce-id': 'n2' },
    body: Buffer.alloc(65_536, 'x'),
    expected: [testEvent({ id: 'n2', datacontenttype: 'text/plain' }, Buffer.alloc(65_536, 'x'))],
  },
];

async function post(
  url: string,
  { contentType, headers = {}, body }: Omit<Case, 'name' | 'expected'>,
): Promise<number> {
  const isBinary = !contentType.startsWith('application/cloudevents');
  const required = { 'ce-specversion': '1.0', 'ce-source': '/test', 'ce-type': 'com.example.test' };
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': contentType, ...(isBinary && required), ...headers },
    body,
  });
  return response.status;
}

/** What a subscriber got, without what a delivery adds. */
function received(request: SinkRequest): CloudEvent {
  const [event] = decodeHttp(request.rawHeaders, request.body).events;
  if (!event) throw new Error('no event in the request');
  const { posthornhops, ...attributes } = event.attributes;
  return { attributes: attributes as CloudEvent['attributes'], data: event.data };
}

function assertSame(t: Test, name: string, got: CloudEvent | undefined, wanted: CloudEvent): void {
  t.same({ ...got?.attributes }, { ...wanted.attributes }, `${name}: attributes`);
  const sameData = wanted.data === undefined ? !got?.data?.length : got?.data?.equals(wanted.data);
  t.ok(sameData, `${name}: data`);
}

for (const format of ['binary', 'json'] as const) {
  onBothLogs(`events of all content modes arrive unchanged in ${format} format`, async (t, log) => {
    const { sink, posthorn } = await start(t, log, `{ format: ${format} }`);
    for (const { name, expected, ...request } of cases) {
      t.equal(await post(posthorn.url, request), 202, name);
      await until(() => sink.requests.length >= expected.length, `${name} to arrive`);
      const got = new Map(
        sink.requests
          .splice(0)
          .map(received)
          .map((event) => [event.attributes.id, event]),
      );
      for (const event of expected) assertSame(t, name, got.get(event.attributes.id), event);
    }
    t.equal(await posthorn.stop(), 0);
  });
}

onBothLogs('40 events of exactly the largest size survive retry and dead letter', async (t, log) => {
  // A conflict is tried again, and says nothing of the subscriber's health: no breaker holds the others back.
  const { sink, posthorn } = await start(t, log, '{ retry: 1, backoffDelay: PT0.1S }', 409);
  const ids = Array.from({ length: 40 }, (_, index) => `large-${index}`);
  const attributeBytes = (id: string) =>
    Object.entries({ ...testEvent({ id, datacontenttype: 'text/plain' }).attributes })
      .map(([name, value]) => name.length + String(value).length)
      .reduce((sum, bytes) => sum + bytes, 0);
  const dataOf = (id: string) => Buffer.alloc(eventMaxBytes - attributeBytes(id), id);
  const send = (id: string, more = '') =>
    post(posthorn.url, {
      contentType: 'text/plain',
      headers: { 'ce-id': id },
      body: Buffer.concat([dataOf(id), Buffer.from(more)]),
    });

  t.same(new Set(await Promise.all(ids.map((id) => send(id)))), new Set([202]));
  t.equal(await send('large-0', 'x'), 413, 'one byte more is too large');
  await until(() => sink.requests.length >= 80, 'two attempts of each', 60_000);
  for (const id of ids) {
    const attempts = sink.requests.filter((request) => request.headers['ce-id'] === id);
    t.same(
      attempts.map((request) => request.headers['posthorn-attempt']),
      ['1', '2'],
      id,
    );
    t.ok(
      attempts.every((request) => request.body.equals(dataOf(id))),
      `${id}: equal bytes`,
    );
  }
  t.equal(await posthorn.stop(), 0);

  const opened = await log.open();
  t.teardown(() => opened.close());
  const records = await readTopic(opened, `${log.prefix}.default.default._dead-letter`);
  const deadLetters = new Map(records.map(({ headers, value }) => [String(headers.ce_id), value]));
  for (const id of ids) t.ok(deadLetters.get(id)?.equals(dataOf(id)), `${id} lies in the dead-letter topic`);
});

t.test('the cases of this test survive their own encoding', async (t) => {
  for (const { name, expected } of cases) {
    for (const event of expected) {
      for (const encode of [encodeBinary, encodeStructured]) {
        const { headers, body } = encode(event);
        assertSame(t, name, decodeHttp(headers, body ?? Buffer.alloc(0)).events[0], event);
      }
    }
  }
});

async function start(t: Test, log: LogUnderTest, delivery: string, status = 200) {
  const sink = await startSink(() => ({ status }));
  t.teardown(() => sink.close());
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  await applyTo(posthorn.adminUrl, triggerYaml('all', sink.url, { delivery }));
  return { sink, posthorn };
}
