import { defaultDelivery, type Filter, type Trigger } from '../../broker/trigger/trigger.ts';
import type { CloudEvent } from '../../event/event.ts';

/** An event with these attributes beside the required ones, without data. */
export function eventWith(attributes: Readonly<Record<string, string>> = {}): CloudEvent {
  const required = { specversion: '1.0', id: '1', source: '/shop', type: 'com.example.created' };
  return { attributes: Object.assign(Object.create(null), required, attributes), data: undefined };
}

export function triggerWith(name: string, filters: readonly Filter[], namespace = 'default'): Trigger {
  return {
    uid: `${namespace}/${name}`,
    namespace,
    name,
    broker: 'default',
    generation: 1,
    owner: 'test',
    filters,
    dataFilter: null,
    subscriberUri: 'http://localhost/',
    delivery: defaultDelivery,
    lane: 'shared',
    laneSpans: [],
    maxInFlight: 1,
    batch: null,
    rate: null,
    paused: false,
    onGone: 'dead-letter',
    signWith: null,
    webhookHandshake: false,
    replyTo: null,
    manifest: { apiVersion: 'eventing.knative.dev/v1', kind: 'Trigger', metadata: { name } },
  };
}
