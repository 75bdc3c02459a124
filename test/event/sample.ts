import type { Test } from 'tap';
import { EventError } from '../../event/errors.ts';
import type { CloudEvent, CloudEventAttributes } from '../../event/event.ts';

/** The required attributes, valid; a test adds to them or takes away by `undefined`. */
export const required = {
  specversion: '1.0',
  id: 'A234-1234-1234',
  source: '/mycontext',
  type: 'com.example.someevent',
};

export function eventWith(more: Readonly<Record<string, string>>, data?: Buffer | string): CloudEvent {
  const attributes: CloudEventAttributes = { ...required, ...more };
  return { attributes, data: typeof data === 'string' ? Buffer.from(data) : data };
}

/** Attributes as an ordinary object, to compare. */
export function plain(attributes: CloudEventAttributes): Record<string, string | undefined> {
  return { ...attributes };
}

export function textOfData(event: CloudEvent | undefined): string | undefined {
  return event?.data?.toString();
}

/** The first event, which must be there. */
export function only(events: readonly CloudEvent[]): CloudEvent {
  const event = events[0];
  if (event === undefined || events.length > 1) throw new Error(`${events.length} events where one is wanted`);
  return event;
}

/** The EventError that `run` throws; whatever else happens fails the test. */
export function refusal(t: Test, run: () => unknown, name: string): EventError {
  try {
    run();
  } catch (error) {
    if (error instanceof EventError) return error;
    throw error;
  }
  t.fail(`${name} was accepted`);
  return new EventError('');
}

/** Headers of node:http: the characters of UTF-8 text as a character for each byte. */
export function rawBytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** A text as the name of an assertion. */
export function named(text: string): string {
  return text.slice(0, 100).replace(/[^ -~]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}
