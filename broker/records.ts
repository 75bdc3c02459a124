import { EventError } from '../event/errors.ts';
import type { CloudEvent } from '../event/event.ts';
import { JsonText } from '../event/json-pointer.ts';
import { type EncodedRecord, fromRecord, toRecord } from '../event/kafka.ts';
import { fromPlainRecord, isEventRecord, toPlainRecord } from '../event/plain.ts';
import { fillIn } from '../event/template.ts';
import { messageOf } from '../runtime/errors.ts';
import type { LogRecord, TopicPartition } from './log/log.ts';
import type { Broker, BrokerName, RecordKey } from './trigger/trigger.ts';

/** Reads a record of an events topic. @throws EventError */
export type ReadEvent = (record: LogRecord, at: TopicPartition) => CloudEvent;

/**
 * How the records of a broker's events topics are read. Where others write to them, or data alone is written, a record
 * that does not say it is a CloudEvent is made one.
 * @param broker null: its defaults
 */
export function eventReader({ namespace, name }: BrokerName, broker: Broker | null): ReadEvent {
  if (broker === null || !mayHavePlain(broker)) return fromRecord;
  return (record, { topic, partition }) =>
    isEventRecord(record)
      ? fromRecord(record)
      : fromPlainRecord(record, { namespace, name, topic, partition }, broker.attributes);
}

/** Whether records of the broker's topics may be without attributes. */
export function mayHavePlain({ externalTopics, valueFormat }: Broker): boolean {
  return externalTopics.length > 0 || valueFormat === 'data';
}

/**
 * The event as it is appended to the broker's topic: in its value format, with its key.
 * @param broker null: its defaults
 * @throws EventError where the event's data does not have what the key is made of
 */
export function toBrokerRecord(event: CloudEvent, broker: Broker | null): EncodedRecord {
  if (broker === null) return toRecord(event);
  const record = broker.valueFormat === 'data' ? toPlainRecord(event) : toRecord(event);
  return broker.key === null ? record : { ...record, key: Buffer.from(keyOf(event, broker.key)) };
}

function keyOf({ data }: CloudEvent, key: RecordKey): string {
  try {
    const json = new JsonText(data ?? null);
    const text = key.kind === 'text' ? fillIn(key.template, () => json) : membersOf(json, key.members);
    if (text !== undefined) return text;
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
    throw new EventError(`${noKey}: ${messageOf(error)}`, { attribute: 'data' });
  }
  throw new EventError(`${noKey}: it does not have all that posthorn.dev/key names`, { attribute: 'data' });
}

const noKey = "the record's key can't be made of the event's data";

function membersOf(json: JsonText, members: Extract<RecordKey, { kind: 'json' }>['members']): string | undefined {
  const texts = members.map(({ name, pointer }) => {
    const value = json.jsonAt(pointer);
    return value === undefined ? undefined : `${JSON.stringify(name)}:${value}`;
  });
  return texts.includes(undefined) ? undefined : `{${texts.join()}}`;
}
