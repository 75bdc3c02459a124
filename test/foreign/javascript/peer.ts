import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { CloudEvent, emitterFor, HTTP, Kafka, type Message, Mode } from 'cloudevents';
import * as kafkajs from 'kafkajs';
import type { EventToMake, Extension } from '../cases.ts';

/** The CloudEvents SDK for JavaScript, driven by lines of JSON: see `peer.ts` of the test. */

const closers: (() => Promise<unknown>)[] = [];

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function make({ extensions, data, ...attributes }: EventToMake): CloudEvent<unknown> {
  return new CloudEvent<unknown>({
    ...attributes,
    ...Object.fromEntries(extensions.map((extension) => [extension.name, ofType(extension)])),
    ...(data !== null && { data: dataOf(data) }),
  });
}

function ofType({ type, value }: Extension): unknown {
  if (type === 'integer') return Number(value);
  if (type === 'boolean') return value === 'true';
  if (type === 'timestamp') return new Date(value);
  return type === 'binary' ? new Uint8Array(Buffer.from(value, 'base64')) : value;
}

function dataOf(data: NonNullable<EventToMake['data']>): unknown {
  if ('json' in data) return data.json;
  return 'text' in data ? data.text : new Uint8Array(Buffer.from(data.bytes, 'base64'));
}

/** What the SDK makes of a message, as the test compares it. */
function tell(event: CloudEvent<unknown>): object {
  const { data, data_base64, ...attributes } = event.toJSON();
  const texts = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
  return { attributes: Object.fromEntries(texts), data: data_base64 ? { bytes: data_base64 } : dataSaid(data) };
}

function dataSaid(data: unknown): object | null {
  if (data === undefined || data === '') return null;
  if (Buffer.isBuffer(data)) return { bytes: data.toString('base64') };
  return typeof data === 'string' ? { text: data } : { json: data };
}

async function post(url: string, mode: Mode, event: EventToMake): Promise<number> {
  const emit = emitterFor(
    async ({ headers, body }: Message) => {
      const sent = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
      const response = await fetch(url, { method: 'POST', headers: sent, body: (body as string | undefined) ?? null });
      await response.text();
      return response.status;
    },
    { mode },
  );
  return (await emit(make(event))) as number;
}

function client(brokers: string): kafkajs.Kafka {
  return new kafkajs.default.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
}

async function produce(brokers: string, topic: string, mode: Mode, events: readonly EventToMake[]): Promise<unknown[]> {
  const producer = client(brokers).producer();
  await producer.connect();
  closers.push(() => producer.disconnect());
  return each(events, async (event) => {
    const write = mode === Mode.BINARY ? Kafka.binary : Kafka.structured;
    const { key, value, headers } = write(make(event)) as { key?: string; value: unknown; headers: object };
    // kafkajs takes texts and Buffers, and no header without a value.
    const texts = Object.entries(headers)
      .filter(([, text]) => text !== undefined)
      .map(([name, text]) => [name, String(text)]);
    const message = { key: key ?? null, value: bytesOf(value), headers: Object.fromEntries(texts) };
    await producer.send({ topic, messages: [message] });
    return 'produced';
  });
}

function bytesOf(value: unknown): Buffer | null {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

async function consume(brokers: string, topic: string, group: string): Promise<void> {
  const consumer = client(brokers).consumer({ groupId: group });
  await consumer.connect();
  closers.push(() => consumer.disconnect());
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const texts = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]);
      const headers = Object.fromEntries(texts);
      const record = { key: message.key?.toString(), value: message.value, headers, body: message.value };
      say({ read: attempt(() => tell(Kafka.toEvent(record as never) as CloudEvent<unknown>), headers.ce_id) });
    },
  });
}

function attempt(read: () => object, id: string | undefined): object {
  try {
    return read();
  } catch (error) {
    return { id, error: String(error) };
  }
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const isStructured = request.url === '/structured';
  const message = { headers: request.headers, body: isStructured ? body.toString() : body };
  const id = String(request.headers['ce-id']);
  const received = attempt(() => tell(HTTP.toEvent(message as never) as CloudEvent<unknown>), id);
  say({ received, to: request.url });
  if ('error' in received) {
    response.writeHead(400).end();
    return;
  }
  const { attributes } = received as { attributes: { id: string } };
  const event: EventToMake = JSON.parse(reply);
  const answer = HTTP[isStructured ? 'structured' : 'binary'](
    make({ ...event, id: `${event.id}${request.url}/${attributes.id}` }),
  );
  const headers = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
  response.writeHead(200, Object.fromEntries(headers)).end(answer.body);
}

/** The event that each answer is made of. */
let reply = '';

async function each<T>(list: readonly T[], act: (one: T) => Promise<unknown>): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  for (const one of list) outcomes.push(await act(one).catch((error: unknown) => String(error)));
  return outcomes;
}

const server = createServer((request, response) => void serve(request, response));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
say({ port: (server.address() as AddressInfo).port });

for await (const line of createInterface({ input: process.stdin })) {
  const { command, url, brokers, topic, group, mode, events, event } = JSON.parse(line);
  const modeOf = mode === 'binary' ? Mode.BINARY : Mode.STRUCTURED;
  if (command === 'post') say({ done: await each<EventToMake>(events, (event) => post(url, modeOf, event)) });
  if (command === 'produce') say({ done: await produce(brokers, topic, modeOf, events) });
  if (command === 'reply') {
    reply = JSON.stringify(event);
    say({ done: [] });
  }
  if (command === 'consume') {
    await consume(brokers, topic, group);
    say({ done: [] });
  }
}
server.close();
server.closeAllConnections();
for (const close of closers) await close();
