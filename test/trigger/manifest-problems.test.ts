import t from 'tap';
import { annotated, type Case, saidOf, triggerWith } from './said-of.ts';

const subscriber = "  subscriber: { uri: 'http://orders:8080/' }";

const documents: readonly Case[] = [
  {
    name: 'a mistyped field gets the nearest name',
    text: triggerWith(`${subscriber}\n  brokr: shop`),
    said: ['6:3 error spec.brokr: unknown field; did you mean broker?'],
  },
  {
    name: 'an unknown field with nothing near it gets all names',
    text: triggerWith(`${subscriber}\n  xyz: 1`),
    said: ['6:3 error spec.xyz: unknown field; known here: broker, brokerRef, filter, filters, subscriber, delivery'],
  },
  {
    name: 'fields are told apart by case',
    text: triggerWith("  Subscriber: { uri: 'http://orders:8080/' }"),
    said: [
      '4:1 error spec.subscriber: missing; must have a uri or a ref to a Service',
      '5:3 error spec.Subscriber: unknown field; did you mean subscriber?',
    ],
  },
  {
    name: 'names of JavaScript objects are unknown fields like others',
    text: triggerWith(`${subscriber}\n  __proto__: { a: 1 }\n  constructor: 2`),
    said: [
      '6:3 error spec.__proto__: unknown field; known here: broker, brokerRef, filter, filters, subscriber, delivery',
      '7:3 error spec.constructor: unknown field; known here: broker, brokerRef, filter, filters, subscriber, delivery',
    ],
  },
  {
    name: 'a field outside of spec',
    text: `${triggerWith(subscriber)}filters: []\n`,
    said: ['6:1 error filters: unknown field; known here: apiVersion, kind, metadata, spec, status'],
  },
  {
    name: 'the apiVersion of an older Knative',
    text: 'apiVersion: eventing.knative.dev/v1beta1\nkind: Trigger\n',
    said: [
      '1:13 error apiVersion: must be eventing.knative.dev/v1 for a Trigger, found "eventing.knative.dev/v1beta1"',
    ],
  },
  {
    name: 'no apiVersion',
    text: 'kind: Broker\nmetadata: { name: shop }\n',
    said: ['1:1 error apiVersion: missing; must be eventing.knative.dev/v1 for a Broker'],
  },
  {
    name: 'no kind',
    text: '\n# comment\nreplicas: 3\n',
    said: ['3:1 error kind: missing; must be Trigger or Broker'],
  },
  {
    name: 'a kind in lower case',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: trigger\n',
    said: ['2:7 error kind: must be Trigger or Broker, found trigger; did you mean Trigger?'],
  },
  {
    name: 'a kind of something else is skipped with a warning',
    text: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { 1: 2, name: x, name: y }\n',
    said: ['2:1 warning kind: Deployment is skipped: only a Trigger or a Broker of eventing.knative.dev/v1 is read'],
  },
  {
    name: 'text that is no manifest at all',
    text: 'hello\n',
    said: ['1:1 error must be an object with apiVersion, kind, metadata and spec, found "hello"'],
  },
  {
    name: 'a list of manifests without kind List',
    text: '- kind: Trigger\n',
    said: ['1:1 error must be an object with apiVersion, kind, metadata and spec, found a list'],
  },
  {
    name: 'items of a List have their place in it',
    text: `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
  - apiVersion: eventing.knative.dev/v1
    kind: Broker
    metadata: { name: Shop }
  - 5
`,
    said: [
      '5:5 warning items[0].kind: Service is skipped: only a Trigger or a Broker of eventing.knative.dev/v1 is read',
      '8:23 error items[1].metadata.name: must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found "Shop"',
      '9:5 error items[2]: must be an object with apiVersion, kind, metadata and spec, found the number 5',
    ],
  },
  {
    name: 'a List without a list',
    text: 'apiVersion: v1\nkind: List\nitems: 4\n',
    said: ['3:8 error items: must be a list, found the number 4'],
  },
  {
    name: 'an empty file',
    text: ' \n\n',
    said: ['1:1 error the file is empty'],
  },
  {
    name: 'a file of comments only',
    text: '# nothing yet\n---\n# still nothing\n',
    said: ['1:1 warning the file has no manifest, only comments'],
  },
  {
    name: 'a file that is not UTF-8',
    text: `# fine\n# ${Buffer.from([0x66, 0xfc, 0x72]).toString('utf8')}\n`,
    said: ['2:4 error not UTF-8; save the file in that encoding'],
  },
  {
    name: 'the same Trigger twice in a file',
    text: `${triggerWith(subscriber)}---\n${triggerWith(subscriber)}`,
    said: ['9:19 error metadata.name: Trigger default/orders is also in file.yaml:3:19; keep one of the two'],
  },
];

const metadata: readonly Case[] = [
  {
    name: 'no metadata',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Broker\n',
    said: ['1:1 error metadata: missing; must have at least a name'],
  },
  {
    name: 'no name',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata:\n  name:\n',
    said: ['4:3 error metadata.name: missing'],
  },
  {
    name: 'a generated name',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: { generateName: shop- }\n',
    said: ['3:1 error metadata.name: missing; generateName is not enough, since names must stay the same'],
  },
  {
    name: 'a name that is a number to YAML',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: { name: 0042 }\n',
    said: ['3:19 error metadata.name: must be a string, found the number 42; write "0042"'],
  },
  {
    name: 'names that are no DNS names',
    text: triggerWith(`${subscriber}\n  broker: my_broker`).replace(
      '{ name: orders }',
      '{ name: a..b, namespace: x.y }',
    ),
    said: [
      '3:19 error metadata.name: must be at most 253 lower-case letters, digits, - and ., with a letter or digit at both ends of each part, found "a..b"',
      '3:36 error metadata.namespace: must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found "x.y"',
      '6:11 error spec.broker: must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found "my_broker"',
    ],
  },
  {
    name: 'a namespace of 64 characters',
    text: triggerWith(subscriber).replace('orders', `orders, namespace: ${'n'.repeat(64)}`),
    said: [
      `3:38 error metadata.namespace: must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found "${'n'.repeat(64)}"`,
    ],
  },
  {
    name: 'a name that is too long for its retry topic',
    text: triggerWith(subscriber).replace('orders', 't'.repeat(250)),
    said: [
      `3:19 error metadata.name: too long by 33: its topic posthorn.default.default._retry.${'t'.repeat(250)} would have 282 characters, Kafka allows 249`,
    ],
  },
  {
    name: 'labels that are no strings',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: { name: shop, labels: { a: 1, b: no, c: } }\n',
    said: [
      '3:38 error metadata.labels.a: must be a string, found the number 1; write "1"',
      '3:44 error metadata.labels.b: must be a string, but Kubernetes reads no as a boolean; write "no"',
      '3:48 error metadata.labels.c: must be a string, found nothing; write "" for an empty one',
    ],
  },
];

const annotations: readonly Case[] = [
  {
    name: 'an unknown annotation of ours gets the nearest name',
    text: annotated('Trigger', '    posthorn.dev/max-inflight: "5"'),
    said: [
      '6:5 error metadata.annotations["posthorn.dev/max-inflight"]: unknown annotation; did you mean posthorn.dev/max-in-flight?',
    ],
  },
  {
    name: 'an annotation of a later release is unknown',
    text: annotated('Trigger', '    posthorn.dev/priority: high'),
    said: [
      '6:5 error metadata.annotations["posthorn.dev/priority"]: unknown annotation; known here: posthorn.dev/batch, posthorn.dev/batch-bytes, posthorn.dev/batch-linger, posthorn.dev/max-in-flight, posthorn.dev/rate, posthorn.dev/paused, posthorn.dev/on-gone, posthorn.dev/sign-with, posthorn.dev/webhook-handshake, posthorn.dev/consumer-group, posthorn.dev/data-filter, posthorn.dev/reply-to',
    ],
  },
  {
    name: 'a secret in place of its name is not shown',
    text: annotated('Trigger', '    posthorn.dev/sign-with: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
    said: [
      '6:29 error metadata.annotations["posthorn.dev/sign-with"]: must be the name of a secret of posthorn serve (--secrets): lower-case letters, digits and dashes, at most 63 characters',
    ],
  },
  {
    name: 'annotations on the wrong kind',
    text: annotated('Broker', '    posthorn.dev/max-in-flight: "5"'),
    said: ['6:5 error metadata.annotations["posthorn.dev/max-in-flight"]: belongs on a Trigger, this is a Broker'],
  },
  {
    name: 'a topic on a Trigger',
    text: annotated('Trigger', '    kafka.eventing.knative.dev/external.topic: pages'),
    said: [
      '6:5 error metadata.annotations["kafka.eventing.knative.dev/external.topic"]: belongs on a Broker, this is a Trigger',
    ],
  },
  {
    name: 'a number without quotes',
    text: annotated('Trigger', '    posthorn.dev/max-in-flight: 50'),
    said: [
      '6:33 error metadata.annotations["posthorn.dev/max-in-flight"]: must be a string, found the number 50; write "50"',
    ],
  },
  {
    name: 'an annotation without a value',
    text: annotated('Trigger', '    posthorn.dev/max-in-flight:'),
    said: [
      '6:5 error metadata.annotations["posthorn.dev/max-in-flight"]: must be a string, found nothing; write "" for an empty one',
    ],
  },
  ...['0', '10001', '1.5', '-1', '', 'many', '1e3'].map((value) => ({
    name: `max-in-flight of ${JSON.stringify(value)}`,
    text: annotated('Trigger', `    posthorn.dev/max-in-flight: "${value}"`),
    said: [
      `6:33 error metadata.annotations["posthorn.dev/max-in-flight"]: must be a whole number from 1 to 10000, found "${value}"`,
    ],
  })),
  ...['50', '50 / s', '0/s', '1.5/s', '-1/m', '/s', '50/d', '50/sec', '50/S', 's', ''].map((value) => ({
    name: `a rate of ${JSON.stringify(value)}`,
    text: annotated('Trigger', `    posthorn.dev/rate: "${value}"`),
    said: [
      `6:24 error metadata.annotations["posthorn.dev/rate"]: must be a whole number of attempts a second, minute or hour, as 50/s, 3000/m or 100/h, found "${value}"`,
    ],
  })),
  {
    name: 'a rate beyond any process',
    text: annotated('Trigger', '    posthorn.dev/rate: 100001/s'),
    said: [
      '6:24 error metadata.annotations["posthorn.dev/rate"]: must be a whole number of attempts a second, minute or hour, as 50/s, 3000/m or 100/h, found "100001/s"; at most 100000/s',
    ],
  },
  {
    name: 'paused without quotes',
    text: annotated('Trigger', '    posthorn.dev/paused: true'),
    said: [
      '6:26 error metadata.annotations["posthorn.dev/paused"]: must be a string, found the boolean true; write "true"',
    ],
  },
  {
    name: 'paused by another word',
    text: annotated('Trigger', '    posthorn.dev/paused: "yes"'),
    said: ['6:26 error metadata.annotations["posthorn.dev/paused"]: must be true or false, found "yes"'],
  },
  {
    name: 'an unknown answer to 410',
    text: annotated('Trigger', '    posthorn.dev/on-gone: pauze'),
    said: [
      '6:27 error metadata.annotations["posthorn.dev/on-gone"]: must be pause or dead-letter, found "pauze"; did you mean pause?',
    ],
  },
  {
    name: 'a rate on a Broker',
    text: annotated('Broker', '    posthorn.dev/rate: 50/s'),
    said: ['6:5 error metadata.annotations["posthorn.dev/rate"]: belongs on a Trigger, this is a Broker'],
  },
  {
    name: 'an ordered trigger in the shared group',
    text: annotated(
      'Trigger',
      '    kafka.eventing.knative.dev/delivery.order: ordered\n    posthorn.dev/consumer-group: shared',
    ),
    said: [
      '7:34 error metadata.annotations["posthorn.dev/consumer-group"]: an ordered trigger has a group of its own; write own, or leave it out',
    ],
  },
  {
    name: 'mistyped values',
    text: annotated(
      'Trigger',
      '    kafka.eventing.knative.dev/delivery.order: orderd\n    posthorn.dev/consumer-group: mine',
    ),
    said: [
      '6:48 error metadata.annotations["kafka.eventing.knative.dev/delivery.order"]: must be ordered or unordered, found "orderd"; did you mean ordered?',
      '7:34 error metadata.annotations["posthorn.dev/consumer-group"]: must be own or shared, found "mine"',
    ],
  },
  {
    name: 'annotations of Knative without effect are warned of',
    text: annotated(
      'Trigger',
      `    keda.autoscaling.knative.dev/maxReplicaCount: "5"
    knative.dev/dependency: '{}'
    eventing.knative.dev/injection: enabled
    kafka.eventing.knative.dev/delivery.ordr: unordered
    kubectl.kubernetes.io/last-applied-configuration: x`,
    ),
    said: [
      '6:5 warning metadata.annotations["keda.autoscaling.knative.dev/maxReplicaCount"]: no effect here: nothing is scaled by KEDA',
      '7:5 warning metadata.annotations["knative.dev/dependency"]: no effect here: a trigger is in force at once, whatever it depends on',
      '8:5 warning metadata.annotations["eventing.knative.dev/injection"]: no effect here: a broker needs no injection',
      '9:5 warning metadata.annotations["kafka.eventing.knative.dev/delivery.ordr"]: no effect here: it is not read; did you mean kafka.eventing.knative.dev/delivery.order?',
    ],
  },
  {
    name: 'annotations of a Broker',
    text: annotated(
      'Broker',
      `    eventing.knative.dev/broker.class: Kafka
    kafka.eventing.knative.dev/external.topic: a/b
    posthorn.dev/initial-offset: newest`,
    ),
    said: [
      '6:5 warning metadata.annotations["eventing.knative.dev/broker.class"]: no effect here: there is one class of broker',
      '7:48 error metadata.annotations["kafka.eventing.knative.dev/external.topic"]: must be the name of a Kafka topic (at most 249 letters, digits, ., _ and -), or of several with commas between them, found "a/b"',
      '8:34 error metadata.annotations["posthorn.dev/initial-offset"]: must be earliest or latest, found "newest"',
    ],
  },
  {
    name: "a start for a topic of Posthorn's own",
    text: annotated('Broker', '    posthorn.dev/initial-offset: earliest'),
    said: [
      '6:5 warning metadata.annotations["posthorn.dev/initial-offset"]: no effect without kafka.eventing.knative.dev/external.topic: a topic of Posthorn\'s own is read from its beginning',
    ],
  },
  ...Object.entries({
    '10m': 'must be an ISO 8601 duration, found "10m"; write PT10M',
    soon: 'must be an ISO 8601 duration, found "soon"; PT10S is ten seconds, P1DT2H a day and two hours',
    'PT0.9S': 'must be from PT1S to P7D, found "PT0.9S"',
    P8D: 'must be from PT1S to P7D, found "P8D"',
  }).map(([value, message]) => ({
    name: `deduplicate of ${value}`,
    text: annotated('Broker', `    posthorn.dev/deduplicate: ${value}`),
    said: [`6:31 error metadata.annotations["posthorn.dev/deduplicate"]: ${message}`],
  })),
  {
    name: 'deduplication on a Trigger',
    text: annotated('Trigger', '    posthorn.dev/deduplicate: PT10M'),
    said: ['6:5 error metadata.annotations["posthorn.dev/deduplicate"]: belongs on a Broker, this is a Trigger'],
  },
  {
    name: 'annotations that are no object',
    text: annotated('Trigger', '    - a'),
    said: ['6:5 error metadata.annotations: must be an object, found a list'],
  },
];

for (const [group, cases] of Object.entries({ documents, metadata, annotations })) {
  t.test(`what is wrong is named with its place, and what would be right: ${group}`, async (t) => {
    for (const { name, text, said } of cases) t.strictSame(saidOf(text), said, name);
  });
}

t.test('all problems of all documents are given, in the order of the file', async (t) => {
  const text = `${triggerWith('  subscriber: { uri: here }\n  brok: x')}---\n${annotated('Broker', '    posthorn.dev/x: z')}`;
  t.strictSame(saidOf(text), [
    '5:22 error spec.subscriber.uri: must be an absolute http or https URL, found "here"; write http://here',
    '6:3 error spec.brok: unknown field; did you mean broker?',
    '13:5 error metadata.annotations["posthorn.dev/x"]: unknown annotation; known here: posthorn.dev/initial-offset, posthorn.dev/deduplicate, posthorn.dev/verify-with, posthorn.dev/attributes, posthorn.dev/key, posthorn.dev/value-format, posthorn.dev/schemas, posthorn.dev/type-schemas, posthorn.dev/validate-topic',
  ]);
});

t.test('the namespace for manifests that name none is checked where it is used', async (t) => {
  t.strictSame(saidOf(triggerWith(subscriber), { namespace: 'My_Shop' }), [
    '3:1 error metadata.namespace: must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found "My_Shop"',
  ]);
  t.strictSame(
    saidOf(triggerWith(subscriber).replace('orders', 'orders, namespace: shop'), { namespace: 'My_Shop' }),
    [],
  );
});

t.test('the length of names is checked for the prefix that topics have', async (t) => {
  const text = triggerWith(subscriber).replace('orders', 't'.repeat(217));
  t.strictSame(saidOf(text), []);
  t.match(saidOf(text, { prefix: 'eqiad.posthorn' }), [/too long by 6/]);
});
