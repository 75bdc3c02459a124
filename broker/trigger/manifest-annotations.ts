import { didYouMean } from '../../runtime/nearest.ts';
import { describe, type Field } from './manifest-field.ts';
import { defaultMaxInFlight, type Trigger } from './trigger.ts';

const order = 'kafka.eventing.knative.dev/delivery.order';
const externalTopic = 'kafka.eventing.knative.dev/external.topic';
const maxInFlight = 'posthorn.dev/max-in-flight';
const consumerGroup = 'posthorn.dev/consumer-group';
const initialOffset = 'posthorn.dev/initial-offset';

const known = {
  Trigger: [maxInFlight, consumerGroup, order],
  Broker: [initialOffset, externalTopic],
} as const;

/** Annotations that Knative reads and Posthorn has no use for, by their name or the domain they are in. */
const withoutEffect: readonly (readonly [string, string])[] = [
  ['knative.dev/dependency', 'a trigger is in force at once, whatever it depends on'],
  ['eventing.knative.dev/injection', 'a broker needs no injection'],
  ['eventing.knative.dev/broker.class', 'there is one class of broker'],
  ['keda.autoscaling.knative.dev/', 'nothing is scaled by KEDA'],
  ['autoscaling.knative.dev/', 'nothing is scaled by Knative'],
  ['eventing.knative.dev/', 'it is not read'],
  ['kafka.eventing.knative.dev/', 'it is not read'],
];

/** The tenth part of the connections that a process may have open, usually. */
const maxInFlightMax = 10_000;

export type TriggerAnnotations = Pick<Trigger, 'lane' | 'maxInFlight'>;

export function readTriggerAnnotations(annotations: Field): TriggerAnnotations {
  checkNames(annotations, 'Trigger');
  return { lane: readLane(annotations), maxInFlight: readMaxInFlight(annotations.field(maxInFlight)) };
}

export interface BrokerAnnotations {
  readonly externalTopic: string | null;
  readonly initialOffset: 'earliest' | 'latest';
}

export function readBrokerAnnotations(annotations: Field): BrokerAnnotations {
  checkNames(annotations, 'Broker');
  const offset = annotations.field(initialOffset);
  if (offset.present && !annotations.field(externalTopic).present) {
    offset.warn(`no effect without ${externalTopic}: a topic of Posthorn's own is read from its beginning`);
  }
  return {
    externalTopic: readTopic(annotations.field(externalTopic)) ?? null,
    initialOffset: offset.oneOf(['earliest', 'latest']) ?? 'latest',
  };
}

/** Reports the annotations that are not read by name; those that are, their readers look at. */
function checkNames(annotations: Field, kind: 'Trigger' | 'Broker'): void {
  const other = kind === 'Trigger' ? 'Broker' : 'Trigger';
  for (const [name, field] of annotations.entries() ?? []) {
    const isRead = known[kind].some((one) => one === name);
    if (!isRead || !field.present) field.givenText();
    if (isRead) continue;
    if (known[other].some((one) => one === name)) {
      field.error(`belongs on a ${other}, this is a ${kind}`, 'key');
    } else if (name.startsWith('posthorn.dev/')) {
      field.error(
        `unknown annotation${didYouMean(name, known[kind]) || `; known here: ${ours(kind).join(', ')}`}`,
        'key',
      );
    } else {
      const reason = withoutEffect.find(([one]) => (one.endsWith('/') ? name.startsWith(one) : name === one))?.[1];
      if (reason) field.warn(`no effect here: ${reason}${didYouMean(name, known[kind])}`);
    }
  }
}

function ours(kind: 'Trigger' | 'Broker'): string[] {
  return known[kind].filter((name) => name.startsWith('posthorn.dev/'));
}

function readLane(annotations: Field): Trigger['lane'] {
  const isOrdered = annotations.field(order).oneOf(['ordered', 'unordered']) === 'ordered';
  const group = annotations.field(consumerGroup).oneOf(['own', 'shared']);
  if (isOrdered && group === 'shared') {
    annotations.field(consumerGroup).error(`an ordered trigger has a group of its own; write own, or leave it out`);
  }
  return isOrdered ? 'ordered' : (group ?? 'shared');
}

function readMaxInFlight(field: Field): number {
  const text = field.text();
  if (text === undefined) return defaultMaxInFlight;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1 && count <= maxInFlightMax) return count;
  field.error(`must be a whole number from 1 to ${maxInFlightMax}, found ${describe(text)}`);
  return defaultMaxInFlight;
}

function readTopic(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined || (/^[\w.-]{1,249}$/.test(text) && text !== '.' && text !== '..')) return text;
  return field.error(
    `must be the name of a Kafka topic (at most 249 letters, digits, ., _ and -), found ${describe(text)}`,
  );
}
