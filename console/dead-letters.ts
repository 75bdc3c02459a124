import { isUtf8 } from 'node:buffer';
import type { HeaderValue, Log, LogRecord, RecordHeaders } from '../broker/log/log.ts';
import type { Registry } from '../broker/trigger/registry.ts';
import { fullName } from '../broker/trigger/registry-plan.ts';
import { headerText } from '../dispatcher/record-headers.ts';
import { EventError } from '../event/errors.ts';
import type { CloudEvent } from '../event/event.ts';
import { encodeReadableJson } from '../event/json.ts';
import { fromRecord } from '../event/kafka.ts';
import { readTail } from './tail.ts';

/** A dead letter as the API shows it; null stands for what its record does not say. */
export interface DeadLetter {
  readonly apiVersion: 'posthorn.dev/v1';
  readonly kind: 'DeadLetter';
  readonly metadata: {
    /** `PARTITION-OFFSET` in the dead-letter topic. */
    readonly name: string;
    readonly namespace: string;
    /** When it was dead-lettered, RFC 3339. */
    readonly creationTimestamp: string;
  };
  readonly broker: string;
  /** The trigger's name; null for a record of the events topic that is no event. */
  readonly trigger: string | null;
  readonly attempts: number | null;
  readonly reason: string | null;
  /** RFC 3339. */
  readonly firstAttempt: string | null;
  readonly lastAttempt: string | null;
  /** What the dead letter sink came to: `delivered` or `failed: …`. */
  readonly deadLetterSink: string | null;
  /** Where the event stood first: `topic/partition/offset`. */
  readonly origin: string | null;
  readonly record: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly key: Text | null;
    readonly headers: Readonly<Record<string, Text | readonly Text[]>>;
    /** Left out where it is the data of the event. */
    readonly value?: Text | null;
  };
  /** In CloudEvents' JSON format; null where the record holds none. */
  readonly event: { readonly id: string; readonly source: string; readonly type: string } | null;
}

/** Bytes as text, or in base64 where they are not UTF-8. */
type Text = string | { readonly base64: string };

export interface DeadLetterQuery {
  /** The name of a trigger; null for those of all, and those that belong to none. */
  readonly trigger: string | null;
  readonly limit: number;
}

/**
 * The newest dead letters of a broker, newest last, as the JSON text of a list of DeadLetters. Text, as the data of an
 * event is to stay as it is: by way of values 12345678901234567890 would become another number. Its `metadata.hasMore`
 * is whether there are others that were left out or not looked at.
 * @throws what the log throws
 */
export async function deadLetterList(
  log: Pick<Log, 'ranges' | 'read'>,
  registry: Pick<Registry, 'name' | 'topics'>,
  { trigger, limit }: DeadLetterQuery,
): Promise<string> {
  const broker = registry.name;
  const topic = registry.topics().deadLetter;
  const wanted = trigger === null ? null : fullName({ namespace: broker.namespace, name: trigger });
  const { items, hasMore } = await readTail(log, topic, limit, (record, partition) => {
    if (wanted !== null && headerText(record.headers, 'posthorn-trigger') !== wanted) return null;
    return deadLetterText(record, { topic, partition, broker });
  });
  const head = { apiVersion: 'posthorn.dev/v1', kind: 'DeadLetterList', metadata: { hasMore } };
  return `${JSON.stringify(head).slice(0, -1)},"items":[${items.join()}]}`;
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly broker: Registry['name'];
}

function deadLetterText(record: LogRecord, { topic, partition, broker }: Place): string {
  const { offset, headers, value, timestampMs } = record;
  const header = (name: string): string | null => headerText(headers, `posthorn-${name}`) ?? null;
  const attempts = header('attempts');
  const event = eventOf(record);
  const letter: Omit<DeadLetter, 'event'> = {
    apiVersion: 'posthorn.dev/v1',
    kind: 'DeadLetter',
    metadata: {
      name: `${partition}-${offset}`,
      namespace: broker.namespace,
      creationTimestamp: new Date(timestampMs).toISOString(),
    },
    broker: broker.name,
    trigger: header('trigger')?.slice(broker.namespace.length + 1) ?? null,
    attempts: attempts === null ? null : Number(attempts),
    reason: header('reason'),
    firstAttempt: header('first-attempt'),
    lastAttempt: header('last-attempt'),
    deadLetterSink: header('dead-letter-sink'),
    origin: header('origin'),
    record: {
      ...{ topic, partition, offset, key: textOrNull(record.key), headers: headersOf(headers) },
      ...(event === null && { value: textOrNull(value) }),
    },
  };
  const eventText = event === null ? 'null' : encodeReadableJson(event).toString();
  return `${JSON.stringify(letter).slice(0, -1)},"event":${eventText}}`;
}

function eventOf(record: LogRecord): CloudEvent | null {
  try {
    return fromRecord(record);
  } catch (error) {
    if (error instanceof EventError) return null;
    throw error;
  }
}

function headersOf(headers: RecordHeaders): Record<string, Text | readonly Text[]> {
  const entries = Object.entries(headers).map(([name, value]) => {
    return [name, Array.isArray(value) ? value.map(headerTextOf) : headerTextOf(value as HeaderValue)] as const;
  });
  return Object.fromEntries(entries);
}

function headerTextOf(value: HeaderValue): Text {
  return typeof value === 'string' ? value : textOf(value);
}

function textOrNull(bytes: Buffer | null): Text | null {
  return bytes === null ? null : textOf(bytes);
}

function textOf(bytes: Buffer): Text {
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString('base64') };
}
