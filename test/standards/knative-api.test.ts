import t from 'tap';
import { passes } from '../../broker/filter/match.ts';
import { brokerFromManifest, parseManifests, triggerFromManifest } from '../../broker/trigger/manifest.ts';
import {
  type Broker,
  type DeliveryPolicy,
  defaultDelivery,
  type Manifest,
  type Trigger,
} from '../../broker/trigger/trigger.ts';
import { backoffMs, retryAfterMs } from '../../dispatcher/decide.ts';
import type { Outcome } from '../../dispatcher/fate.ts';
import { testEvent } from '../support/events.ts';
import { embeddedUnderTest } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { deliveryWith, saidOf, triggerWith } from '../trigger/said-of.ts';

/**
 * The rules of Knative's control plane contract (knative/specs, specs/eventing/control-plane.md) that reach the data
 * plane, and of the newer fields of its API (knative/eventing, DeliverySpec and Trigger), each as a test named by its
 * section. docs/knative.md names these tests.
 */

function manifestOf(text: string): Manifest {
  const { documents, problems } = parseManifests(text, 'file.yaml');
  const [document] = documents;
  if (document === undefined) throw new Error(JSON.stringify(problems));
  return document.manifest;
}

function triggerOf(text: string, broker: Broker | null = null): Omit<Trigger, 'laneSpans'> {
  return triggerFromManifest(manifestOf(text), { uid: 'u', generation: 1, owner: 'o', namespace: 'default' }, broker);
}

function deliveryOf(lines: string): DeliveryPolicy {
  return triggerOf(deliveryWith(lines)).delivery;
}

function brokerOf(delivery: string): Broker {
  const text = `apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: { name: default }\nspec: { delivery: ${delivery} }\n`;
  return brokerFromManifest(manifestOf(text), 'default');
}

function subscriberOf(destination: string): string {
  return triggerOf(triggerWith(`  subscriber: ${destination}`)).subscriberUri;
}

/** How the delays before the first four retries grow. */
function delaysOf(lines: string): number[] {
  const policy = deliveryOf(lines);
  return [1, 2, 3, 4].map((attempt) => backoffMs(attempt, policy, 0.9));
}

t.test('Control plane, Destination Resolution: a Service is its DNS name in the cluster', async (t) => {
  const ref = 'apiVersion: v1, kind: Service, name: test';
  t.equal(subscriberOf(`{ ref: { ${ref} } }`), 'http://test.default.svc.cluster.local/');
  t.equal(subscriberOf(`{ ref: { ${ref}, namespace: shop } }`), 'http://test.shop.svc.cluster.local/');
  const knative = 'apiVersion: serving.knative.dev/v1, kind: Service, name: test';
  t.equal(subscriberOf(`{ ref: { ${knative} } }`), 'http://test.default.svc.cluster.local/');
});

t.test('Control plane, Destination Resolution: a uri beside a ref is relative to it', async (t) => {
  const ref = 'ref: { apiVersion: v1, kind: Service, name: test }';
  const base = 'http://test.default.svc.cluster.local';
  const paths = { '/update': '/update', update: '/update', 'a/../b': '/b', '?c=d': '/?c=d' };
  for (const [uri, path] of Object.entries(paths)) {
    t.equal(subscriberOf(`{ ${ref}, uri: "${uri}" }`), `${base}${path}`, uri);
  }
  t.match(saidOf(triggerWith(`  subscriber: { ${ref}, uri: "http://other/" }`)), [/must be a path/]);
});

t.test('Control plane, Destination Resolution: what can not be resolved is an error', async (t) => {
  const kinds = ['{ apiVersion: eventing.knative.dev/v1, kind: Broker, name: b }', '{ apiVersion: v1, kind: Service }'];
  for (const ref of kinds) {
    t.match(saidOf(triggerWith(`  subscriber: { ref: ${ref} }`)), [/ error spec\.subscriber\.ref/], ref);
  }
  t.match(saidOf(triggerWith('  subscriber: { uri: /relative }')), [/must be an absolute http or https URL/]);
  t.match(saidOf(triggerWith('  subscriber: {}')), [/must have a uri .* or a ref/]);
});

t.test('Control plane, DeliverySpec: retry is how often an event is tried again', async (t) => {
  t.equal(deliveryOf('    retry: 0').attemptsMax, 1);
  t.equal(deliveryOf('    retry: 5').attemptsMax, 6);
  t.match(saidOf(deliveryWith('    retry: -1')), [/spec\.delivery\.retry/]);
});

t.test('Control plane, DeliverySpec: backoffDelay is the first delay, in ISO 8601', async (t) => {
  for (const [text, ms] of Object.entries({ 'PT0.2S': 200, PT2S: 2_000, PT1M30S: 90_000, P1D: 86_400_000 })) {
    t.equal(delaysOf(`    backoffDelay: ${text}`)[0], ms, text);
  }
  for (const text of ['2s', '2', 'PT', 'P-1D']) {
    t.match(saidOf(deliveryWith(`    backoffDelay: "${text}"`)), [/must be an ISO 8601 duration/], text);
  }
});

t.test('Control plane, DeliverySpec: backoffPolicy says how the delays grow', async (t) => {
  const delay = '    backoffDelay: PT1S';
  t.strictSame(delaysOf(`${delay}\n    backoffPolicy: exponential`), [1_000, 2_000, 4_000, 8_000]);
  t.strictSame(delaysOf(`${delay}\n    backoffPolicy: linear`), [1_000, 2_000, 3_000, 4_000]);
  t.match(saidOf(deliveryWith('    backoffPolicy: constant')), [/linear or exponential|linear, exponential/]);
});

t.test('Knative API, DeliverySpec: timeout bounds one attempt', async (t) => {
  t.equal(deliveryOf('    timeout: PT5S').timeoutMs, 5_000);
  t.equal(deliveryOf('    {}').timeoutMs, defaultDelivery.timeoutMs);
  t.match(saidOf(deliveryWith('    timeout: PT0S')), [/spec\.delivery\.timeout/]);
});

t.test('Knative API, DeliverySpec: retryAfterMax bounds the Retry-After of a 429 or 503', async (t) => {
  const afterMs = (lines: string, status: number, value = '120'): number => {
    const headers = ['retry-after', value];
    const outcome: Outcome = { kind: 'answered', status, headers, body: Buffer.alloc(0), truncated: false };
    return retryAfterMs(outcome, deliveryOf(lines), Date.parse('2026-01-31T12:00:00Z'));
  };
  t.equal(afterMs('    {}', 503), 120_000, 'without it, as it is');
  t.equal(afterMs('    {}', 429, 'Sat, 31 Jan 2026 12:01:00 GMT'), 60_000, 'a date');
  t.equal(afterMs('    retryAfterMax: PT1M', 503), 60_000, 'bounded');
  t.equal(afterMs('    retryAfterMax: PT10M', 429), 120_000, 'within the bound');
  t.equal(afterMs('    retryAfterMax: PT0S', 503), 0, 'PT0S ignores it');
  for (const status of [408, 500, 502, 504]) t.equal(afterMs('    {}', status), 0, `${status} has none`);
});

t.test('Knative API, DeliverySpec: format is binary or json', async (t) => {
  t.equal(deliveryOf('    format: json').format, 'json');
  t.equal(deliveryOf('    format: binary').format, 'binary');
  t.equal(deliveryOf('    {}').format, 'binary');
  t.match(saidOf(deliveryWith('    format: xml')), [/spec\.delivery\.format/]);
});

t.test('Control plane, DeliverySpec: deadLetterSink is a Destination', async (t) => {
  const ref = '{ ref: { apiVersion: v1, kind: Service, name: dead }, uri: /letters }';
  t.equal(deliveryOf(`    deadLetterSink: ${ref}`).deadLetterSinkUri, 'http://dead.default.svc.cluster.local/letters');
  t.equal(deliveryOf('    deadLetterSink: { uri: http://dead/ }').deadLetterSinkUri, 'http://dead/');
  t.match(saidOf(deliveryWith('    deadLetterSink: { uri: dead }')), [/spec\.delivery\.deadLetterSink\.uri/]);
});

t.test("Control plane, Broker: its delivery is its triggers' default, and is replaced whole", async (t) => {
  const broker = brokerOf('{ retry: 2, backoffDelay: PT3S, timeout: PT5S, deadLetterSink: { uri: http://dead/ } }');
  const subscriber = "  subscriber: { uri: 'http://orders/' }";
  t.strictSame(triggerOf(triggerWith(subscriber), broker).delivery, broker.delivery);
  const own = triggerOf(deliveryWith('    retry: 7'), broker).delivery;
  t.match(own, { attemptsMax: 8, timeoutMs: defaultDelivery.timeoutMs, deadLetterSinkUri: null });
  const empty = triggerOf(deliveryWith('    {}'), broker).delivery;
  t.match(empty, { attemptsMax: defaultDelivery.attemptsMax, deadLetterSinkUri: null });
});

t.test('Control plane, TriggerFilter: every attribute is there and equal, and "" is equal to any', async (t) => {
  const passesAll = (filter: string, attributes: Record<string, string>): boolean => {
    const { filters } = triggerOf(triggerWith(`  subscriber: { uri: http://a/ }\n  filter: { attributes: ${filter} }`));
    return passes(filters, testEvent({ type: 'a', ext: 'X', ...attributes }));
  };
  t.ok(passesAll('{ type: a }', {}));
  t.ok(passesAll('{ type: a, ext: X }', {}));
  t.notOk(passesAll('{ type: a, ext: x }', {}), 'case counts');
  t.notOk(passesAll('{ type: b, ext: X }', {}), 'all have to match');
  t.notOk(passesAll('{ subject: s }', {}), 'it has to be there');
  t.ok(passesAll('{ ext: "" }', {}));
  t.notOk(passesAll('{ subject: "" }', {}), 'to be equal to any it has to be there too');
  t.ok(passesAll('{}', {}), 'no attributes let all pass');
});

t.test('Control plane, Trigger Lifecycle: what is resolved is reported, and the broker is fixed', async (t) => {
  const posthorn = await startPosthorn((await embeddedUnderTest(t)).args);
  t.teardown(() => posthorn.kill());
  const delivery = '{ deadLetterSink: { ref: { apiVersion: v1, kind: Service, name: dead } } }';
  const broker = (name: string): string =>
    `apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: { name: ${name} }\nspec: { delivery: ${delivery} }\n`;
  const trigger = triggerYaml('orders', 'http://orders:8080/a', { delivery });
  await applyTo(posthorn.adminUrl, broker('default'), broker('other'), trigger);

  const statusOf = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${posthorn.adminUrl}/api/v1/${path}`);
    return ((await answer.json()) as { status: Record<string, unknown> }).status;
  };
  const deadLetterSinkUri = 'http://dead.default.svc.cluster.local/';
  const conditions = [{ type: 'Ready', status: 'True' }];
  const subscriberUri = 'http://orders:8080/a';
  t.match(await statusOf('namespaces/default/triggers/orders'), { subscriberUri, deadLetterSinkUri, conditions });
  t.match(await statusOf('namespaces/default/brokers/default'), { deadLetterSinkUri, conditions });

  await t.rejects(applyTo(posthorn.adminUrl, trigger.replace('broker: default', 'broker: other')), /fixed once set/);
  await t.rejects(
    applyTo(posthorn.adminUrl, trigger.replace('broker: default', 'broker: none')),
    /no broker default\/none/,
  );
  await applyTo(posthorn.adminUrl, triggerYaml('orders', 'http://orders:8080/b'));
  t.match(await statusOf('namespaces/default/triggers/orders'), { subscriberUri: 'http://orders:8080/b' });
});
