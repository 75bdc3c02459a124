import t from 'tap';
import { request } from 'undici';
import { until } from '../support/until.ts';
import { eventHeaders, eventLines, openSocket, startIngress } from './start.ts';

async function post(url: string, headers: Record<string, string>, body: string | Buffer) {
  const answer = await request(url, { method: 'POST', headers, body });
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
}

/** What the names and values of an event's attributes come to. */
function attributeBytes(headers: Readonly<Record<string, string>>): number {
  return Object.entries(headers).reduce(
    (sum, [name, value]) => sum + (name === 'content-type' ? 'datacontenttype' : name.slice(3)).length + value.length,
    0,
  );
}

const eventMaxBytes = 1_048_576;

t.test('a binary event of exactly the largest size is accepted, one byte more is 413', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const room = eventMaxBytes - attributeBytes(eventHeaders);
  t.equal((await post(ingress.url, eventHeaders, Buffer.alloc(room, 'x'))).status, 202);
  t.equal(ingress.log.held[0]?.length, room);
  const more = await post(ingress.url, eventHeaders, Buffer.alloc(room + 1, 'x'));
  t.equal(more.status, 413);
  t.match(JSON.parse(more.text), { status: 413, detail: /1048577 bytes .* at most 1048576/ });
  t.strictSame(ingress.counted.refused, ['default/default too_large']);
});

t.test('a structured event of exactly the largest size is accepted in its longest form', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const headers = { 'content-type': 'application/cloudevents+json' };
  const attributes = { specversion: '1.0', id: '1', source: '/tests', type: 'test' };
  const base64 = (bytes: number): string =>
    JSON.stringify({ ...attributes, data_base64: Buffer.alloc(bytes, 255).toString('base64') });
  const room = eventMaxBytes - attributeBytes(eventHeaders);
  t.equal((await post(ingress.url, headers, base64(room))).status, 202);
  t.equal(ingress.log.appends[0]?.records[0]?.value?.length, room);
  t.equal((await post(ingress.url, headers, base64(room + 1))).status, 413);

  // Non-ASCII text in \u escapes: three characters of JSON for each byte.
  const textBytes = eventMaxBytes - attributeBytes({ ...eventHeaders, 'content-type': 'text/plain' });
  const escaped = '\\u00e9'.repeat(Math.floor(textBytes / 2));
  const text = `{"specversion":"1.0","id":"1","source":"/tests","type":"test","datacontenttype":"text/plain","data":"${escaped}"}`;
  t.equal((await post(ingress.url, headers, text)).status, 202);
  t.equal(ingress.log.held[1], 'é'.repeat(Math.floor(textBytes / 2)));
});

t.test('a member of a batch above the largest size refuses the batch and is named', async (t) => {
  const ingress = await startIngress({ limits: { eventMaxBytes: 1_000, batchMaxBytes: 10_000 } });
  t.teardown(ingress.close);
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const member = (data: string) => ({ specversion: '1.0', id: '1', source: '/tests', type: 'test', data });
  const answer = await post(
    ingress.url,
    headers,
    JSON.stringify([member('x'), member('x'.repeat(1_000)), member('x')]),
  );
  t.match(JSON.parse(answer.text), { status: 413, index: 1, detail: /batch member 1/ });
  t.equal(ingress.log.appends.length, 0);
  t.equal((await post(ingress.url, headers, `[${' '.repeat(10_000)}]`)).status, 413);
  t.equal((await post(ingress.url, headers, `[${' '.repeat(9_998)}]`)).status, 202);
});

t.test('a topic that takes less than the ingress: 413, naming the member, the others not appended', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.info = { ...ingress.log.info, maxMessageBytes: 5_000 };
  t.equal((await post(ingress.url, eventHeaders, 'x'.repeat(6_000))).status, 413);
  const member = (data: string) => ({ specversion: '1.0', id: '1', source: '/tests', type: 'test', data });
  const batch = await post(
    ingress.url,
    { 'content-type': 'application/cloudevents-batch+json' },
    JSON.stringify([member('x'), member('x'), member('x'.repeat(6_000))]),
  );
  t.match(JSON.parse(batch.text), { status: 413, index: 2 });
  t.equal(ingress.log.appends.length, 0);
});

t.test('more attributes than attributesMax are 413', async (t) => {
  const ingress = await startIngress({ limits: { attributesMax: 10 } });
  t.teardown(ingress.close);
  const extensions = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`ce-x${n}`, 'y']));
  t.equal((await post(ingress.url, { ...eventHeaders, ...extensions(6) }, 'x')).status, 202);
  t.equal((await post(ingress.url, { ...eventHeaders, ...extensions(7) }, 'x')).status, 413);
});

t.test('16 KiB of attributes, all percent-encoded, pass; headers above the limit are 431', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const note = 'ü'.repeat((16_384 - attributeBytes(eventHeaders) - 'note'.length) / 2);
  const accepted = await post(ingress.url, { ...eventHeaders, 'ce-note': encodeURIComponent(note) }, 'x');
  t.equal(accepted.status, 202, accepted.text);
  t.equal(ingress.log.appends[0]?.records[0]?.headers.ce_note, note);

  const many = `x: y\r\n`.repeat(600);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}${many}content-length: 0\r\n\r\n`);
  await until(() => client.received().includes('}'), 'an answer comes');
  t.match(client.received(), /^HTTP\/1\.1 431 [\s\S]*application\/problem\+json[\s\S]*at most 512/);

  const huge = await openSocket(ingress.port);
  t.teardown(huge.destroy);
  huge.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}x: ${'y'.repeat(70_000)}\r\ncontent-length: 0\r\n\r\n`);
  await until(() => huge.received().includes('}'), 'an answer comes');
  t.match(huge.received(), /^HTTP\/1\.1 431 [\s\S]*application\/problem\+json/);
  t.strictSame(ingress.counted.refused, ['default/default too_large', ' too_large']);
  t.equal(ingress.log.appends.length, 1);
});

t.test('of very many headers none is lost', async (t) => {
  const ingress = await startIngress({ limits: { headersMax: 3_000 } });
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  const many = 'x: y\r\n'.repeat(2_500);
  client.write(`POST / HTTP/1.1\r\nhost: x\r\n${many}${eventLines}ce-last: here\r\ncontent-length: 2\r\n\r\nok`);
  await until(() => client.received() !== '', 'an answer comes');
  t.match(client.received(), /^HTTP\/1\.1 202 /);
  t.equal(ingress.log.appends[0]?.records[0]?.headers.ce_last, 'here');
});

t.test('a content-length above the limit is 413 before any of the body is sent, and the connection ends', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 1048577\r\n\r\n`);
  await until(() => client.received().includes('}'), 'an answer comes');
  t.match(client.received(), /^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*at most 1048576/);
  client.socket.end();
  await until(client.isClosed, 'the connection ends');
});

t.test('a chunked body is cut at the limit', async (t) => {
  const ingress = await startIngress({ limits: { eventMaxBytes: 10_000 } });
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}transfer-encoding: chunked\r\n\r\n`);
  const chunk = `1000\r\n${'x'.repeat(4_096)}\r\n`;
  client.write(chunk + chunk);
  t.equal(client.received(), '');
  client.write(chunk);
  await until(() => client.received().includes('}'), 'an answer comes');
  t.match(client.received(), /^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*at most 10000/);
  client.write('0\r\n\r\n');
  await until(client.isClosed, 'the connection ends');
  t.equal(ingress.log.appends.length, 0);
});

t.test('a sender that reads only when all is written gets the 413 and not a reset', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.socket.pause();
  client.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 20000000\r\n\r\n`);
  await new Promise((resolve) => client.socket.write(Buffer.alloc(20_000_000), resolve));
  client.socket.resume();
  await until(() => client.received() !== '' || client.isClosed(), 'an answer or the end comes');
  t.match(client.received(), /^HTTP\/1\.1 413 /);
});

t.test('a sender that never ends its refused body is cut off', async (t) => {
  const ingress = await startIngress({ limits: { eventMaxBytes: 1_000 } });
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 100000000\r\n\r\n`);
  await until(() => client.received().includes('}'), 'an answer comes');
  await until(client.isClosed, 'the connection ends');
});

t.test('after a refusal with a short body the connection goes on', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const client = await openSocket(ingress.port);
  t.teardown(client.destroy);
  client.write(`POST /no/such HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 10\r\n\r\nxxxxx`);
  await until(() => client.received().includes('}'), 'an answer comes');
  t.match(client.received(), /^HTTP\/1\.1 404 /);
  client.write(`xxxxxPOST / HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 2\r\n\r\nok`);
  await until(() => client.received().includes('HTTP/1.1 202'), 'the next request is answered');
  t.strictSame(ingress.log.held, ['ok']);
});

t.test('Expect: 100-continue is granted only to what may be sent', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const ask = async (path: string, bytes: number) => {
    const client = await openSocket(ingress.port);
    t.teardown(client.destroy);
    client.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\n${eventLines}expect: 100-continue\r\ncontent-length: ${bytes}\r\n\r\n`,
    );
    await until(() => client.received().includes('\r\n\r\n'), 'an answer comes');
    return client;
  };
  const granted = await ask('/', 2);
  t.match(granted.received(), /^HTTP\/1\.1 100 /);
  granted.write('ok');
  await until(() => granted.received().includes('HTTP/1.1 202'), 'the event is accepted');
  t.match((await ask('/', 2_000_000)).received(), /^HTTP\/1\.1 413 /);
  t.match((await ask('/no/such', 2)).received(), /^HTTP\/1\.1 404 /);
});

t.test('bodies that wait for the log and bodies being received are bounded together', async (t) => {
  const ingress = await startIngress({ limits: { receivedBytesMax: 10_000 } });
  t.teardown(ingress.close);
  ingress.log.answer = 'wait';
  const first = post(ingress.url, eventHeaders, 'x'.repeat(8_000));
  await until(() => ingress.log.appends.length === 1, 'the append begins');
  const refused = await post(ingress.url, eventHeaders, 'y'.repeat(2_001));
  t.equal(refused.status, 503);
  t.equal(refused.headers['retry-after'], '1');
  t.strictSame(ingress.counted.refused, ['default/default buffer_full']);
  ingress.log.answer = (append) => append.resolve();
  t.equal((await post(ingress.url, eventHeaders, 'y'.repeat(2_000))).status, 202);
  ingress.log.appends[0]?.resolve();
  t.equal((await first).status, 202);
  t.equal((await post(ingress.url, eventHeaders, 'y'.repeat(10_000))).status, 202);
});

t.test('what a sender left that went away is given free', async (t) => {
  const ingress = await startIngress({ limits: { receivedBytesMax: 10_000 } });
  t.teardown(ingress.close);
  const probe = async (bytes: number): Promise<number> =>
    (await post(ingress.url, eventHeaders, 'y'.repeat(bytes))).status;
  const half = `POST / HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 9000\r\n\r\n${'x'.repeat(8_000)}`;
  let slow = await openSocket(ingress.port);
  slow.write(half);
  await until(async () => {
    if (slow.received() !== '') {
      // It met a probe and was the one to be refused.
      slow.destroy();
      slow = await openSocket(ingress.port);
      slow.write(half);
    }
    return (await probe(2_001)) === 503;
  }, 'the slow one holds its bytes');
  slow.destroy();
  await until(async () => (await probe(10_000)) === 202, 'there is room for as much as ever');
});

t.test('connections above connectionsMax are closed, said once in the log lines', async (t) => {
  const ingress = await startIngress({ limits: { connectionsMax: 2 } });
  t.teardown(ingress.close);
  const first = await openSocket(ingress.port);
  const second = await openSocket(ingress.port);
  t.teardown(first.destroy);
  t.teardown(second.destroy);
  for (let n = 0; n < 3; n++) {
    const third = await openSocket(ingress.port);
    await until(third.isClosed, 'the third connection is closed');
  }
  t.equal(ingress.lines.length, 1);
  second.destroy();
  await until(async () => {
    const another = await openSocket(ingress.port);
    another.write(`POST / HTTP/1.1\r\nhost: x\r\n${eventLines}content-length: 2\r\n\r\nok`);
    await until(() => another.received() !== '' || another.isClosed(), 'an answer or the end');
    another.destroy();
    return another.received().startsWith('HTTP/1.1 202');
  }, 'there is room for a connection again');
});
