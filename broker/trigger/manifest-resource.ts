import { readBrokerAnnotations, readTriggerAnnotations, type TriggerAnnotations } from './manifest-annotations.ts';
import { checkFormat } from './manifest-batch.ts';
import { readDelivery } from './manifest-delivery.ts';
import { readDestination } from './manifest-destination.ts';
import { describe, type Field } from './manifest-field.ts';
import { readFilters } from './manifest-filters.ts';
import { readDnsLabel, readDnsSubdomain, topicNameProblem } from './manifest-names.ts';
import type { Broker, DeliveryPolicy, Trigger } from './trigger.ts';

export const apiVersion = 'eventing.knative.dev/v1';

/** What a Trigger's manifest says, before its Broker's delivery policy is known. */
export interface TriggerSettings
  extends Pick<Trigger, 'namespace' | 'name' | 'broker' | 'filters' | 'subscriberUri'>,
    TriggerAnnotations {
  /** Null: the broker's, or the default. */
  readonly delivery: DeliveryPolicy | null;
}

export type BrokerSettings = Omit<Broker, 'manifest'>;

export interface Surroundings {
  /** Where the manifest names no namespace. */
  readonly namespace: string;
  /** What the names of topics begin with; null where their length was checked before. */
  readonly prefix: string | null;
}

/** What the Kubernetes API server and its tools put into metadata; accepted, so that `kubectl get -o yaml` can be applied. */
export const serverMetadata = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'selfLink',
];

/** Reads a Trigger (Knative `eventing.knative.dev/v1`). What it returns counts only if nothing was reported as an error. */
export function readTrigger(root: Field, { namespace: fallback, prefix }: Surroundings): TriggerSettings {
  root.object(['apiVersion', 'kind', 'metadata', 'spec', 'status']);
  const metadata = root.field('metadata');
  checkMetadata(metadata);
  const name = readDnsSubdomain(metadata.field('name')) ?? '';
  const namespace = readDnsLabel(metadata.field('namespace').orElse(fallback)) ?? fallback;
  const annotations = readTriggerAnnotations(metadata.field('annotations'));

  const spec = root.field('spec');
  if (!spec.present) spec.error('missing; a Trigger needs at least a subscriber', 'key');
  else spec.object(['broker', 'brokerRef', 'filter', 'filters', 'subscriber', 'delivery']);
  const broker = readBrokerName(spec, namespace);
  const problem = prefix === null ? null : topicNameProblem(prefix, namespace, broker, name);
  if (problem !== null) metadata.field('name').error(problem);
  const subscriber = spec.field('subscriber');
  if (annotations.batch !== null) checkFormat(spec.field('delivery'));
  if (spec.present && !subscriber.present) subscriber.error('missing; must have a uri or a ref to a Service', 'key');
  return {
    namespace,
    name,
    broker,
    filters: readFilters(spec),
    subscriberUri: readDestination(subscriber, namespace) ?? '',
    ...annotations,
    delivery: readDelivery(spec.field('delivery'), namespace),
  };
}

/** Reads a Broker (Knative `eventing.knative.dev/v1`). What it returns counts only if nothing was reported as an error. */
export function readBroker(root: Field, { namespace: fallback, prefix }: Surroundings): BrokerSettings {
  root.object(['apiVersion', 'kind', 'metadata', 'spec', 'status']);
  const metadata = root.field('metadata');
  checkMetadata(metadata);
  const name = readDnsLabel(metadata.field('name')) ?? '';
  const namespace = readDnsLabel(metadata.field('namespace').orElse(fallback)) ?? fallback;
  const problem = prefix === null ? null : topicNameProblem(prefix, namespace, name, null);
  if (problem !== null) metadata.field('name').error(problem);

  const spec = root.field('spec');
  spec.object(['config', 'delivery']);
  const config = spec.field('config');
  if (config.object(['kind', 'namespace', 'name', 'apiVersion', 'group', 'address'])) {
    config.warn("no effect here: topics are set up by Posthorn's own configuration");
  }
  return {
    namespace,
    name,
    ...readBrokerAnnotations(metadata.field('annotations')),
    delivery: readDelivery(spec.field('delivery'), namespace),
  };
}

function checkMetadata(metadata: Field): void {
  if (!metadata.present) metadata.error('missing; must have at least a name', 'key');
  if (!metadata.object(['name', 'namespace', 'labels', 'annotations', 'generateName', ...serverMetadata])) return;
  const name = metadata.field('name');
  if (!name.present) {
    const generated = metadata.field('generateName').present;
    name.error(generated ? 'missing; generateName is not enough, since names must stay the same' : 'missing', 'key');
  }
  metadata.field('labels').strings();
}

function readBrokerName(spec: Field, namespace: string): string {
  const [plain, ref] = [spec.field('broker'), spec.field('brokerRef')];
  if (!ref.object(['kind', 'apiVersion', 'name', 'namespace', 'group', 'address'])) {
    return readDnsLabel(plain) ?? 'default';
  }
  if (plain.present) ref.error('given beside spec.broker; leave out one of the two', 'key');
  const kind = ref.field('kind').text();
  if (kind !== undefined && kind !== 'Broker') ref.field('kind').error(`must be Broker, found ${describe(kind)}`);
  const version = ref.field('apiVersion').text();
  if (version !== undefined && version !== apiVersion) {
    ref.field('apiVersion').error(`must be ${apiVersion}, found ${describe(version)}`);
  }
  const other = ref.field('namespace').text();
  if (other !== undefined && other !== namespace) {
    ref
      .field('namespace')
      .error(`must be the trigger's own namespace ${describe(namespace)}, found ${describe(other)}`);
  }
  if (!ref.field('name').present) ref.field('name').error('missing; must be the name of the Broker', 'key');
  return readDnsLabel(ref.field('name')) ?? 'default';
}
