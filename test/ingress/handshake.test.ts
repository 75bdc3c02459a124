import t from 'tap';
import { request } from 'undici';
import { parseWebhooks } from '../../broker/ingress/webhook/webhooks-file.ts';
import { startIngress } from './start.ts';

const { webhooks } = parseWebhooks(
  'webhooks: [{ path: /crm, verify: { scheme: none }, type: com.example.crm, source: https://crm.example }]',
  new Map(),
);

t.test('OPTIONS allows whoever asks to send, at any rate (CloudEvents webhook 4.2)', async (t) => {
  const ingress = await startIngress({ webhooks });
  t.teardown(ingress.close);
  for (const path of ['/', '/default/default', '/crm']) {
    const answer = await request(`${ingress.origin}${path}`, {
      method: 'OPTIONS',
      headers: { 'WebHook-Request-Origin': 'eventemitter.example.com', 'WebHook-Request-Rate': '120' },
    });
    t.equal(answer.statusCode, 200);
    t.match(answer.headers, {
      allow: 'POST, OPTIONS',
      'webhook-allowed-origin': 'eventemitter.example.com',
      'webhook-allowed-rate': '*',
    });
    t.equal(await answer.body.text(), '');
  }
  t.strictSame(ingress.log.appends, []);
});

t.test('OPTIONS without WebHook-Request-Origin is told the methods alone, of an unknown broker 404', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const plain = await request(ingress.url, { method: 'OPTIONS' });
  t.equal(plain.statusCode, 200);
  t.match(plain.headers, { allow: 'POST, OPTIONS' });
  t.notOk(plain.headers['webhook-allowed-origin'] ?? plain.headers['webhook-allowed-rate']);
  await plain.body.dump();
  const headers = { 'webhook-request-origin': 'eventemitter.example.com' };
  const unknown = await request(`${ingress.origin}/default/none`, { method: 'OPTIONS', headers });
  t.equal(unknown.statusCode, 404);
  t.notOk(unknown.headers['webhook-allowed-origin']);
  t.match(await unknown.body.json(), { detail: /no broker default\/none/ });
});

t.test('a permission comes in at /webhook-callback by GET and by POST (4.1.2)', async (t) => {
  const calls: [string, string | null][] = [];
  const ingress = await startIngress({
    onPermission(key, rate) {
      calls.push([key, rate]);
      return key === 'right' ? (rate === '0' ? 'bad rate' : 'granted') : 'unknown';
    },
  });
  t.teardown(ingress.close);
  const call = async (method: 'GET' | 'POST' | 'PUT', key: string, headers = {}) => {
    const { statusCode, body } = await request(`${ingress.origin}/webhook-callback?key=${key}`, { method, headers });
    return [statusCode, await body.text()];
  };
  t.match(await call('GET', 'right'), [200, /^Thank you/]);
  t.match(await call('POST', 'right', { 'WebHook-Allowed-Rate': '60' }), [200, /^Thank you/]);
  t.match(await call('POST', 'right', { 'webhook-allowed-rate': '0' }), [400, /WebHook-Allowed-Rate must be/]);
  t.match(await call('GET', 'wrong'), [404, /^No permission is waited for/]);
  t.strictSame(calls, [
    ['right', null],
    ['right', '60'],
    ['right', '0'],
    ['wrong', null],
  ]);
  t.match(await call('PUT', 'right'), [404, /no such path/]);
});

t.test('a permission that can not be passed on is answered 500, as an error of ours', async (t) => {
  const ingress = await startIngress({ onPermission: () => Promise.reject(new Error('the other process is gone')) });
  t.teardown(ingress.close);
  const answer = await request(`${ingress.origin}/webhook-callback?key=any`, { method: 'POST' });
  t.equal(answer.statusCode, 500);
  t.match(await answer.body.json(), { detail: /the other process is gone/ });
  t.strictSame(ingress.counted.refused, [' internal']);
});
