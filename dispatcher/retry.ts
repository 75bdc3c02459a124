import type { LogRecord, NewRecord } from '../broker/log/log.ts';
import type { CloudEvent } from '../event/event.ts';
import { fromRecord, toRecord } from '../event/kafka.ts';
import type { Delivery, Failure, Origin, Target } from './fate.ts';
import { cut, headerText, originText, parseOrigin, traceOf } from './record-headers.ts';

/** A record of a trigger's retry topic: a delivery that waits. */
export interface RetryItem {
  readonly triggerUid: string;
  readonly event: CloudEvent;
  /** The attempt that comes next, from 1. */
  readonly attempt: number;
  /** When it is due, milliseconds since 1970. */
  readonly dueAtMs: number;
  /** Why it waits: the last failure, or that the trigger was busy. */
  readonly reason: string;
  readonly trace: Readonly<Record<string, string>>;
  readonly origin: Origin;
  readonly firstAttemptAtMs: number | null;
  readonly target: Target;
}

const names = {
  uid: 'posthorn-trigger-uid',
  attempt: 'posthorn-attempt',
  due: 'posthorn-due',
  reason: 'posthorn-reason',
  origin: 'posthorn-origin',
  appended: 'posthorn-appended',
  first: 'posthorn-first-attempt',
  failure: 'posthorn-failure',
} as const;

/** The record that keeps a delivery until `dueAtMs`: the event in Kafka binary mode, and how far its delivery is. */
export function toRetryRecord(
  delivery: Delivery,
  next: { readonly atMs: number; readonly attempt: number; readonly reason: string },
): NewRecord {
  const record = toRecord(delivery.event);
  const headers: Record<string, string | Buffer> = {
    ...record.headers,
    ...delivery.trace,
    [names.uid]: delivery.trigger.uid,
    [names.attempt]: String(next.attempt),
    [names.due]: String(Math.round(next.atMs)),
    [names.reason]: cut(next.reason),
    [names.origin]: originText(delivery.origin),
    [names.appended]: String(delivery.origin.appendedAtMs),
  };
  if (delivery.firstAttemptAtMs !== null) headers[names.first] = String(delivery.firstAttemptAtMs);
  if (delivery.target.kind === 'deadLetterSink') headers[names.failure] = failureText(delivery.target.failure);
  return { key: record.key, value: record.value, headers };
}

/** @throws EventError or Error with what is wrong, for a record that Posthorn did not write. */
export function fromRetryRecord(record: LogRecord): RetryItem {
  const required = (name: string): string => {
    const text = headerText(record.headers, name);
    if (text === undefined) throw new Error(`the record has no header ${name}`);
    return text;
  };
  const failure = headerText(record.headers, names.failure);
  const first = headerText(record.headers, names.first);
  return {
    triggerUid: required(names.uid),
    event: fromRecord(record),
    attempt: numberIn(required(names.attempt), names.attempt),
    dueAtMs: numberIn(required(names.due), names.due),
    reason: required(names.reason),
    trace: traceOf(record.headers),
    origin: parseOrigin(required(names.origin), numberIn(required(names.appended), names.appended)),
    firstAttemptAtMs: first === undefined ? null : numberIn(first, names.first),
    target: failure === undefined ? { kind: 'subscriber' } : { kind: 'deadLetterSink', failure: parseFailure(failure) },
  };
}

function numberIn(text: string, name: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`header ${name} is not a number: ${cut(text)}`);
  return number;
}

function failureText(failure: Failure): string {
  return JSON.stringify({ ...failure, reason: cut(failure.reason), body: failure.body.toString('base64') });
}

function parseFailure(text: string): Failure {
  const failure = JSON.parse(text) as Omit<Failure, 'body'> & { readonly body: string };
  return { ...failure, body: Buffer.from(failure.body, 'base64') };
}
