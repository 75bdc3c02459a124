import t from 'tap';
import { refuse } from '../../console/guard.ts';

const local = { host: 'localhost:8081' };

function answers(remoteAddress: string, headers: Record<string, string>, token: string | null = null): number {
  return refuse({ remoteAddress, headers }, token)?.status ?? 200;
}

t.test('a program on this machine is answered', async (t) => {
  for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) t.equal(answers(address, local), 200);
  for (const host of ['127.0.0.1', '127.0.0.1:8081', '[::1]:8081', 'LOCALHOST']) {
    t.equal(answers('127.0.0.1', { host }), 200, host);
  }
});

t.test('another machine is refused, and told how to be let in', async (t) => {
  for (const address of ['10.0.0.9', '::ffff:10.0.0.9', '2001:db8::1', '']) {
    t.equal(answers(address, local), 403, address);
  }
  t.match(refuse({ remoteAddress: '10.0.0.9', headers: local }, null)?.detail, /--admin-token-file/);
});

t.test('another machine needs the token where there is one', async (t) => {
  t.equal(answers('10.0.0.9', local, 'secret'), 401);
  t.equal(answers('10.0.0.9', { ...local, authorization: 'Bearer secret' }, 'secret'), 200);
  t.equal(answers('10.0.0.9', { host: 'posthorn.example', authorization: 'bearer secret' }, 'secret'), 200);
  t.equal(answers('10.0.0.9', { ...local, authorization: 'Bearer wrong' }, 'secret'), 401);
  t.equal(answers('10.0.0.9', { ...local, authorization: 'Basic secret' }, 'secret'), 401);
  t.equal(answers('127.0.0.1', { ...local, authorization: 'Bearer wrong' }, 'secret'), 401, 'a wrong one anywhere');
  t.equal(answers('127.0.0.1', local, 'secret'), 200, 'this machine needs none');
});

t.test('a name that a page had resolved to this machine is refused (DNS rebinding)', async (t) => {
  for (const host of ['evil.example', 'evil.example:8081', 'localhost.evil.example', '127.0.0.1.evil.example']) {
    t.equal(answers('127.0.0.1', { host }), 403, host);
  }
  t.equal(refuse({ remoteAddress: '127.0.0.1', headers: {} }, null)?.status, 403, 'no Host at all');
});

t.test('a page of another site is refused', async (t) => {
  t.equal(answers('127.0.0.1', { ...local, origin: 'http://localhost:8081' }), 200, 'its own page');
  for (const origin of ['https://evil.example', 'null', 'http://localhost:3000', 'https://localhost:8081']) {
    t.equal(answers('127.0.0.1', { ...local, origin }), 403, origin);
  }
  t.equal(answers('127.0.0.1', { ...local, 'sec-fetch-site': 'cross-site' }), 403);
  t.equal(answers('127.0.0.1', { ...local, 'sec-fetch-site': 'same-site' }), 403);
  t.equal(answers('127.0.0.1', { ...local, 'sec-fetch-site': 'none' }), 200);
});

t.test('who comes through a proxy on this machine is not on this machine', async (t) => {
  t.equal(answers('127.0.0.1', { ...local, 'x-forwarded-for': '10.0.0.9' }), 403);
  t.equal(answers('127.0.0.1', { ...local, forwarded: 'for=10.0.0.9' }), 403);
  const authorized = { ...local, 'x-forwarded-for': '10.0.0.9', authorization: 'Bearer secret' };
  t.equal(answers('127.0.0.1', authorized, 'secret'), 200);
});
