import { Kafka, logLevel } from 'kafkajs';
import { Pool } from 'undici';

/**
 * The reference: what kafkajs and undici cost by themselves. Reads TOPIC as GROUP from BROKERS and POSTs each record to
 * URL as a CloudEvent in binary mode: no filters, no retries, no metrics, no settled set. At least once all the same:
 * it commits behind what was answered.
 */

const { TOPIC = '', GROUP = '', URL: url = '', BROKERS = '' } = process.env;
/** Requests in flight, and records read ahead of them. */
const inFlightMax = 256;
const windowRecords = 16_384;
const commitEveryMs = 1_000;

const target = new URL(url);
const pool = new Pool(target.origin, { connections: inFlightMax, pipelining: 1 });
const kafka = new Kafka({ clientId: 'bare-loop', brokers: BROKERS.split(','), logLevel: logLevel.NOTHING });
const consumer = kafka.consumer({ groupId: GROUP, maxBytesPerPartition: 1_048_576 });

interface Waiting {
  readonly partition: number;
  readonly offset: bigint;
  readonly headers: string[];
  readonly body: Buffer;
}

const waiting: Waiting[] = [];
let next = 0;
let inFlight = 0;
let unanswered = 0;
let onRoom: (() => void) | undefined;
/** By partition: offsets that are under way, in order, and those of them that were answered. */
const pending = new Map<number, { readonly offsets: bigint[]; readonly answered: Set<bigint> }>();

function pump(): void {
  while (inFlight < inFlightMax && next < waiting.length) {
    const one = waiting[next++];
    if (one) send(one);
  }
  if (next > 4_096) {
    waiting.splice(0, next);
    next = 0;
  }
}

function send({ partition, offset, headers, body }: Waiting): void {
  inFlight++;
  let status = 0;
  const ended = (): void => {
    inFlight--;
    unanswered--;
    clearTimeout(deadline);
    if (status < 200 || status > 299) throw new Error(`the subscriber answered ${status}`);
    pending.get(partition)?.answered.add(offset);
    if (unanswered < windowRecords) onRoom?.();
    pump();
  };
  const deadline = setTimeout(() => process.exit(1), 30_000);
  pool.dispatch(
    { path: target.pathname, method: 'POST', headers, body },
    {
      onRequestStart() {},
      onResponseStart(_controller, code) {
        status = code;
      },
      onResponseData() {},
      onResponseEnd: ended,
      onResponseError(_controller, error) {
        throw error;
      },
    },
  );
}

await consumer.connect();
await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatchAutoResolve: false,
  async eachBatch({ batch, resolveOffset, heartbeat }) {
    const { partition } = batch;
    const its = pending.get(partition) ?? { offsets: [], answered: new Set() };
    pending.set(partition, its);
    for (const message of batch.messages) {
      const headers: string[] = [];
      for (const [name, value] of Object.entries(message.headers ?? {})) {
        headers.push(name.startsWith('ce_') ? `ce-${name.slice(3)}` : name, String(value));
      }
      const offset = BigInt(message.offset);
      its.offsets.push(offset);
      unanswered++;
      waiting.push({ partition, offset, headers, body: message.value ?? Buffer.alloc(0) });
    }
    pump();
    if (unanswered >= windowRecords) {
      await new Promise<void>((resolve) => {
        onRoom = resolve;
      });
    }
    resolveOffset(batch.lastOffset());
    await heartbeat();
  },
});

setInterval(() => {
  const offsets: { topic: string; partition: number; offset: string }[] = [];
  for (const [partition, { offsets: order, answered }] of pending) {
    let settled = 0;
    while (settled < order.length && answered.delete(order[settled] ?? -1n)) settled++;
    if (settled === 0) continue;
    const last = order[settled - 1] ?? 0n;
    order.splice(0, settled);
    offsets.push({ topic: TOPIC, partition, offset: String(last + 1n) });
  }
  if (offsets.length > 0) void consumer.commitOffsets(offsets).catch(() => {});
}, commitEveryMs);
