import { HTTP, Kafka, type Message, CloudEvent as SdkEvent, type Headers as SdkHeaders } from 'cloudevents';
import t from 'tap';
import type { CloudEvent } from '../../event/event.ts';
import { decodeHttp, encodeBinary, encodeStructured } from '../../event/http.ts';
import { fromRecord } from '../../event/kafka.ts';
import { eventWith, only, plain, required, textOfData } from './sample.ts';

const attributes = {
  ...required,
  source: 'https://github.com/octocat/hello-world',
  time: '2026-01-31T12:00:00.000Z',
  subject: 'a-subject',
  dataschema: 'https://example.com/schema',
};

/** Sends what the SDK made as node:http would hand it over. */
function receive(message: Message<unknown>): CloudEvent {
  const headers = Object.entries(message.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [name, String(value)],
  );
  return only(decodeHttp(headers, Buffer.from((message.body as string | Uint8Array | undefined) ?? '')).events);
}

/** The SDK reads what we send. */
function send({ headers, body }: ReturnType<typeof encodeBinary>, binary: boolean): SdkEvent<unknown> {
  const named: SdkHeaders = {};
  for (let i = 0; i < headers.length; i += 2) named[headers[i] ?? ''] = headers[i + 1];
  const event = HTTP.toEvent({ headers: named, body: binary ? body : body?.toString() });
  if (Array.isArray(event)) throw new Error('a batch');
  return event as SdkEvent<unknown>;
}

t.test('events of the cloudevents SDK are read over HTTP', (t) => {
  const json = new SdkEvent({
    ...attributes,
    ext: 'x',
    count: 5,
    flag: true,
    datacontenttype: 'application/json',
    data: { a: 1 },
  });
  for (const message of [HTTP.binary(json), HTTP.structured(json)]) {
    const event = receive(message);
    t.same(plain(event.attributes), {
      ...attributes,
      ext: 'x',
      count: '5',
      flag: 'true',
      datacontenttype: 'application/json',
    });
    t.same(JSON.parse(textOfData(event) ?? ''), { a: 1 });
  }
  const bytes = new SdkEvent({ ...attributes, datacontenttype: 'image/png', data: new Uint8Array([0, 255, 7]) });
  for (const message of [HTTP.binary(bytes), HTTP.structured(bytes)]) {
    const event = receive(message);
    t.equal(event.attributes.datacontenttype, 'image/png');
    t.same(event.data, Buffer.from([0, 255, 7]));
  }
  const text = receive(HTTP.structured(new SdkEvent({ ...attributes, datacontenttype: 'text/plain', data: 'ü' })));
  t.equal(textOfData(text), 'ü');
  t.equal(receive(HTTP.structured(new SdkEvent(attributes))).data, undefined);
  t.end();
});

t.test('the cloudevents SDK reads our events, binary and structured', (t) => {
  const event = eventWith({ ...attributes, ext: 'x', datacontenttype: 'application/json' }, '{"a": 1}');
  for (const read of [send(encodeBinary(event), true), send(encodeStructured(event), false)]) {
    for (const [name, value] of Object.entries(event.attributes)) t.equal(read[name], value, name);
    const data = Buffer.isBuffer(read.data) ? JSON.parse(read.data.toString()) : read.data;
    t.same(data, { a: 1 });
  }
  const bytes = eventWith({ ...attributes, datacontenttype: 'image/png' }, Buffer.from([0, 255, 7]));
  const structured = send(encodeStructured(bytes), false);
  t.equal(structured.data_base64, 'AP8H');
  t.end();
});

t.test('records of the cloudevents SDK are read, binary and structured', (t) => {
  const produced = new SdkEvent({
    ...attributes,
    ext: 'x',
    partitionkey: 'k',
    datacontenttype: 'application/json',
    data: { a: 1 },
  });
  const expected = { ...attributes, ext: 'x', partitionkey: 'k', datacontenttype: 'application/json' };
  for (const message of [Kafka.binary(produced), Kafka.structured(produced)] as Message<unknown>[]) {
    const headers: Record<string, Buffer> = {};
    for (const [name, value] of Object.entries(message.headers)) {
      if (value !== undefined) headers[name] = Buffer.from(String(value));
    }
    const body = message.body;
    const value = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const event = fromRecord({ key: Buffer.from('k'), value, headers });
    t.same(plain(event.attributes), expected);
    t.same(JSON.parse(textOfData(event) ?? ''), { a: 1 });
  }
  t.end();
});
