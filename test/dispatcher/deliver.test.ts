import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import { isRefusedAddress } from '../../dispatcher/address.ts';
import { createDeliverer, type Deliverer } from '../../dispatcher/deliver.ts';
import type { Outcome } from '../../dispatcher/fate.ts';
import { systemClock } from '../../runtime/clock.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';

const responseBytesMax = 10_000;

function deliverer(t: Test, clock = systemClock): Deliverer {
  const one = createDeliverer({ clock, responseBytesMax });
  t.teardown(() => one.close());
  return one;
}

async function attemptOn(t: Test, answer: SinkAnswer): Promise<Outcome> {
  const sink = await startSink(() => answer);
  t.teardown(() => sink.close());
  return deliverer(t).attempt(testDelivery(testTrigger(sink.url)), sink.url, 1);
}

/** A server that speaks no HTTP of its own: it is handed each connection. */
async function rawServer(t: Test, onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('a delivery is a POST in binary mode with what a subscriber is told', async (t) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const event = testEvent({ datacontenttype: 'text/plain', subject: 'naïve "x"' }, Buffer.from('hello'));
  const delivery = testDelivery(testTrigger(`${sink.url}/path?x=1`), event, { attempt: 3 });
  await deliverer(t).attempt(delivery, `${sink.url}/path?x=1`, 2);
  const [request] = sink.requests;
  t.match(request, { method: 'POST', path: '/path?x=1' });
  t.equal(request?.body.toString(), 'hello');
  t.match(request?.headers, {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-type': 'com.example.test',
    'ce-subject': 'na%C3%AFve%20%22x%22',
    'ce-posthornhops': '2',
    'content-type': 'text/plain',
    prefer: 'reply',
    'posthorn-trigger': 'default/all',
    'posthorn-attempt': '3',
  });
});

t.test('format json sends structured mode', async (t) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const trigger = testTrigger(sink.url, { delivery: { ...defaultDelivery, format: 'json' } });
  const event = testEvent({ datacontenttype: 'application/json' }, Buffer.from('{"n":12345678901234567890}'));
  await deliverer(t).attempt(testDelivery(trigger, event), sink.url, 1);
  const [request] = sink.requests;
  t.match(request?.headers, { 'content-type': /^application\/cloudevents\+json/ });
  t.match(request?.body.toString(), '{"n":12345678901234567890}', 'the data byte for byte');
});

t.test('the trace context goes along', async (t) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const trigger = testTrigger(sink.url);
  const one = deliverer(t);
  await one.attempt(testDelivery(trigger, testEvent(), { trace: { traceparent } }), sink.url, 1);
  await one.attempt(testDelivery(trigger, testEvent({ traceparent })), sink.url, 1);
  t.same(
    sink.requests.map((request) => request.headers.traceparent),
    [traceparent, traceparent],
  );
});

t.test('the trace of the last hop goes on, and where the event began stays beside it', async (t) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const began = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=1' };
  const hop = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
  const one = deliverer(t);
  for (const trace of [hop, { traceparent: '00-short', tracestate: 'b=2' }]) {
    await one.attempt(testDelivery(testTrigger(sink.url), testEvent(began), { trace }), sink.url, 1);
  }
  const [first, second] = sink.requests.map(({ headers }) => headers);
  t.match(first, { ...hop, tracestate: undefined, 'ce-traceparent': began.traceparent, 'ce-tracestate': 'a=1' });
  t.match(second, began, 'a trace that is none does not hide the other');
});

t.test('an answer is read with status, headers and body', async (t) => {
  const outcome = await attemptOn(t, { status: 418, headers: { 'X-One': 'a' }, body: 'short and stout' });
  t.match(outcome, { kind: 'answered', status: 418, truncated: false });
  if (outcome.kind !== 'answered') return;
  t.equal(outcome.body.toString(), 'short and stout');
  t.equal(outcome.headers[outcome.headers.indexOf('x-one') + 1], 'a');
});

t.test('answers that come in pieces, in turn, are kept apart', async (t) => {
  const sockets: Socket[] = [];
  const url = await rawServer(t, (socket) => socket.once('data', () => sockets.push(socket)));
  const one = deliverer(t);
  const delivery = testDelivery(testTrigger(url));
  const attempts = [one.attempt(delivery, url, 1), one.attempt(delivery, url, 1)];
  await until(() => sockets.length === 2, 'both requests');
  const [first, second] = sockets;
  first?.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe');
  second?.write('HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nsomebody els');
  // Whichever attempt the server calls the second has its whole answer.
  await Promise.race(attempts);
  first?.write('llo');
  const bodies = (await Promise.all(attempts)).map((outcome) => outcome.kind === 'answered' && String(outcome.body));
  t.same(bodies.sort(), ['hello', 'somebody els']);
});

t.test('a redirect is not followed', async (t) => {
  const outcome = await attemptOn(t, { status: 302, headers: { location: 'http://127.0.0.1:1/' } });
  t.match(outcome, { kind: 'answered', status: 302 });
});

t.test('an answer over the bound is cut and keeps its status', async (t) => {
  const outcome = await attemptOn(t, { status: 200, body: Buffer.alloc(10 * responseBytesMax) });
  t.match(outcome, { kind: 'answered', status: 200, truncated: true });
  if (outcome.kind === 'answered') t.equal(outcome.body.length, responseBytesMax);
});

t.test('a reset connection, a refused one and an answer that is not HTTP are told apart', async (t) => {
  t.match(await attemptOn(t, { destroy: true }), { kind: 'unanswered', cause: 'connection' });
  const delivery = testDelivery(testTrigger('http://127.0.0.1:1'));
  const one = deliverer(t);
  t.match(await one.attempt(delivery, 'http://127.0.0.1:1', 1), {
    kind: 'unanswered',
    cause: 'connection',
    message: /ECONNREFUSED/,
  });
  const url = await rawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n'));
  t.match(await one.attempt(delivery, url, 1), { kind: 'unanswered', cause: 'protocol' });
});

t.test('an answer that is not complete at the deadline counts as none', async (t) => {
  const clock = new ManualClock();
  let connections = 0;
  const url = await rawServer(t, (socket) => {
    connections++;
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nslow'));
  });
  const trigger = testTrigger(url, { delivery: { ...defaultDelivery, timeoutMs: 5_000 } });
  const attempt = deliverer(t, clock).attempt(testDelivery(trigger), url, 1);
  await until(() => connections === 1, 'the request to arrive');
  await clock.advance(5_000);
  t.match(await attempt, { kind: 'unanswered', cause: 'timeout', message: 'no complete answer within 5000 ms' });
});

t.test('an attempt that is cut rejects with the reason and drops its connection', async (t) => {
  let isClosed = false;
  let isSent = false;
  const url = await rawServer(t, (socket) => {
    socket.on('data', () => {
      isSent = true;
    });
    socket.on('close', () => {
      isClosed = true;
    });
  });
  const one = deliverer(t);
  const attempt = one.attempt(testDelivery(testTrigger(url)), url, 1);
  await until(() => isSent, 'the request');
  one.cut(new Error('stopping'));
  await t.rejects(attempt, { message: 'stopping' });
  await until(() => isClosed, 'the connection to close');
  await t.rejects(one.attempt(testDelivery(testTrigger(url)), url, 1), { message: 'stopping' }, 'none begins later');
});

t.test('only the attempts that are revoked are cut, by their own reason', async (t) => {
  let requests = 0;
  const url = await rawServer(t, (socket) => {
    socket.on('data', () => {
      requests++;
    });
  });
  const one = deliverer(t);
  const delivery = testDelivery(testTrigger(url));
  let isRevoked = false;
  const mayGo = one.attempt(delivery, url, 1, () => isRevoked);
  const stays = one.attempt(delivery, url, 1);
  await until(() => requests === 2, 'both requests');
  one.cutRevoked();
  isRevoked = true;
  one.cutRevoked();
  await t.rejects(mayGo, { name: 'RevokedError' });
  one.cut(new Error('stopping'));
  await t.rejects(stays, { message: 'stopping' });
});

t.test('a trace context that is none is left out, and the event is delivered', async (t) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const trigger = testTrigger(sink.url);
  const one = deliverer(t);
  for (const traceparent of ['☃', 'a\nb', '00-short']) {
    t.match(await one.attempt(testDelivery(trigger, testEvent({ traceparent })), sink.url, 1), { status: 200 });
    const trace = { traceparent, tracestate: 'x' };
    t.match(await one.attempt(testDelivery(trigger, testEvent(), { trace }), sink.url, 1), { status: 200 });
  }
  t.ok(sink.requests.every((request) => request.headers.traceparent === undefined));
});

t.test('link-local and metadata addresses are refused, written as such or by name', async (t) => {
  for (const address of ['169.254.169.254', '169.254.0.1', '100.100.100.200', 'fe80::1', 'fd00:ec2::254']) {
    t.ok(isRefusedAddress(address), address);
  }
  t.ok(isRefusedAddress('::ffff:169.254.169.254'), 'mapped into IPv6');
  for (const address of ['127.0.0.1', '10.0.0.1', '::1', 'fd00::1', '169.253.0.1']) {
    t.notOk(isRefusedAddress(address), address);
  }
  const one = deliverer(t);
  for (const url of ['http://169.254.169.254/latest', 'http://[fe80::1]/', 'http://2852039166/']) {
    const outcome = await one.attempt(testDelivery(testTrigger(url)), url, 1);
    t.match(outcome, { kind: 'unanswered', cause: 'address', message: /link-local or metadata/ }, url);
  }
});
