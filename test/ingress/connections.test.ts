import t from 'tap';
import { Pool, request } from 'undici';
import { until } from '../support/until.ts';
import { eventHeaders, eventLines, openSocket, startIngress } from './start.ts';

const head = `POST / HTTP/1.1\r\nhost: x\r\n${eventLines}`;

t.test('what is not an HTTP request is 400 with a problem', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const wrongs = [
    `${head}content-length: two\r\n\r\nok`,
    `${head}content-length: -2\r\n\r\nok`,
    `${head}content-length: 2\r\ncontent-length: 3\r\n\r\nokk`,
    `${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok`,
    `${head}transfer-encoding: gzip\r\n\r\nok`,
    `${head}transfer-encoding: chunked\r\n\r\nnothex\r\nok\r\n0\r\n\r\n`,
    `${head}no colon here\r\n\r\n`,
    `${head}ce-note: a\nb\x01c\r\ncontent-length: 2\r\n\r\nok`,
    'NOSUCHMETHOD / HTTP/1.1\r\nhost: x\r\n\r\n',
    'POST / HTTP/9.9\r\nhost: x\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  ];
  for (const wrong of wrongs) {
    const client = await openSocket(ingress.port);
    t.teardown(client.destroy);
    client.write(wrong);
    await until(() => client.received().includes('}'), `an answer to ${JSON.stringify(wrong.slice(-60))} comes`);
    t.match(client.received(), /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n/);
    await until(client.isClosed, 'the connection ends');
  }
  t.equal(ingress.log.appends.length, 0);
  t.strictSame(ingress.counted.refused, Array(wrongs.length).fill(' invalid'));
});

t.test('an attribute given twice is refused, in whatever case', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`${head}CE-Id: 2\r\ncontent-length: 2\r\n\r\nok`);
  await until(() => client.received().includes('}'), 'an answer comes');
  t.match(client.received(), /^HTTP\/1\.1 400 [\s\S]*more than once[\s\S]*"attribute":"id"/);
});

t.test('pipelined requests are answered in their order', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.answer = 'wait';
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  const event = (data: string): string => `${head}content-length: ${data.length}\r\n\r\n${data}`;
  client.write(`${event('one')}POST /no/such HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n${event('two')}`);
  await until(() => ingress.log.appends.flatMap((append) => append.values).length === 2, 'both events are appended');
  t.equal(client.received(), '', 'the 404 waits for its turn');
  for (const append of ingress.log.appends) append.resolve();
  await until(() => client.received().match(/HTTP\/1\.1/g)?.length === 3, 'three answers come');
  t.strictSame(client.received().match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 202', 'HTTP/1.1 404', 'HTTP/1.1 202']);
});

t.test('garbage behind a request that waits is not answered in its place', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.answer = 'wait';
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`${head}content-length: 2\r\n\r\nok`);
  await until(() => ingress.log.appends.length === 1, 'the append begins');
  client.write('garbage\r\n\r\n');
  await until(client.isClosed, 'the connection ends');
  t.equal(client.received(), '');
  ingress.log.appends[0]?.resolve();
  await until(() => ingress.counted.accepted.length === 1, 'the event is accepted');
});

t.test('a sender that is slow with its headers or its body is 408', async (t) => {
  const ingress = await startIngress({ limits: { headersTimeoutMs: 100, requestTimeoutMs: 200 } });
  t.teardown(ingress.close);
  const starts = ['', 'POST / HTTP/1.1\r\nhost: x\r\n', `${head}content-length: 100\r\n\r\nsome`];
  const clients = await Promise.all(starts.map(() => openSocket(ingress.port)));
  for (const [n, client] of clients.entries()) {
    t.teardown(client.destroy);
    client.write(starts[n] ?? '');
  }
  for (const client of clients) {
    await until(client.isClosed, 'the connection ends');
    t.match(client.received(), /^HTTP\/1\.1 408 [\s\S]*application\/problem\+json/);
  }
  t.strictSame(ingress.counted.refused, Array(3).fill(' invalid'));
  t.equal(ingress.log.appends.length, 0);
});

t.test('a connection is kept for the next request', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const pool = new Pool(ingress.origin, { connections: 1 });
  t.teardown(() => pool.close());
  let connects = 0;
  pool.on('connect', () => void connects++);
  for (let n = 0; n < 20; n++) {
    const path = n % 2 === 0 ? '/default/default' : '/no/such';
    const answer = await pool.request({ path, method: 'POST', headers: eventHeaders, body: 'x' });
    await answer.body.dump();
    t.equal(answer.statusCode, n % 2 === 0 ? 202 : 404);
  }
  t.equal(connects, 1);
});

t.test('a sender that goes away in the middle of its body leaves nothing', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  client.write(`${head}content-length: 100\r\n\r\nsome`);
  client.destroy();
  const answer = await request(ingress.url, { method: 'POST', headers: eventHeaders, body: 'x' });
  await answer.body.dump();
  t.equal(answer.statusCode, 202);
  t.strictSame(ingress.log.held, ['x']);
});

t.test('close answers what is in flight, closes what is idle, and takes nothing new', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.answer = 'wait';
  const idle = await openSocket(ingress.port);
  const half = await openSocket(ingress.port);
  const used = await openSocket(ingress.port);
  const busy = await openSocket(ingress.port);
  half.write('POST / HTTP/1.1\r\nho');
  used.write('POST /no/such HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n');
  busy.write(`${head}content-length: 2\r\n\r\nok`);
  await until(() => ingress.log.appends.length === 1 && used.received() !== '', 'the append begins');

  let isClosed = false;
  const closing = ingress.ingress.close().then(() => {
    isClosed = true;
  });
  await until(() => idle.isClosed() && half.isClosed() && used.isClosed(), 'idle connections are closed');
  await t.rejects(request(ingress.url, { method: 'POST', headers: eventHeaders, body: 'x' }), { code: 'ECONNREFUSED' });
  busy.write(`${head}content-length: 4\r\n\r\nlate`);
  await until(() => ingress.counted.refused.includes(' closing'), 'a late request is refused');
  t.equal(isClosed, false);
  ingress.log.appends[0]?.resolve();
  await until(busy.isClosed, 'the busy connection is closed');
  t.match(busy.received(), /^HTTP\/1\.1 202 Accepted\r\nconnection: close\r\n/i);
  await closing;
  await ingress.ingress.close();
  t.strictSame(ingress.log.held, ['ok']);
});

t.test('close cuts off what is not ready when its signal aborts', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const slow = await openSocket(ingress.port);
  slow.write(`${head}content-length: 100\r\n\r\nsome`);
  const answer = await request(ingress.url, { method: 'POST', headers: eventHeaders, body: 'x' });
  await answer.body.dump();
  const limit = new AbortController();
  const closing = ingress.ingress.close(limit.signal);
  limit.abort();
  await closing;
  await until(slow.isClosed, 'the slow connection is cut');
});

t.test('an address in use is an error of listen', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const other = await startIngress();
  await other.close();
  await t.rejects(other.ingress.listen({ host: '127.0.0.1', port: ingress.port }), { code: 'EADDRINUSE' });
});
