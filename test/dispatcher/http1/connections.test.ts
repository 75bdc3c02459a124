import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { Carrier, Exchange } from '../../../dispatcher/http1/connection.ts';
import { Connections } from '../../../dispatcher/http1/connections.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/until.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** A server that is handed each connection, and keeps what it was sent, by connection. */
async function start(t: Test, onData: (socket: Socket, connection: number, text: string) => void) {
  const sent: string[] = [];
  const sockets: Socket[] = [];
  const closed = new Set<number>();
  const server = createServer((socket) => {
    const connection = sockets.push(socket) - 1;
    sent[connection] = '';
    socket.on('error', () => {});
    socket.on('close', () => closed.add(connection));
    socket.on('data', (chunk) => {
      sent[connection] += chunk.toString('latin1');
      onData(socket, connection, chunk.toString('latin1'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clock = new ManualClock();
  const connections = new Connections({
    clock,
    headBytesMax: 10_000,
    lookup: (_hostname, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  t.teardown(() => {
    connections.close(new Error('the test is over'));
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = new URL(`http://handler.example:${(server.address() as AddressInfo).port}/path?a=b`);
  /** Resolves with `STATUS body`; rejects with the exchange's error. */
  const post = (body: Buffer | null = null, onCarried: (carrier: Carrier, exchange: Exchange) => void = () => {}) =>
    new Promise<string>((resolve, reject) => {
      let answer = '';
      const exchange: Exchange = {
        onHead(status) {
          answer = `${status} `;
        },
        onData(chunk) {
          answer += chunk.toString();
        },
        onEnd: () => resolve(answer),
        onError: reject,
      };
      onCarried(connections.post(url, ['x-name', 'value'], body, exchange), exchange);
    });
  return { ...{ sent, sockets, closed, clock, connections, url, post } };
}

t.test('a request is what HTTP/1.1 wants, and the next one goes over the same connection', async (t) => {
  const { post, sent, url } = await start(t, (socket) => socket.write(ok));
  t.equal(await post(Buffer.from('hello')), '200 ok');
  t.equal(await post(), '200 ok');
  const head = `POST /path?a=b HTTP/1.1\r\nhost: handler.example:${url.port}\r\nconnection: keep-alive\r\nx-name: value\r\n`;
  t.strictSame(sent, [`${head}content-length: 5\r\n\r\nhello${head}content-length: 0\r\n\r\n`]);
});

t.test('requests at once go over connections of their own, which are used again', async (t) => {
  const { post, sockets } = await start(t, (socket) => socket.write(ok));
  t.same(await Promise.all([post(), post(), post()]), ['200 ok', '200 ok', '200 ok']);
  t.equal(sockets.length, 3);
  await Promise.all([post(), post()]);
  t.equal(sockets.length, 3);
});

t.test('a large body goes out whole', async (t) => {
  let bytes = 0;
  const { post } = await start(t, (socket, _connection, text) => {
    bytes += text.length;
    if (text.endsWith('!')) socket.write(ok);
  });
  const body = Buffer.alloc(3_000_000, 'x');
  body[body.length - 1] = '!'.charCodeAt(0);
  t.equal(await post(body), '200 ok');
  t.ok(bytes > body.length);
});

t.test('a connection that the server closes, or says it will, carries no more', async (t) => {
  const closing = ok.replace('OK\r\n', 'OK\r\nconnection: close\r\n');
  const { post, sockets, closed } = await start(t, (socket, connection) => {
    if (connection === 0) socket.write(closing);
    else if (connection === 1) socket.end(ok);
    else socket.write(ok);
  });
  await post();
  await until(() => closed.has(0), 'our side to close it');
  await post();
  await until(() => closed.has(1), 'both to close it');
  await post();
  t.equal(sockets.length, 3);
});

t.test('a connection over which more came than the answer is closed', async (t) => {
  const { post, sockets, closed } = await start(t, (socket, connection) => {
    socket.write(connection === 0 ? `${ok}HTTP/1.1 500 No\r\n\r\n` : ok);
  });
  await t.rejects(post(), { name: 'AnswerError', message: /more than the answer/ });
  await until(() => closed.has(0), 'it to be closed');
  t.equal(await post(), '200 ok');
  sockets[1]?.write('HTTP/1.1 200 OK\r\n');
  await until(() => closed.has(1), 'it to be closed for what came while nothing was asked');
  t.equal(await post(), '200 ok', 'which is nobody’s answer');
});

t.test('an answer that comes before the request is out ends the connection with it', async (t) => {
  const { post, closed, sockets } = await start(t, (socket) => {
    socket.pause();
    socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n');
  });
  t.equal(await post(Buffer.alloc(30_000_000)), '413 ');
  sockets[0]?.resume();
  await until(() => closed.size === 1, 'it to be closed');
});

t.test('errors say what happened', async (t) => {
  const { post, url } = await start(t, (socket, connection) => {
    if (connection === 0) socket.end();
    else if (connection === 1) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal');
    else if (connection === 2) socket.resetAndDestroy();
    else socket.end('what?\r\n\r\n');
  });
  await t.rejects(post(), { name: 'ConnectionClosedError', message: 'the connection was closed before the answer' });
  await t.rejects(post(), { name: 'ConnectionClosedError', message: 'the connection was closed within the answer' });
  await t.rejects(post(), { code: 'ECONNRESET' });
  await t.rejects(post(), { name: 'AnswerError' });
  url.port = '1';
  await t.rejects(post(), { code: 'ECONNREFUSED' });
});

t.test('an exchange that is given up takes its connection with it; one that has ended takes nothing', async (t) => {
  const { post, closed, sockets } = await start(t, (socket, connection) => {
    if (connection > 0) socket.write(ok);
  });
  await t.rejects(
    post(null, (carrier, exchange) => carrier.abort(exchange, new Error('too late'))),
    { message: 'too late' },
  );
  let abort = (): void => {};
  await post(null, (carrier, exchange) => {
    abort = () => carrier.abort(exchange, new Error('too late'));
  });
  abort();
  t.equal(await post(), '200 ok');
  t.ok(sockets.length <= 2);
  t.notOk(closed.has(sockets.length - 1));
});

t.test(
  'an idle connection is closed before the server would: after 4 s, or a second before what it says',
  async (t) => {
    for (const [header, closedAfterMs] of [
      ['', 4_000],
      ['keep-alive: timeout=3, max=100\r\n', 2_000],
      ['keep-alive: timeout=60\r\n', 4_000],
    ] as const) {
      const { post, closed, clock, sockets } = await start(t, (socket) =>
        socket.write(ok.replace('OK\r\n', `OK\r\n${header}`)),
      );
      await post();
      await clock.advance(closedAfterMs - 1);
      t.equal(await post(), '200 ok');
      t.equal(sockets.length, 1, 'used until then');
      await clock.advance(closedAfterMs + 500);
      await until(() => closed.size === 1, 'it to be closed');
      await post();
      t.equal(sockets.length, 2);
    }
    const { post, sockets } = await start(t, (socket) =>
      socket.write(ok.replace('OK\r\n', 'OK\r\nkeep-alive: timeout=1\r\n')),
    );
    await post();
    await post();
    t.equal(sockets.length, 2, 'not used again where the server closes at once');
  },
);

t.test('when all are closed, who waits is told', async (t) => {
  let requests = 0;
  const { post, connections } = await start(t, () => {
    requests++;
  });
  const waiting = post();
  await until(() => requests === 1, 'the request');
  connections.close(new Error('it ends'));
  await t.rejects(waiting, { message: 'it ends' });
});
