import t from 'tap';
import { type Case, deliveryWith, filtersWith, saidOf, triggerWith } from './said-of.ts';

const subscriber = "  subscriber: { uri: 'http://orders:8080/' }";

const subscribers: readonly Case[] = [
  {
    name: 'no spec',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: { name: orders }\n',
    said: ['1:1 error spec: missing; a Trigger needs at least a subscriber'],
  },
  {
    name: 'a subscriber that is only a URL',
    text: triggerWith('  subscriber: http://orders/'),
    said: ['5:15 error spec.subscriber: must be an object, found "http://orders/"'],
  },
  {
    name: 'a subscriber without anything',
    text: triggerWith('  subscriber: {}'),
    said: ['5:3 error spec.subscriber: must have a uri (http://… or https://…) or a ref to a Service'],
  },
  ...(
    [
      [
        'localhost:8080/x',
        'must be an absolute http or https URL, found "localhost:8080/x"; write http://localhost:8080/x',
      ],
      ['ftp://host/', 'must be an absolute http or https URL, found "ftp://host/"'],
      ['/path', 'must be an absolute http or https URL, found "/path"'],
      ['', 'must be an absolute http or https URL, found ""'],
      ['http://', 'must be an absolute http or https URL, found "http://"'],
      ['http:host', 'must be an absolute http or https URL, found "http:host"'],
      ['http:///host', 'must be an absolute http or https URL, found "http:///host"'],
      ['http://host:99999/', 'is not a URL that can be called: "http://host:99999/"'],
      ['http://[::1/', 'is not a URL that can be called: "http://[::1/"'],
      ['http://me:secret@host/', 'must be an absolute http or https URL without a user name or password'],
      ['http://host/#part', 'must have no fragment (#…), found "http://host/#part"'],
      ['http://host/a b', 'must have no spaces or control characters, found "http://host/a b"'],
      [`http://host/${'x'.repeat(8_192)}`, 'has 8204 characters, at most 8192 are taken'],
    ] as const
  ).map(([uri, message]) => ({
    name: `the uri ${uri.slice(0, 40)}`,
    text: triggerWith(`  subscriber: { uri: '${uri}' }`),
    said: [`5:22 error spec.subscriber.uri: ${message}`],
  })),
  {
    name: 'certificates and audience have no effect',
    text: triggerWith("  subscriber: { uri: 'http://orders/', CACerts: x, audience: z }"),
    said: [
      '5:40 warning spec.subscriber.CACerts: no effect here: trusted are the certificates that Node.js trusts, NODE_EXTRA_CA_CERTS adds more',
      '5:52 warning spec.subscriber.audience: no effect here: no OIDC tokens are sent',
    ],
  },
  {
    name: 'a ref without anything',
    text: triggerWith('  subscriber: { ref: {} }'),
    said: [
      '5:17 error spec.subscriber.ref.name: missing; must be the name of the Service',
      '5:17 error spec.subscriber.ref.kind: missing; must be Service',
      '5:17 error spec.subscriber.ref.apiVersion: missing; must be v1 (Kubernetes) or serving.knative.dev/v1 (Knative)',
    ],
  },
  {
    name: 'a ref to what has no address here',
    text: triggerWith(
      '  subscriber: { ref: { kind: InMemoryChannel, name: x, apiVersion: messaging.knative.dev/v1 } }',
    ),
    said: [
      '5:30 error spec.subscriber.ref.kind: the address of a "InMemoryChannel" can\'t be looked up here; give it as uri, or refer to a Service',
    ],
  },
  {
    name: 'a ref with mistakes in each field',
    text: triggerWith('  subscriber: { ref: { kind: service, name: X, apiVersion: apps/v1, nmespace: y } }'),
    said: [
      '5:30 error spec.subscriber.ref.kind: must be Service, found "service"',
      '5:45 error spec.subscriber.ref.name: must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found "X"',
      '5:69 error spec.subscriber.ref.nmespace: unknown field; did you mean namespace?',
    ],
  },
  {
    name: 'a Service of neither Kubernetes nor Knative',
    text: triggerWith('  subscriber: { ref: { kind: Service, name: x, apiVersion: example.com/v1 } }'),
    said: [
      '5:60 error spec.subscriber.ref.apiVersion: must be v1 (Kubernetes) or serving.knative.dev/v1 (Knative) for a Service, found "example.com/v1"',
    ],
  },
  {
    name: 'a group that is not that of the apiVersion',
    text: triggerWith('  subscriber: { ref: { kind: Service, name: x, apiVersion: v1, group: serving.knative.dev } }'),
    said: ['5:71 error spec.subscriber.ref.group: is "serving.knative.dev", but apiVersion is "v1"; leave out group'],
  },
  ...['http://host/', '//host/path', 'mailto:me'].map((uri) => ({
    name: `${uri} beside a ref`,
    text: triggerWith(`  subscriber: { uri: '${uri}', ref: { kind: Service, name: x, apiVersion: v1 } }`),
    said: [
      `5:22 error spec.subscriber.uri: must be a path (relative) where ref is given, found "${uri}"; leave out one of the two`,
    ],
  })),
  {
    name: 'a broker named twice, and in another namespace',
    text: triggerWith(
      `${subscriber}\n  broker: a\n  brokerRef: { kind: Brokr, name: b, apiVersion: v1, namespace: other }`,
    ),
    said: [
      '7:3 error spec.brokerRef: given beside spec.broker; leave out one of the two',
      '7:22 error spec.brokerRef.kind: must be Broker, found "Brokr"',
      '7:50 error spec.brokerRef.apiVersion: must be eventing.knative.dev/v1, found "v1"',
      '7:65 error spec.brokerRef.namespace: must be the trigger\'s own namespace "default", found "other"',
    ],
  },
  {
    name: 'the config of a Broker has no effect',
    text: 'apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: { name: shop }\nspec:\n  config: { kind: ConfigMap, name: x, apiVersion: v1 }\n',
    said: ["5:3 warning spec.config: no effect here: topics are set up by Posthorn's own configuration"],
  },
];

const deliveries: readonly Case[] = [
  {
    name: 'every field of a delivery wrong',
    text: deliveryWith(`    retry: "3"
    timeout: 10
    backoffPolicy: exponental
    backoffDelay: 10s
    retryAfterMax: -PT1S
    format: JSON
    deadletterSink: { uri: 'http://dead/' }`),
    said: [
      '7:12 error spec.delivery.retry: must be a whole number from 0 to 2147483647, found the string "3"; write 3 without quotes',
      '8:14 error spec.delivery.timeout: must be an ISO 8601 duration, found the number 10; write PT10S',
      '9:20 error spec.delivery.backoffPolicy: must be linear or exponential, found "exponental"; did you mean exponential?',
      '10:19 error spec.delivery.backoffDelay: must be an ISO 8601 duration, found "10s"; write PT10S',
      '11:20 error spec.delivery.retryAfterMax: must be an ISO 8601 duration, found "-PT1S"; PT10S is ten seconds, P1DT2H a day and two hours',
      '12:13 error spec.delivery.format: must be binary or json, found "JSON"; did you mean json?',
      '13:5 error spec.delivery.deadletterSink: unknown field; did you mean deadLetterSink?',
    ],
  },
  ...(
    [
      ['-1', 'found the number -1'],
      ['1.5', 'found the number 1.5'],
      ['2147483648', 'found the number 2147483648'],
      ['many', 'found "many"'],
      ['true', 'found the boolean true'],
      ['[3]', 'found a list'],
      ['.inf', 'found the number Infinity'],
    ] as const
  ).map(([retry, found]) => ({
    name: `retry: ${retry}`,
    text: deliveryWith(`    retry: ${retry}`),
    said: [`7:12 error spec.delivery.retry: must be a whole number from 0 to 2147483647, ${found}`],
  })),
  {
    name: 'a number that YAML 1.1 reads as another',
    text: deliveryWith('    retry: 010'),
    said: [
      '7:12 error spec.delivery.retry: must be a whole number from 0 to 2147483647, but Kubernetes reads 010 as octal; write 10',
    ],
  },
  ...(
    [
      ['PT0S', 'must be from PT0.001S to P1D, found "PT0S"'],
      ['P1DT1S', 'must be from PT0.001S to P1D, found "P1DT1S"'],
      ['P1Y', 'must be an ISO 8601 duration, found "P1Y"; PT10S is ten seconds, P1DT2H a day and two hours'],
      ['pt5s', 'must be an ISO 8601 duration, found "pt5s"; write PT5S'],
      ['1h30m', 'must be an ISO 8601 duration, found "1h30m"; write PT1H30M'],
    ] as const
  ).map(([timeout, message]) => ({
    name: `timeout: ${timeout}`,
    text: deliveryWith(`    timeout: ${timeout}`),
    said: [`7:14 error spec.delivery.timeout: ${message}`],
  })),
  {
    name: 'a delay that outlasts the events',
    text: deliveryWith('    backoffDelay: P8D'),
    said: ['7:19 error spec.delivery.backoffDelay: must be from PT0.001S to P7D, found "P8D"'],
  },
  {
    name: 'a dead letter sink without an address',
    text: deliveryWith('    deadLetterSink: { uri: dead }'),
    said: [
      '7:28 error spec.delivery.deadLetterSink.uri: must be an absolute http or https URL, found "dead"; write http://dead',
    ],
  },
];

const filters: readonly Case[] = [
  {
    name: 'a mistyped dialect',
    text: filtersWith('    - exat: { type: a }'),
    said: ['7:7 error spec.filters[0].exat: unknown field; did you mean exact?'],
  },
  {
    name: 'a dialect that does not exist',
    text: filtersWith('    - regex: { type: a }'),
    said: ['7:7 error spec.filters[0].regex: unknown field; known here: exact, prefix, suffix, all, any, not, cesql'],
  },
  {
    name: 'two dialects in one filter',
    text: filtersWith('    - exact: { type: a }\n      prefix: { source: b }'),
    said: [
      '8:7 error spec.filters[0].prefix: a filter has one dialect, here are exact and prefix; put each in its own, under all',
    ],
  },
  {
    name: 'filters of nothing',
    text: filtersWith('    - {}\n    -\n    - exact: {}\n    - all: []\n    - any: []\n    - not: {}'),
    said: [
      '6:3 error spec.filters[1]: must have one of exact, prefix, suffix, all, any, not, cesql, found nothing',
      '7:7 error spec.filters[0]: must have one of exact, prefix, suffix, all, any, not, cesql',
      '9:14 error spec.filters[2].exact: must name at least one attribute, like type: com.example.created',
      '10:12 error spec.filters[3].all: must have at least one filter',
      '11:12 error spec.filters[4].any: must have at least one filter',
      '12:12 error spec.filters[5].not: must have one of exact, prefix, suffix, all, any, not, cesql',
    ],
  },
  {
    name: 'filters of the wrong types',
    text: filtersWith('    - exact: type\n    - all: { exact: { type: a } }\n    - not: [a]\n    - a'),
    said: [
      '7:14 error spec.filters[0].exact: must be an object, found "type"',
      '8:12 error spec.filters[1].all: must be a list, found an object',
      '9:12 error spec.filters[2].not: must be an object, found a list',
      '10:7 error spec.filters[3]: must be an object, found "a"',
    ],
  },
  {
    name: 'filters that are no list',
    text: filtersWith('    exact: { type: a }'),
    said: ['7:5 error spec.filters: must be a list, found an object'],
  },
  {
    name: 'attributes that no event has',
    text: filtersWith("    - exact: { Type: a, ce-source: b, my_ext: c, data: d, '': e, ce_sorce: f }"),
    said: [
      '7:16 error spec.filters[0].exact.Type: the name of an attribute has lower-case letters and digits only; write type',
      '7:25 error spec.filters[0].exact.ce-source: the name of an attribute has lower-case letters and digits only; write source',
      '7:39 error spec.filters[0].exact.my_ext: the name of an attribute has lower-case letters and digits only; write myext',
      '7:50 error spec.filters[0].exact.data: data is not an attribute; filters see the attributes only, the annotation posthorn.dev/data-filter sees the data',
      '7:59 error spec.filters[0].exact[""]: the name of an attribute has lower-case letters and digits only',
      '7:66 error spec.filters[0].exact.ce_sorce: the name of an attribute has lower-case letters and digits only; write source',
    ],
  },
  {
    name: 'values that YAML does not read as the strings they look like',
    text: filtersWith('    - prefix: { a: yes, b: On, c: 1.10, d: 0x1F, e: true, f: null, g: [x], h: "" }'),
    said: [
      '7:20 error spec.filters[0].prefix.a: must be a string, but Kubernetes reads yes as a boolean; write "yes"',
      '7:28 error spec.filters[0].prefix.b: must be a string, but Kubernetes reads On as a boolean; write "On"',
      '7:35 error spec.filters[0].prefix.c: must be a string, found the number 1.1; write "1.10"',
      '7:44 error spec.filters[0].prefix.d: must be a string, found the number 31; write "0x1F"',
      '7:53 error spec.filters[0].prefix.e: must be a string, found the boolean true; write "true"',
      '7:62 error spec.filters[0].prefix.f: must be a string, found nothing; write "" for an empty one',
      '7:71 error spec.filters[0].prefix.g: must be a string, found a list',
      '7:79 error spec.filters[0].prefix.h: must not be empty; filter.attributes takes "" for any value',
    ],
  },
  {
    name: 'filter beside filters',
    text: triggerWith(`${subscriber}
  filter: { attributes: { type: a } }
  filters: [{ exact: { type: b } }]`),
    said: ['6:3 warning spec.filter: no effect: spec.filters is given too, and that counts'],
  },
  {
    name: 'filter without attributes',
    text: triggerWith(`${subscriber}\n  filter: { type: a }`),
    said: ['6:13 error spec.filter.type: unknown field; known here: attributes'],
  },
  {
    name: 'filters nested more than 32 deep',
    text: filtersWith(`    - ${'{ not: '.repeat(32)}{ exact: { type: a } }${' }'.repeat(32)}`),
    said: [`7:231 error spec.filters[0]${'.not'.repeat(32)}: filters are nested more than 32 deep`],
  },
];

for (const [group, cases] of Object.entries({ subscribers, deliveries, filters })) {
  t.test(`what is wrong in spec is named with its place, and what would be right: ${group}`, async (t) => {
    for (const { name, text, said } of cases) t.strictSame(saidOf(text), said, name);
  });
}

t.test('filters nested 32 deep are read', async (t) => {
  t.strictSame(saidOf(filtersWith(`    - ${'{ not: '.repeat(31)}{ exact: { type: a } }${' }'.repeat(31)}`)), []);
});
