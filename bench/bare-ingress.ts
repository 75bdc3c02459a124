import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type IHeaders, Kafka, logLevel } from 'kafkajs';

/**
 * The reference of `ingest`: what node:http and kafkajs cost by themselves. Answers each POST with 202 once its body and
 * ce- headers are a record of TOPIC in BROKERS: no routes, no checks, no limits, no metrics. Without a TOPIC it answers
 * at once, and is what node:http costs alone. Prints its port.
 */

const { TOPIC = '', BROKERS = '', PARTITIONS = '8' } = process.env;
/** As Posthorn gathers. */
const lingerMs = 2;

interface Waiting {
  readonly value: Buffer;
  readonly headers: IHeaders;
  accepted(): void;
}

const kafka = new Kafka({ clientId: 'bare-ingress', brokers: BROKERS.split(','), logLevel: logLevel.NOTHING });
const producer = kafka.producer();
if (TOPIC !== '') await producer.connect();

let waiting: Waiting[] = [];
let partition = 0;

function append(one: Waiting): void {
  if (waiting.push(one) === 1) setTimeout(() => void flush(), lingerMs);
}

async function flush(): Promise<void> {
  const flushed = waiting;
  waiting = [];
  partition = (partition + 1) % Number(PARTITIONS);
  const messages = flushed.map(({ value, headers }) => ({ partition, value, headers }));
  await producer.send({ topic: TOPIC, messages });
  for (const { accepted } of flushed) accepted();
}

function headersOf({ rawHeaders }: IncomingMessage): IHeaders {
  const headers: IHeaders = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (name.startsWith('ce-')) headers[`ce_${name.slice(3)}`] = rawHeaders[i + 1];
    else if (name === 'content-type') headers[name] = rawHeaders[i + 1];
  }
  return headers;
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const value = Buffer.concat(chunks);
    const accepted = () => void response.writeHead(202, { 'content-length': 0 }).end();
    if (TOPIC === '') accepted();
    else append({ value, headers: headersOf(request), accepted });
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
