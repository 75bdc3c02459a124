import { didYouMean, nearest } from '../../runtime/nearest.ts';
import { isSecretName, secretNameRule } from '../../runtime/secrets.ts';
import { defaultBatchesInFlight, readBatch, readCount } from './manifest-batch.ts';
import { readDuration } from './manifest-duration.ts';
import { describe, type Field } from './manifest-field.ts';
import { readDataFilter } from './manifest-filters.ts';
import { readSchemaRules, schemaPolicy, typeSchemas, validateTopic } from './manifest-schemas.ts';
import { readAttributes, readKey, readReplyTo, readTopics } from './manifest-topics.ts';
import { type AttemptRate, type Broker, defaultMaxInFlight, type Trigger } from './trigger.ts';

const order = 'kafka.eventing.knative.dev/delivery.order';
const externalTopic = 'kafka.eventing.knative.dev/external.topic';
const maxInFlight = 'posthorn.dev/max-in-flight';
const batch = 'posthorn.dev/batch';
const batchBytes = 'posthorn.dev/batch-bytes';
const batchLinger = 'posthorn.dev/batch-linger';
const rate = 'posthorn.dev/rate';
const paused = 'posthorn.dev/paused';
const onGone = 'posthorn.dev/on-gone';
const signWith = 'posthorn.dev/sign-with';
const webhookHandshake = 'posthorn.dev/webhook-handshake';
const consumerGroup = 'posthorn.dev/consumer-group';
const initialOffset = 'posthorn.dev/initial-offset';
const deduplicate = 'posthorn.dev/deduplicate';
const verifyWith = 'posthorn.dev/verify-with';
const dataFilter = 'posthorn.dev/data-filter';
const replyTo = 'posthorn.dev/reply-to';
const attributes = 'posthorn.dev/attributes';
const key = 'posthorn.dev/key';
const valueFormat = 'posthorn.dev/value-format';

const known = {
  Trigger: [
    ...[batch, batchBytes, batchLinger, maxInFlight, rate, paused, onGone, signWith, webhookHandshake],
    ...[consumerGroup, dataFilter, replyTo, order],
  ],
  Broker: [
    ...[initialOffset, deduplicate, verifyWith, attributes, key, valueFormat, externalTopic],
    ...[schemaPolicy, typeSchemas, validateTopic],
  ],
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

/** The time of each unit of a rate, and how many attempts in it may be asked for: 100,000 a second are beyond any process. */
const rateUnits: Readonly<Record<string, { readonly perMs: number; readonly attemptsMax: number }>> = {
  s: { perMs: 1_000, attemptsMax: 100_000 },
  m: { perMs: 60_000, attemptsMax: 6_000_000 },
  h: { perMs: 3_600_000, attemptsMax: 360_000_000 },
};

export type TriggerAnnotations = Pick<
  Trigger,
  | 'dataFilter'
  | 'lane'
  | 'maxInFlight'
  | 'batch'
  | 'rate'
  | 'paused'
  | 'onGone'
  | 'signWith'
  | 'webhookHandshake'
  | 'replyTo'
>;

export function readTriggerAnnotations(annotations: Field): TriggerAnnotations {
  checkNames(annotations, 'Trigger');
  const lane = readLane(annotations);
  const batches = readBatch(
    {
      events: annotations.field(batch),
      bytes: annotations.field(batchBytes),
      linger: annotations.field(batchLinger),
      replyTo: annotations.field(replyTo),
    },
    lane,
  );
  const atOnce = readCount(annotations.field(maxInFlight), 1, maxInFlightMax);
  return {
    dataFilter: readDataFilter(annotations.field(dataFilter)) ?? null,
    lane,
    maxInFlight: atOnce ?? (batches === undefined ? defaultMaxInFlight : defaultBatchesInFlight(batches)),
    batch: batches ?? null,
    rate: readRate(annotations.field(rate)) ?? null,
    paused: annotations.field(paused).oneOf(['true', 'false']) === 'true',
    onGone: annotations.field(onGone).oneOf(['pause', 'dead-letter']) ?? 'dead-letter',
    signWith: readSecretName(annotations.field(signWith)) ?? null,
    webhookHandshake: annotations.field(webhookHandshake).oneOf(['true', 'false']) === 'true',
    replyTo: readReplyTo(annotations.field(replyTo)) ?? null,
  };
}

/** A week: nobody sends an event again later than that, and the events are kept no longer by default. */
const deduplicateMaxMs = 7 * 86_400_000;
const deduplicateMinMs = 1_000;

export type BrokerAnnotations = Pick<
  Broker,
  | 'externalTopics'
  | 'initialOffset'
  | 'deduplicateMs'
  | 'verifyWith'
  | 'attributes'
  | 'key'
  | 'valueFormat'
  | 'schemaRules'
>;

export function readBrokerAnnotations(annotations: Field): BrokerAnnotations {
  checkNames(annotations, 'Broker');
  const [offset, mapping] = [annotations.field(initialOffset), annotations.field(attributes)];
  const isExternal = annotations.field(externalTopic).present;
  const format = annotations.field(valueFormat).oneOf(['cloudevent', 'data']) ?? 'cloudevent';
  if (offset.present && !isExternal) {
    offset.warn(`no effect without ${externalTopic}: a topic of Posthorn's own is read from its beginning`);
  }
  if (mapping.present && !isExternal && format === 'cloudevent') {
    mapping.warn(`no effect without ${externalTopic} or ${valueFormat}: data, as all records are CloudEvents`);
  }
  return {
    externalTopics: readTopics(annotations.field(externalTopic)) ?? [],
    initialOffset: offset.oneOf(['earliest', 'latest']) ?? 'latest',
    deduplicateMs: readDuration(annotations.field(deduplicate), deduplicateMinMs, deduplicateMaxMs) ?? null,
    verifyWith: readSecretName(annotations.field(verifyWith)) ?? null,
    attributes: readAttributes(mapping) ?? null,
    key: readKey(annotations.field(key)) ?? null,
    valueFormat: format,
    schemaRules: readSchemaRules(annotations),
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
      field.error(`unknown annotation${ourNearest(name, kind) || `; known here: ${ours(kind).join(', ')}`}`, 'key');
    } else {
      const reason = withoutEffect.find(([one]) => (one.endsWith('/') ? name.startsWith(one) : name === one))?.[1];
      if (reason) field.warn(`no effect here: ${reason}${didYouMean(name, known[kind])}`);
    }
  }
}

function ours(kind: 'Trigger' | 'Broker'): string[] {
  return known[kind].filter((name) => name.startsWith('posthorn.dev/'));
}

/** Without what they all begin with, which would make any short name near to any other. */
function ourNearest(name: string, kind: 'Trigger' | 'Broker'): string {
  const domain = 'posthorn.dev/';
  const own = ours(kind).map((one) => one.slice(domain.length));
  const guess = nearest(name.slice(domain.length), own);
  return guess === undefined ? '' : `; did you mean ${domain}${guess}?`;
}

function readLane(annotations: Field): Trigger['lane'] {
  const isOrdered = annotations.field(order).oneOf(['ordered', 'unordered']) === 'ordered';
  const group = annotations.field(consumerGroup).oneOf(['own', 'shared']);
  if (isOrdered && group === 'shared') {
    annotations.field(consumerGroup).error(`an ordered trigger has a group of its own; write own, or leave it out`);
  }
  return isOrdered ? 'ordered' : (group ?? 'shared');
}

function readRate(field: Field): AttemptRate | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const [, digits = '', name = ''] = /^(\d{1,9})\/(.*)$/.exec(text) ?? [];
  const unit = rateUnits[name];
  const attempts = Number(digits);
  if (unit && attempts >= 1 && attempts <= unit.attemptsMax) return { attempts, perMs: unit.perMs };
  const most = unit && attempts > unit.attemptsMax ? `; at most ${unit.attemptsMax}/${name}` : '';
  return field.error(
    `must be a whole number of attempts a second, minute or hour, as 50/s, 3000/m or 100/h, found ${describe(text)}${most}`,
  );
}

/** The secret itself never stands in a manifest, which anybody may read who may read triggers. */
function readSecretName(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined || isSecretName(text)) return text;
  // Not shown: whoever does not know that a name is wanted writes the secret.
  return field.error(`must be the name of a secret of posthorn serve (--secrets): ${secretNameRule}`);
}
