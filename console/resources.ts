import type { Registry } from '../broker/trigger/registry.ts';
import type { StoredTrigger } from '../broker/trigger/registry-state.ts';
import type { BrokerName, DeliveryPolicy, Manifest } from '../broker/trigger/trigger.ts';

/** A Trigger or Broker as the API shows it: the manifest as applied, and what Posthorn knows of it in Knative's fields. */
export interface Resource extends Manifest {
  readonly status: {
    /** Who applied it; null for default/default while no Broker of that name was applied. */
    readonly owner: string | null;
    /** RFC 3339. */
    readonly appliedAt: string | null;
    readonly observedGeneration: number;
    readonly conditions: readonly Condition[];
    readonly [field: string]: unknown;
  };
}

export interface Condition {
  readonly type: 'Ready';
  readonly status: 'True' | 'False';
  readonly reason?: string;
  readonly message?: string;
}

export function triggerResource(broker: BrokerName, stored: StoredTrigger): Resource {
  const { manifest, trigger, problem } = stored;
  return {
    ...manifest,
    metadata: metadataOf(broker.namespace, stored, manifest),
    status: {
      broker: broker.name,
      owner: stored.owner,
      appliedAt: new Date(stored.appliedAtMs).toISOString(),
      // The last one that could be read is the one in force.
      observedGeneration: trigger?.generation ?? 0,
      ...(trigger && { subscriberUri: trigger.subscriberUri, ...deadLetterSinkOf(trigger.delivery) }),
      conditions: [ready(problem === null ? null : { reason: 'Unreadable', message: problem })],
    },
  };
}

export function brokerResource(registry: Registry): Resource {
  const { broker: stored, triggers } = registry.stored();
  const { namespace, name } = registry.name;
  const manifest = stored?.manifest ?? { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', metadata: { name } };
  const stale = { reason: 'RegistryStale', message: 'the registry of its triggers could not be read just now' };
  const unreadable = stored?.problem ? { reason: 'Unreadable', message: stored.problem } : null;
  return {
    ...manifest,
    metadata: stored ? metadataOf(namespace, stored, manifest) : { name, namespace },
    status: {
      owner: stored?.owner ?? null,
      appliedAt: stored ? new Date(stored.appliedAtMs).toISOString() : null,
      observedGeneration: stored?.generation ?? 0,
      topic: registry.topics().eventTopics.join(),
      triggers: triggers.size,
      ...deadLetterSinkOf(stored?.broker?.delivery ?? null),
      conditions: [ready(unreadable ?? (registry.isFresh() ? null : stale))],
    },
  };
}

/** Knative control plane, Broker and Trigger Lifecycle: the resolved URL. */
function deadLetterSinkOf(delivery: DeliveryPolicy | null): { readonly deadLetterSinkUri?: string } {
  return delivery?.deadLetterSinkUri ? { deadLetterSinkUri: delivery.deadLetterSinkUri } : {};
}

interface Revised {
  readonly uid: string;
  readonly generation: number;
  readonly createdAtMs: number;
}

function metadataOf(namespace: string, { uid, generation, createdAtMs }: Revised, manifest: Manifest) {
  return { ...manifest.metadata, namespace, uid, generation, creationTimestamp: new Date(createdAtMs).toISOString() };
}

function ready(trouble: { readonly reason: string; readonly message: string } | null): Condition {
  return trouble === null ? { type: 'Ready', status: 'True' } : { type: 'Ready', status: 'False', ...trouble };
}
