import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import type { OnPermission } from '../../broker/ingress/handshake.ts';
import { defaultIngressLimits, type IngressLimits } from '../../broker/ingress/limits.ts';
import { createIngress } from '../../broker/ingress/server.ts';
import type { Webhook } from '../../broker/ingress/webhook/webhook.ts';
import { Gatherer } from '../../broker/log/gather.ts';
import type { Log } from '../../broker/log/log.ts';
import type { JudgeEvent } from '../../broker/schema/rules.ts';
import { toRecord } from '../../event/kafka.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { noSecrets, type Secrets } from '../../runtime/secrets.ts';
import { FakeLog } from '../log/fake-log.ts';

export interface StartOptions {
  readonly limits?: Partial<IngressLimits>;
  readonly log?: Pick<Log, 'append' | 'describeTopic'>;
  /** What the log has from before; nothing if absent. */
  readonly tail?: Pick<Log, 'ranges' | 'offsetsAt' | 'read'>;
  readonly waitingBytesMax?: number;
  readonly topic?: string;
  readonly clock?: Clock;
  readonly secrets?: Secrets;
  readonly webhooks?: readonly Webhook[];
  readonly onPermission?: OnPermission;
}

const emptyTail: Pick<Log, 'ranges' | 'offsetsAt' | 'read'> = {
  ranges: async () => [],
  offsetsAt: async () => [],
  read: async () => ({ records: [], nextOffset: 0 }),
};

/** An ingress on a port of its own with the broker default/default, over a fake log unless told. */
export async function startIngress(options: StartOptions = {}) {
  const { limits = {}, log, tail = emptyTail, waitingBytesMax, topic = 'events', clock = systemClock } = options;
  const { secrets = noSecrets, webhooks, onPermission } = options;
  const more = { ...(webhooks && { webhooks }), ...(onPermission && { onPermission }) };
  const fake = new FakeLog();
  fake.info = { partitions: 4, retentionMs: null, maxMessageBytes: 1_048_576 + 65_536 };
  const counted = { accepted: [] as string[], refused: [] as string[] };
  const duplicates = { events: 0, forgotten: 0, unknownSchemas: 0 };
  const target = {
    topic,
    hasForeign: false,
    deduplicateMs: null as number | null,
    verifyWith: null as string | null,
    judge: null as JudgeEvent | null,
    toRecord,
  };
  const state = { ready: true };
  const lines: string[] = [];
  const gatherer = new Gatherer({
    log: log ?? fake,
    clock: systemClock,
    ...(waitingBytesMax === undefined ? {} : { waitingBytesMax }),
  });
  const ingress = createIngress({
    lookup: (namespace, name) => (namespace === 'default' && name === 'default' ? target : undefined),
    gatherer,
    log: tail,
    clock,
    limits: { ...defaultIngressLimits, ...limits },
    observer: {
      accepted: (broker, events) => void counted.accepted.push(`${broker} ${events}`),
      deduplicated: (_broker, events) => {
        duplicates.events += events;
      },
      unknownSchema: (_broker, events) => {
        duplicates.unknownSchemas += events;
      },
      forgotten: () => {
        duplicates.forgotten++;
      },
      refused: (broker, reason) => void counted.refused.push(`${broker} ${reason}`),
    },
    secrets,
    ...more,
    logger: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
    ready: () => state.ready,
  });
  const { port } = await ingress.listen({ host: '127.0.0.1', port: 0 });
  return {
    port,
    url: `http://127.0.0.1:${port}/default/default`,
    origin: `http://127.0.0.1:${port}`,
    ingress,
    gatherer,
    log: fake,
    counted,
    duplicates,
    /** What the broker is; the test may change it. */
    target,
    state,
    lines,
    async close(): Promise<void> {
      await ingress.close(AbortSignal.abort());
      await gatherer.close();
    },
  };
}

export const eventHeaders = {
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': '/tests',
  'ce-type': 'test',
} as const;

/** The same as lines of a request. */
export const eventLines = Object.entries(eventHeaders)
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');

/** A connection on which the test writes bytes as it likes. */
export async function openSocket(port: number) {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  let isClosed = false;
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    received += String(text);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  await once(socket, 'connect');
  return {
    socket,
    write: (text: string | Buffer) => void socket.write(text, 'latin1'),
    /** All that was received so far. */
    received: () => received,
    isClosed: () => isClosed,
    destroy: () => void socket.destroy(),
  };
}
