import t from 'tap';
import {
  brokerFromManifest,
  ManifestError,
  parseManifests,
  type TriggerIdentity,
  triggerFromManifest,
} from '../../broker/trigger/manifest.ts';
import { type Broker, defaultDelivery, type Manifest, type Trigger } from '../../broker/trigger/trigger.ts';
import { annotated, deliveryWith, filtersWith, triggerWith } from './said-of.ts';

const subscriber = "  subscriber: { uri: 'http://orders:8080/' }";
const identity: TriggerIdentity = { uid: 'u-1', generation: 3, owner: 'shop', namespace: 'default' };

/** The manifest of the only document, as the registry gets it back: through JSON. */
function manifestOf(text: string): Manifest {
  const { documents, problems } = parseManifests(text, 'file.yaml');
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [document] = documents;
  if (errors.length > 0 || document === undefined) throw new Error(JSON.stringify(problems));
  return JSON.parse(JSON.stringify(document.manifest));
}

function triggerOf(text: string, broker: Broker | null = null): Omit<Trigger, 'laneSpans'> {
  return triggerFromManifest(manifestOf(text), identity, broker);
}

function brokerOf(text: string): Broker {
  return brokerFromManifest(manifestOf(text), 'default');
}

/** A stored manifest, whatever is in it. */
function stored(manifest: unknown): Manifest {
  return manifest as Manifest;
}

t.test('a Trigger with little in it has the defaults for the rest', async (t) => {
  const manifest = manifestOf(triggerWith(subscriber));
  t.strictSame(triggerFromManifest(manifest, identity, null), {
    uid: 'u-1',
    generation: 3,
    owner: 'shop',
    namespace: 'default',
    name: 'orders',
    broker: 'default',
    filters: [],
    dataFilter: null,
    subscriberUri: 'http://orders:8080/',
    delivery: defaultDelivery,
    lane: 'shared',
    maxInFlight: 256,
    batch: null,
    rate: null,
    paused: false,
    onGone: 'dead-letter',
    signWith: null,
    webhookHandshake: false,
    replyTo: null,
    manifest,
  });
});

t.test('a Trigger with everything in it', async (t) => {
  const text = `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: orders.created
  namespace: shop
  labels: { team: orders }
  annotations:
    posthorn.dev/max-in-flight: "5"
    posthorn.dev/batch: "100"
    posthorn.dev/batch-bytes: "65536"
    posthorn.dev/batch-linger: PT1.5S
    posthorn.dev/rate: 50/s
    posthorn.dev/paused: "true"
    posthorn.dev/on-gone: pause
    posthorn.dev/sign-with: orders
    posthorn.dev/webhook-handshake: "true"
    posthorn.dev/consumer-group: shared
    posthorn.dev/data-filter: data.amount > 100 && data.country in ['CH', 'DE']
    kafka.eventing.knative.dev/delivery.order: unordered
    example.com/mine: anything
spec:
  brokerRef: { apiVersion: eventing.knative.dev/v1, kind: Broker, name: events, namespace: shop }
  filters:
    - exact: { type: com.example.created, specversion: "1.0" }
    - any:
        - prefix: { source: /shop/ }
        - not: { suffix: { subject: .tmp } }
        - all: [{ exact: { "3d": x } }]
  subscriber:
    ref: { apiVersion: v1, kind: Service, name: orders }
    uri: handle/created?from=posthorn
  delivery:
    retry: 3
    backoffPolicy: linear
    backoffDelay: PT0.5S
    timeout: PT1M
    retryAfterMax: PT0S
    format: json
    deadLetterSink:
      ref: { apiVersion: serving.knative.dev/v1, kind: Service, name: dead, namespace: ops }
status:
  conditions: []
`;
  const { manifest, ...trigger } = triggerOf(text);
  t.strictSame(trigger, {
    uid: 'u-1',
    generation: 3,
    owner: 'shop',
    namespace: 'shop',
    name: 'orders.created',
    broker: 'events',
    filters: [
      { dialect: 'exact', attributes: { type: 'com.example.created', specversion: '1.0' } },
      {
        dialect: 'any',
        filters: [
          { dialect: 'prefix', attributes: { source: '/shop/' } },
          { dialect: 'not', filter: { dialect: 'suffix', attributes: { subject: '.tmp' } } },
          { dialect: 'all', filters: [{ dialect: 'exact', attributes: { '3d': 'x' } }] },
        ],
      },
    ],
    subscriberUri: 'http://orders.shop.svc.cluster.local/handle/created?from=posthorn',
    delivery: {
      attemptsMax: 4,
      backoffPolicy: 'linear',
      backoffDelayMs: 500,
      backoffMaxMs: 3_600_000,
      jitter: 0,
      timeoutMs: 60_000,
      retryAfterMaxMs: 0,
      format: 'json',
      deadLetterSinkUri: 'http://dead.ops.svc.cluster.local/',
    },
    dataFilter: "data.amount > 100 && data.country in ['CH', 'DE']",
    lane: 'shared',
    maxInFlight: 5,
    batch: { eventsMax: 100, bytesMax: 65_536, lingerMs: 1_500 },
    rate: { attempts: 50, perMs: 1_000 },
    paused: true,
    onGone: 'pause',
    signWith: 'orders',
    webhookHandshake: true,
    replyTo: null,
  });
});

t.test('a rate is of attempts a second, minute or hour', async (t) => {
  const rateOf = (rate: string) => triggerOf(annotated('Trigger', `    posthorn.dev/rate: ${rate}`)).rate;
  t.strictSame(rateOf('1/s'), { attempts: 1, perMs: 1_000 });
  t.strictSame(rateOf('3000/m'), { attempts: 3_000, perMs: 60_000 });
  t.strictSame(rateOf('100/h'), { attempts: 100, perMs: 3_600_000 });
});

t.test('a trigger that is not paused any more may say so', async (t) => {
  t.equal(triggerOf(annotated('Trigger', '    posthorn.dev/paused: "false"')).paused, false);
  t.equal(triggerOf(annotated('Trigger', '    posthorn.dev/on-gone: dead-letter')).onGone, 'dead-letter');
});

t.test('a Broker', async (t) => {
  const { manifest, ...plain } = brokerOf(
    '{apiVersion: eventing.knative.dev/v1, kind: Broker, metadata: {name: shop}}',
  );
  t.strictSame(plain, {
    namespace: 'default',
    name: 'shop',
    externalTopics: [],
    initialOffset: 'latest',
    deduplicateMs: null,
    verifyWith: null,
    attributes: null,
    key: null,
    valueFormat: 'cloudevent',
    schemaRules: null,
    delivery: null,
  });
  const text = annotated(
    'Broker',
    '    kafka.eventing.knative.dev/external.topic: eqiad.mediawiki.page_change.v1\n    posthorn.dev/initial-offset: earliest',
  );
  t.match(brokerOf(text), { externalTopics: ['eqiad.mediawiki.page_change.v1'], initialOffset: 'earliest' });
  t.equal(brokerOf(annotated('Broker', '    posthorn.dev/deduplicate: PT10M')).deduplicateMs, 600_000);
});

t.test('the manifest is kept as it was written, with its namespace and without what a server adds', async (t) => {
  const text = `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: orders
  uid: 5c2b
  resourceVersion: "7"
  creationTimestamp: "2026-01-01T00:00:00Z"
  managedFields: [{ manager: kubectl }]
  labels: { team: orders }
spec:
  subscriber: { uri: http://orders }
status: { conditions: [] }
`;
  const { documents } = parseManifests(text, 'file.yaml', { namespace: 'shop' });
  t.strictSame(documents, [
    {
      kind: 'Trigger',
      namespace: 'shop',
      name: 'orders',
      manifest: {
        apiVersion: 'eventing.knative.dev/v1',
        kind: 'Trigger',
        metadata: { name: 'orders', labels: { team: 'orders' }, namespace: 'shop' },
        spec: { subscriber: { uri: 'http://orders' } },
      },
      file: 'file.yaml',
      line: 4,
      column: 9,
      // Neither is there: what they would stand in.
      places: {
        'spec.broker': { line: 10, column: 1 },
        'metadata.annotations["kafka.eventing.knative.dev/external.topic"]': { line: 3, column: 1 },
        'metadata.annotations["posthorn.dev/reply-to"]': { line: 3, column: 1 },
        'metadata.annotations["posthorn.dev/value-format"]': { line: 3, column: 1 },
      },
    },
  ]);
});

t.test('the backoff is varied at random only where it was left to us', async (t) => {
  const jitters = {
    '    {}': 0.2,
    '    timeout: PT5S': 0.2,
    '    format: json': 0.2,
    '    retry: 0': 0,
    '    backoffPolicy: exponential': 0,
    '    backoffDelay: PT1S': 0,
  };
  for (const [lines, jitter] of Object.entries(jitters)) {
    t.equal(triggerOf(deliveryWith(lines)).delivery.jitter, jitter, lines);
  }
});

t.test('retry counts the attempts after the first', async (t) => {
  t.equal(triggerOf(deliveryWith('    retry: 0')).delivery.attemptsMax, 1);
  t.equal(triggerOf(deliveryWith('    retry: 10')).delivery.attemptsMax, 11);
  t.equal(triggerOf(deliveryWith('    retry: null')).delivery.attemptsMax, 16);
});

t.test('a delay above the usual cap is its own cap', async (t) => {
  const { backoffDelayMs, backoffMaxMs } = triggerOf(deliveryWith('    backoffDelay: PT2H')).delivery;
  t.strictSame([backoffDelayMs, backoffMaxMs], [7_200_000, 7_200_000]);
});

t.test("a Trigger without delivery takes its Broker's, whole; with one, nothing of it", async (t) => {
  const broker = brokerOf(`apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: { name: default }
spec:
  delivery: { retry: 2, timeout: PT5S, deadLetterSink: { uri: http://dead/ } }
`);
  t.strictSame(triggerOf(triggerWith(subscriber), broker).delivery, broker.delivery);
  t.match(broker.delivery, { attemptsMax: 3, timeoutMs: 5_000, deadLetterSinkUri: 'http://dead/' });
  const own = triggerOf(deliveryWith('    timeout: PT1S'), broker).delivery;
  t.strictSame(own, { ...defaultDelivery, timeoutMs: 1_000 });
  t.strictSame(triggerOf(triggerWith(subscriber), { ...broker, delivery: null }).delivery, defaultDelivery);
});

t.test('filter counts where filters is absent or empty, and filters where both are given', async (t) => {
  const filter = "  filter: { attributes: { type: a, source: '' } }";
  const attributes = [{ dialect: 'attributes', attributes: { type: 'a', source: '' } }];
  t.strictSame(triggerOf(triggerWith(`${subscriber}\n${filter}`)).filters, attributes);
  t.strictSame(triggerOf(triggerWith(`${subscriber}\n${filter}\n  filters: []`)).filters, attributes);
  t.strictSame(triggerOf(triggerWith(`${subscriber}\n${filter}\n  filters: [{ exact: { type: b } }]`)).filters, [
    { dialect: 'exact', attributes: { type: 'b' } },
  ]);
  t.strictSame(triggerOf(triggerWith(`${subscriber}\n  filter: {}`)).filters, []);
  t.strictSame(triggerOf(filtersWith('    - exact: { type: a }\n      prefix: null')).filters, [
    { dialect: 'exact', attributes: { type: 'a' } },
  ]);
});

t.test('a subscriber has one absolute URL', async (t) => {
  const service = 'ref: { kind: Service, name: orders, apiVersion: v1 }';
  const uris: Readonly<Record<string, string>> = {
    '{ uri: HTTPS://Orders.example }': 'https://orders.example/',
    '{ uri: "http://10.0.0.1:8080/a%20b?x=1" }': 'http://10.0.0.1:8080/a%20b?x=1',
    '{ uri: "http://[::1]:8080/" }': 'http://[::1]:8080/',
    '{ uri: "http://bücher.example/ü" }': 'http://xn--bcher-kva.example/%C3%BC',
    [`{ ${service} }`]: 'http://orders.default.svc.cluster.local/',
    [`{ ${service}, uri: /a/b }`]: 'http://orders.default.svc.cluster.local/a/b',
    [`{ ${service}, uri: ?a=b }`]: 'http://orders.default.svc.cluster.local/?a=b',
    '{ ref: { kind: Service, name: orders, namespace: shop, group: serving.knative.dev } }':
      'http://orders.shop.svc.cluster.local/',
  };
  for (const [destination, uri] of Object.entries(uris)) {
    t.equal(triggerOf(triggerWith(`  subscriber: ${destination}`)).subscriberUri, uri, destination);
  }
});

t.test('a stored manifest that this version can not read is an error that says why', async (t) => {
  const good = manifestOf(triggerWith(subscriber));
  const cases: readonly (readonly [manifest: unknown, message: string])[] = [
    [
      { ...good, apiVersion: 'eventing.knative.dev/v2' },
      'apiVersion: must be eventing.knative.dev/v1 for a Trigger, found "eventing.knative.dev/v2"',
    ],
    [{ ...good, kind: 'Broker' }, 'must be a Trigger'],
    [{ ...good, kind: 'Channel' }, 'must be a Trigger'],
    [
      { ...good, spec: 5 },
      'spec: must be an object, found the number 5; spec.subscriber: missing; must have a uri or a ref to a Service',
    ],
    [
      { ...good, spec: { subscriber: { uri: 'http://x/' }, filters: [{ cesql: "type = 'a" }] } },
      "spec.filters[0].cesql: expected a ' that ends this string, found none; within it, \\' stands for '",
    ],
    [null, 'must be an object with apiVersion, kind, metadata and spec, found nothing'],
    ['text', 'must be an object with apiVersion, kind, metadata and spec, found "text"'],
  ];
  for (const [manifest, message] of cases) {
    t.throws(() => triggerFromManifest(stored(manifest), identity, null), new ManifestError(message));
  }
  t.throws(() => brokerFromManifest(good, 'default'), new ManifestError('must be a Broker'));
});
