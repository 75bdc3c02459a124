/** A Trigger manifest for tests, as YAML. */
export function triggerYaml(
  name: string,
  subscriberUri: string,
  more: { readonly filters?: string; readonly delivery?: string; readonly annotations?: Record<string, string> } = {},
): string {
  const { filters, delivery, annotations = {} } = more;
  return [
    'apiVersion: eventing.knative.dev/v1',
    'kind: Trigger',
    `metadata:`,
    `  name: ${name}`,
    ...(Object.keys(annotations).length === 0 ? [] : [`  annotations: ${JSON.stringify(annotations)}`]),
    'spec:',
    '  broker: default',
    `  subscriber: { uri: "${subscriberUri}" }`,
    ...(filters === undefined ? [] : [`  filters: ${filters}`]),
    ...(delivery === undefined ? [] : [`  delivery: ${delivery}`]),
    '',
  ].join('\n');
}

/** Applies manifests through the admin API. @throws Error with the answer if it refuses */
export async function applyTo(adminUrl: string, ...manifests: string[]): Promise<void> {
  const response = await fetch(`${adminUrl}/api/v1/apply`, {
    method: 'POST',
    headers: { 'content-type': 'application/yaml' },
    body: manifests.join('---\n'),
  });
  // Read in any case: an answer that nobody takes keeps the server from closing.
  const answer = await response.text();
  if (!response.ok) throw new Error(`apply was answered ${response.status}: ${answer}`);
}

/** The value of a counter or gauge on the metrics page, summed over the series whose labels contain `labels`. */
export async function metric(
  adminUrl: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  let sum = 0;
  for (const line of text.split('\n')) {
    const [series = '', value = '0'] = line.split(' ');
    if (series !== name && !series.startsWith(`${name}{`)) continue;
    if (Object.entries(labels).every(([label, wanted]) => series.includes(`${label}="${wanted}"`)))
      sum += Number(value);
  }
  return sum;
}
