import { request } from 'node:http';
import t from 'tap';
import { brokerText, triggerText } from '../registry/setup.ts';
import { serveAdmin } from './setup.ts';

t.test('health, readiness with its reasons, and metrics', async (t) => {
  const served = await serveAdmin(t);
  const health = await fetch(`${served.url}/healthz`);
  t.strictSame([health.status, await health.text()], [200, 'ok\n']);
  t.strictSame(await read(served.url, '/readyz'), [200, { ready: true, reasons: [] }]);
  served.readiness = { ready: false, reasons: ['the log is away'] };
  t.strictSame(await read(served.url, '/readyz'), [503, { ready: false, reasons: ['the log is away'] }]);
  const metrics = await fetch(`${served.url}/metrics`);
  t.match(metrics.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  t.match(await metrics.text(), /^posthorn_build_info\{/m);
});

t.test('a manifest is applied, shown, and deleted', async (t) => {
  const { url } = await serveAdmin(t);
  const [status, applied] = await send(
    url,
    '/api/v1/apply?owner=shop',
    triggerText('orders', { type: 'order.created' }),
  );
  t.strictSame(
    [status, applied],
    [200, { changes: [{ kind: 'Trigger', namespace: 'default', name: 'orders', action: 'created' }], problems: [] }],
  );
  const [, trigger] = await read(url, '/api/v1/namespaces/default/triggers/orders');
  t.match(trigger, {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: { name: 'orders', namespace: 'default', generation: 1, uid: /^[0-9a-f-]{36}$/ },
    spec: { filter: { attributes: { type: 'order.created' } } },
    status: {
      owner: 'shop',
      observedGeneration: 1,
      subscriberUri: 'http://handler.example/',
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  t.match(await read(url, '/api/v1/triggers'), [
    200,
    { kind: 'TriggerList', items: [{ metadata: { name: 'orders' } }] },
  ]);
  t.match(await read(url, '/api/v1/namespaces/default/triggers'), [200, { items: [{}] }]);
  t.strictSame(((await read(url, '/api/v1/namespaces/other/triggers'))[1] as { items: unknown[] }).items, []);
  t.match(await read(url, '/api/v1/namespaces/default/brokers'), [
    200,
    {
      items: [
        { metadata: { name: 'default' }, status: { topic: 'posthorn.default.default', triggers: 1, owner: null } },
      ],
    },
  ]);

  const path = '/api/v1/namespaces/default/triggers/orders';
  t.match(await send(url, path, null, { method: 'DELETE' }), [409, { code: 'OWNED_BY_ANOTHER' }]);
  t.match(await send(url, `${path}?owner=shop&dryRun`, null, { method: 'DELETE' }), [
    200,
    { changes: [{ action: 'deleted' }] },
  ]);
  t.match(await read(url, path), [200, {}], 'a dry run deletes nothing');
  t.match(await send(url, `${path}?owner=shop`, null, { method: 'DELETE' }), [200, {}]);
  t.match(await read(url, path), [404, { code: 'TRIGGER_UNKNOWN', detail: 'no trigger default/orders' }]);
});

t.test('what the API shows can be applied again and changes nothing', async (t) => {
  const { url } = await serveAdmin(t);
  await send(url, '/api/v1/apply', `${brokerText('shop')}---\n${triggerText('a', { broker: 'shop' })}`);
  for (const kind of ['triggers/a', 'brokers/shop']) {
    const [, resource] = await read(url, `/api/v1/namespaces/default/${kind}`);
    const options = { type: 'application/json' };
    const [status, answer] = await send(url, '/api/v1/apply', JSON.stringify(resource), options);
    t.match([status, answer], [200, { changes: [{ action: 'unchanged' }], problems: [] }], kind);
  }
});

t.test('a bad manifest is refused with its place, and nothing of the request is applied', async (t) => {
  const { url } = await serveAdmin(t);
  const files = [
    { file: 'good.yaml', text: triggerText('good') },
    { file: 'bad.yaml', text: triggerText('bad').replace('uri:', 'url:') },
  ];
  const options = { type: 'application/vnd.posthorn.files+json' };
  const [status, answer] = await send(url, '/api/v1/apply', JSON.stringify({ files }), options);
  t.equal(status, 422);
  t.match(answer, { title: 'Unprocessable Entity', status: 422, code: 'APPLY_REFUSED' });
  const { problems } = answer as { problems: { file: string; line: number; field: string }[] };
  t.ok(problems.some(({ file, line, field }) => file === 'bad.yaml' && line === 7 && field === 'spec.subscriber.url'));
  t.match(await read(url, '/api/v1/namespaces/default/triggers/good'), [404, {}]);
});

t.test('namespace, prune and owner of a request', async (t) => {
  const { url } = await serveAdmin(t);
  const shop = `${brokerText('default')}---\n${triggerText('a')}---\n${triggerText('b')}`;
  t.match(await send(url, '/api/v1/apply?namespace=shop', shop), [200, {}]);
  t.match(await send(url, '/api/v1/apply?namespace=shop&prune=true', triggerText('a')), [
    200,
    {
      changes: [
        { name: 'a', action: 'unchanged' },
        { namespace: 'shop', name: 'b', action: 'deleted' },
      ],
    },
  ]);
  const comment = '# nothing here\n';
  t.match(await send(url, '/api/v1/apply?prune=true', comment), [422, { code: 'PRUNE_EMPTY' }]);
  t.match(await send(url, '/api/v1/apply?prune=true&allowEmpty=true', comment), [200, { changes: [{ name: 'a' }] }]);
});

t.test('a request that makes no sense says what would', async (t) => {
  const { url } = await serveAdmin(t);
  const text = triggerText('a');
  t.match(await send(url, '/api/v1/apply?dryrun=true', text), [
    400,
    { detail: /unknown parameter dryrun; did you mean dryRun/ },
  ]);
  t.match(await send(url, '/api/v1/apply?prune=yes', text), [400, { detail: /prune is true or false/ }]);
  t.match(await send(url, '/api/v1/apply?owner=a&owner=b', text), [400, { detail: /more than once/ }]);
  t.match(await send(url, '/api/v1/apply?owner=%0aforged', text), [400, { detail: /owner is/ }]);
  t.match(await send(url, '/api/v1/apply', text, { type: 'image/png' }), [415, {}]);
  t.match(await send(url, '/api/v1/apply', '{"files": 1}', { type: 'application/vnd.posthorn.files+json' }), [400, {}]);
  t.match(await send(url, '/api/v1/apply', '{', { type: 'application/vnd.posthorn.files+json' }), [400, {}]);
  t.match(await send(url, '/api/v1/apply', 'x'.repeat(33 * 1_048_576)), [413, {}]);
  t.match(await send(url, '/api/v1/namespaces/default/brokers/default', null, { method: 'DELETE' }), [501, {}]);
  t.match(await read(url, '/api/v1/namespaces/default/brokers/none'), [404, { code: 'BROKER_UNKNOWN' }]);
  const missing = await fetch(`${url}/api/v2/triggers`);
  t.equal(missing.status, 404);
  t.match(missing.headers.get('content-type'), /^application\/problem\+json/);
});

t.test('a browser is refused whatever page it shows; health and metrics are for everyone', async (t) => {
  const { url } = await serveAdmin(t);
  t.equal(await statusOf(url, '/api/v1/triggers', { host: 'evil.example' }), 403);
  t.equal(await statusOf(url, '/api/v1/apply', { origin: 'http://evil.example' }, 'POST'), 403);
  t.equal(await statusOf(url, '/healthz', { host: 'posthorn.example' }), 200);
  t.equal(await statusOf(url, '/metrics', { host: 'posthorn.example' }), 200);
});

async function read(url: string, path: string): Promise<[number, unknown]> {
  const response = await fetch(url + path);
  return [response.status, await response.json()];
}

async function send(
  url: string,
  path: string,
  body: string | null,
  { method = 'POST', type = 'application/yaml' } = {},
): Promise<[number, unknown]> {
  const headers: Record<string, string> = body === null ? {} : { 'content-type': type };
  const response = await fetch(url + path, { method, body, headers });
  return [response.status, await response.json()];
}

/** By node:http, which lets a Host and an Origin be sent that are not the real ones. */
function statusOf(url: string, path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end();
  });
}
