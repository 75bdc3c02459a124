import { brokerFromManifest, parseManifests } from '../../broker/trigger/manifest.ts';
import type { Broker } from '../../broker/trigger/trigger.ts';

/** A Broker manifest for tests, as YAML. */
export function brokerYaml(name: string, annotations: Readonly<Record<string, string>>): string {
  return [
    'apiVersion: eventing.knative.dev/v1',
    'kind: Broker',
    'metadata:',
    `  name: ${name}`,
    `  annotations: ${JSON.stringify(annotations)}`,
    '',
  ].join('\n');
}

export const externalTopic = 'kafka.eventing.knative.dev/external.topic';

/** A Broker on these topics. */
export function brokerOf(topics: readonly string[], attributes?: string): Broker {
  const mapping = attributes === undefined ? {} : { 'posthorn.dev/attributes': attributes };
  const { documents } = parseManifests(brokerYaml('pages', { [externalTopic]: topics.join(), ...mapping }), 'broker');
  if (!documents[0]) throw new Error('the manifest is wrong');
  return brokerFromManifest(documents[0].manifest, 'default');
}
