import type { Trigger } from '../../broker/trigger/trigger.ts';
import { defaultDelivery, defaultMaxInFlight } from '../../broker/trigger/trigger.ts';
import type { Delivery } from '../../dispatcher/fate.ts';
import type { CloudEvent } from '../../event/event.ts';

/** An event for tests: the four required attributes, and what is given. */
export function testEvent(attributes: Readonly<Record<string, string>> = {}, data?: Buffer): CloudEvent {
  return {
    attributes: { specversion: '1.0', id: '1', source: '/test', type: 'com.example.test', ...attributes },
    data,
  };
}

/** A trigger for tests that passes everything on to `subscriberUri`. */
export function testTrigger(subscriberUri: string, settings: Partial<Trigger> = {}): Trigger {
  const name = settings.name ?? 'all';
  return {
    uid: `uid-${name}`,
    namespace: 'default',
    name,
    broker: 'default',
    generation: 1,
    owner: 'test',
    filters: [],
    dataFilter: null,
    subscriberUri,
    delivery: defaultDelivery,
    lane: 'shared',
    laneSpans: [],
    maxInFlight: defaultMaxInFlight,
    batch: null,
    rate: null,
    paused: false,
    onGone: 'dead-letter',
    signWith: null,
    webhookHandshake: false,
    replyTo: null,
    manifest: { apiVersion: 'eventing.knative.dev/v1', kind: 'Trigger', metadata: { name } },
    ...settings,
  };
}

/** The first attempt of a delivery for tests. */
export function testDelivery(
  trigger: Trigger,
  event: CloudEvent = testEvent(),
  more: Partial<Delivery> = {},
): Delivery {
  return {
    trigger,
    event,
    attempt: 1,
    trace: {},
    origin: { topic: 'events', partition: 0, offset: 7, appendedAtMs: 1_000 },
    firstAttemptAtMs: null,
    target: { kind: 'subscriber' },
    ...more,
  };
}
