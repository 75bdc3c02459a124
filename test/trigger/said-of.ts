import { type ParseOptions, parseManifests } from '../../broker/trigger/manifest.ts';

/** A file, and everything that is said of it. */
export interface Case {
  readonly name: string;
  readonly text: string;
  readonly said: readonly string[];
}

/** Every problem of the text, as `line:column severity field: message`. */
export function saidOf(text: string, options: ParseOptions = {}): string[] {
  return parseManifests(text, 'file.yaml', options).problems.map(({ severity, line, column, field, message }) => {
    return `${line}:${column} ${severity} ${field === '' ? '' : `${field}: `}${message}`;
  });
}

/** A Trigger whose metadata takes the first three lines, and `spec:` the fourth. */
export function triggerWith(specLines: string): string {
  return `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: { name: orders }
spec:
${specLines}
`;
}

/** A Trigger with a subscriber in its fifth line and `delivery:` in its sixth. */
export function deliveryWith(lines: string): string {
  return triggerWith(`  subscriber: { uri: 'http://orders:8080/' }
  delivery:
${lines}`);
}

/** A Trigger with a subscriber in its fifth line and `filters:` in its sixth. */
export function filtersWith(lines: string): string {
  return triggerWith(`  subscriber: { uri: 'http://orders:8080/' }
  filters:
${lines}`);
}

/** A Trigger or a Broker with `annotations:` in its fifth line. */
export function annotated(kind: 'Trigger' | 'Broker', lines: string): string {
  return `apiVersion: eventing.knative.dev/v1
kind: ${kind}
metadata:
  name: orders
  annotations:
${lines}
spec: ${kind === 'Trigger' ? "{ subscriber: { uri: 'http://orders:8080/' } }" : '{}'}
`;
}
