import t from 'tap';
import { request } from 'undici';
import { LogFullError, LogUnavailableError } from '../../broker/log/errors.ts';
import { partitionOf } from '../../broker/log/gather.ts';
import { until } from '../support/until.ts';
import { eventHeaders, eventLines, openSocket, startIngress } from './start.ts';

async function post(url: string, headers: Record<string, string | string[]>, body?: string | Buffer | null) {
  const answer = await request(url, { method: 'POST', headers, body: body ?? null });
  const text = await answer.body.text();
  return { status: answer.statusCode, headers: answer.headers, text };
}

function problem(answer: { text: string; headers: Record<string, unknown> }): Record<string, unknown> {
  if (answer.headers['content-type'] !== 'application/problem+json') throw new Error(`not a problem: ${answer.text}`);
  return JSON.parse(answer.text) as Record<string, unknown>;
}

const structured = { 'content-type': 'application/cloudevents+json' };
const batched = { 'content-type': 'application/cloudevents-batch+json' };

function member(attributes: Record<string, unknown>): Record<string, unknown> {
  return { specversion: '1.0', id: '1', source: '/tests', type: 'test', ...attributes };
}

t.test('a binary event is answered 202 with no body, and the log has its bytes', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const data = Buffer.from([0, 255, 13, 10, 0xc3, 0x28]);
  const answer = await post(
    ingress.url,
    { ...eventHeaders, 'content-type': 'image/x', 'ce-note': 'gr%C3%BC%C3%9F' },
    data,
  );
  t.equal(answer.status, 202);
  t.equal(answer.text, '');
  const record = ingress.log.appends[0]?.records[0];
  t.strictSame(record?.value, data);
  t.equal(record?.key, null);
  t.match(record?.headers, { ce_id: '1', ce_type: 'test', ce_note: 'grüß', 'content-type': 'image/x' });
  t.strictSame(ingress.counted, { accepted: ['default/default 1'], refused: [] });
});

t.test('a structured event and a batch are accepted, data as its slice of the body', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const body =
    '{"specversion":"1.0","id":"1","source":"/tests","type":"test","data":{"n": 12345678901234567890, "x":1e400}}';
  t.equal((await post(ingress.url, structured, body)).status, 202);
  t.equal(ingress.log.held[0], '{"n": 12345678901234567890, "x":1e400}');
  const batch = JSON.stringify([member({ id: 'a', data: 1 }), member({ id: 'b', data: 2 })]);
  t.equal((await post(ingress.url, batched, batch)).status, 202);
  t.strictSame(ingress.log.held.slice(1).sort(), ['1', '2']);
  t.strictSame(ingress.counted.accepted, ['default/default 1', 'default/default 2']);
});

t.test('POST / is default/default', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  t.equal((await post(`${ingress.origin}/`, eventHeaders, 'x')).status, 202);
  t.equal((await post(ingress.origin, eventHeaders, 'y')).status, 202);
  t.strictSame(ingress.log.held, ['x', 'y']);
});

t.test('an event without data, and a batch without members, are accepted', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  t.equal((await post(ingress.url, eventHeaders)).status, 202);
  t.equal(ingress.log.appends[0]?.records[0]?.value, null);
  t.equal((await post(ingress.url, { ...eventHeaders, 'content-type': 'text/plain' })).status, 202);
  t.equal((await post(ingress.url, batched, '[]')).status, 202);
  t.equal(ingress.log.appends.length, 2, 'nothing to append for the batch');
});

t.test('events of a partitionkey go to its partition, in the order of the requests', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  for (let n = 0; n < 20; n++) {
    t.equal((await post(ingress.url, { ...eventHeaders, 'ce-partitionkey': 'user-1' }, String(n))).status, 202);
  }
  t.strictSame(
    ingress.log.held,
    Array.from({ length: 20 }, (_, n) => String(n)),
  );
  const partitions = new Set(ingress.log.appends.map((append) => append.partition));
  t.strictSame([...partitions], [partitionOf(Buffer.from('user-1'), 4)]);
});

t.test('a bad event is refused with its attribute and the reason', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const { 'ce-type': _, ...withoutType } = eventHeaders;
  const missing = await post(ingress.url, withoutType, 'x');
  t.equal(missing.status, 400);
  t.match(problem(missing), { title: 'Bad Request', status: 400, attribute: 'type', detail: /type/ });
  const badTime = await post(ingress.url, { ...eventHeaders, 'ce-time': 'yesterday' }, 'x');
  t.match(problem(badTime), { status: 400, attribute: 'time' });
  const twice = await post(ingress.url, { ...eventHeaders, 'ce-id': ['1', '2'] }, 'x');
  t.match(problem(twice), { status: 400, attribute: 'id', detail: /more than once/ });
  const noJson = await post(ingress.url, structured, '{');
  t.match(problem(noJson), { status: 400 });
  t.equal(ingress.log.appends.length, 0);
  t.strictSame(ingress.counted.refused, Array(4).fill('default/default invalid'));
});

t.test('a batch with a bad member is refused whole and names it', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const answer = await post(
    ingress.url,
    batched,
    JSON.stringify([member({}), member({ id: '2', time: 'noon' }), member({ id: '3' })]),
  );
  t.equal(answer.status, 400);
  t.match(problem(answer), { index: 1, attribute: 'time', detail: /batch member 1/ });
  t.equal(ingress.log.appends.length, 0);
});

t.test('a deliverat that is no time, or too far ahead, is refused by its name', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const soon = new Date(Date.now() + 60_000).toISOString();
  t.equal((await post(ingress.url, { ...eventHeaders, 'ce-deliverat': soon }, 'x')).status, 202);
  const wrong = await post(ingress.url, { ...eventHeaders, 'ce-deliverat': 'soon' }, 'x');
  t.match(problem(wrong), { status: 400, attribute: 'deliverat', detail: /time of RFC 3339/ });
  const late = new Date(Date.now() + 400 * 86_400_000).toISOString();
  const batch = JSON.stringify([member({}), member({ id: '2', deliverat: late })]);
  const far = await post(ingress.url, batched, batch);
  t.match(problem(far), { status: 400, attribute: 'deliverat', index: 1, detail: /batch member 1: .*366 days/ });
  t.strictSame(ingress.log.held, ['x'], 'nothing of the batch');
});

t.test('what is not a CloudEvent, compressed, or in another format is 415', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  t.match(problem(await post(ingress.url, { 'content-type': 'application/json' }, '{}')), { status: 415 });
  t.match(problem(await post(ingress.url, { 'content-type': 'application/cloudevents+avro' }, 'x')), { status: 415 });
  t.match(problem(await post(ingress.url, { ...eventHeaders, 'content-type': 'text' }, 'x')), { status: 415 });
  const compressed = await post(ingress.url, { ...eventHeaders, 'content-encoding': 'gzip' }, 'x');
  t.match(problem(compressed), { status: 415, detail: /uncompressed/ });
  t.equal(compressed.headers['accept-encoding'], 'identity');
  t.equal(ingress.counted.refused.length, 4);
  t.ok(ingress.counted.refused.every((line) => line.endsWith(' unsupported_media_type')));
});

t.test('an unknown broker is 404 and says how to make one; another path is 404', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const answer = await post(`${ingress.origin}/shop/orders`, eventHeaders, 'x');
  t.equal(answer.status, 404);
  t.match(problem(answer), { detail: /no broker shop\/orders.*posthorn apply -f broker\.yaml/ });
  for (const path of ['/a', '/a/b/c', '/default/default/']) {
    t.equal((await post(ingress.origin + path, eventHeaders, 'x')).status, 404, path);
  }
  const long = await post(`${ingress.origin}/${'x'.repeat(200)}/b`, eventHeaders, 'x');
  t.match(problem(long), { status: 404, detail: /no broker has a name as long/ });
  t.equal((await post(`${ingress.origin}/%zz/b`, eventHeaders, 'x')).status, 400);
  t.equal((await post(`${ingress.origin}/a%2Fb/c`, eventHeaders, 'x')).status, 404);
  t.equal(ingress.counted.refused[0], ' unknown_broker', 'no label from outside');
});

t.test('other methods are 405 with Allow: POST, OPTIONS', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const methods = ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'SEARCH'] as const;
  for (const method of methods) {
    for (const path of ['/', '/default/default', '/default/default?a=b', '/no/such']) {
      const answer = await request(ingress.origin + path, { method: method as 'GET' });
      await answer.body.dump();
      t.equal(answer.statusCode, 405, `${method} ${path}`);
      t.equal(answer.headers.allow, 'POST, OPTIONS');
    }
  }
  t.equal(ingress.counted.refused.length, methods.length * 4);
});

t.test('an event that went round too often is refused as a loop', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  t.equal((await post(ingress.url, { ...eventHeaders, 'ce-posthornhops': '16' }, 'x')).status, 202);
  const tooMany = await post(ingress.url, { ...eventHeaders, 'ce-posthornhops': '17' }, 'x');
  t.match(problem(tooMany), { status: 400, attribute: 'posthornhops', detail: /loop/ });
  for (const hops of ['-1', '1.5', 'many', '0x1', '1e1', '99999999999']) {
    const answer = await post(ingress.url, { ...eventHeaders, 'ce-posthornhops': hops }, 'x');
    t.match(problem(answer), { status: 400, attribute: 'posthornhops' }, hops);
  }
  const batch = await post(ingress.url, batched, JSON.stringify([member({}), member({ posthornhops: '17' })]));
  t.match(problem(batch), { status: 400, index: 1, attribute: 'posthornhops' });
  t.equal(ingress.log.appends.length, 1);
});

t.test('the trace of the request is kept with the record, beside what the event says of where it began', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const kept = async (headers: Record<string, string | string[]>): Promise<Record<string, unknown>> => {
    t.equal((await post(ingress.url, { ...eventHeaders, ...headers }, 'x')).status, 202);
    const { traceparent, tracestate, ce_traceparent } = ingress.log.appends.at(-1)?.records[0]?.headers ?? {};
    return { traceparent, tracestate, ce_traceparent };
  };
  t.match(await kept({ traceparent, tracestate: 'a=1' }), { traceparent, tracestate: 'a=1' });
  t.match(await kept({ traceparent, tracestate: ['a=1', 'b=2'] }), { traceparent, tracestate: 'a=1,b=2' });
  t.match(await kept({ traceparent }), { traceparent, tracestate: undefined });
  t.match(await kept({ traceparent, tracestate: `a=${'x'.repeat(600)}` }), { traceparent, tracestate: undefined });
  const none = { traceparent: undefined, tracestate: undefined };
  t.match(await kept({ tracestate: 'a=1' }), none);
  t.match(await kept({ traceparent: [traceparent, traceparent], tracestate: 'a=1' }), none);
  for (const wrong of [
    '00-x',
    traceparent.toUpperCase(),
    `ff${traceparent.slice(2)}`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  ]) {
    t.match(await kept({ traceparent: wrong }), none, wrong);
  }
  const own = traceparent.replace('4bf9', 'aaaa');
  const both = await kept({ traceparent, tracestate: 'a=1', 'ce-traceparent': own });
  t.match(both, { traceparent, tracestate: 'a=1', ce_traceparent: own });
  t.match(await kept({ 'ce-traceparent': own }), { ...none, ce_traceparent: own });
});

t.test('no 202 before the append has resolved', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.answer = 'wait';
  let isAnswered = false;
  const answered = post(ingress.url, eventHeaders, 'x').then((answer) => {
    isAnswered = true;
    return answer;
  });
  await until(() => ingress.log.appends.length === 1, 'the append begins');
  // Another exchange on the same server shows that an answer would have come by now.
  t.equal((await post(`${ingress.origin}/no/such`, eventHeaders, 'x')).status, 404);
  t.equal(isAnswered, false);
  t.strictSame(ingress.counted.accepted, []);
  ingress.log.appends[0]?.resolve();
  t.equal((await answered).status, 202);
});

t.test('concurrent requests are gathered into few appends', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  // In one write, so that they come at once however busy the machine is.
  const connection = await openSocket(ingress.port);
  t.teardown(() => connection.socket.destroy());
  const requests = Array.from({ length: 200 }, (_, n) => {
    const body = String(n);
    const head = `POST /default/default HTTP/1.1\r\nhost: posthorn\r\n${eventLines}`;
    return `${head}content-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  });
  connection.write(requests.join(''));
  await until(() => ingress.log.held.length === 200, 'every event to be appended');
  t.ok(ingress.log.appends.length <= 8, `${ingress.log.appends.length} appends`);
});

t.test('40 events of 64 KiB at one moment are all accepted', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.info = { ...ingress.log.info, maxMessageBytes: 1_048_576 };
  const data = Buffer.alloc(65_536, 'x');
  const all = await Promise.all(Array.from({ length: 40 }, () => post(ingress.url, eventHeaders, data)));
  t.ok(all.every((answer) => answer.status === 202));
  t.equal(ingress.log.held.length, 40);
  t.ok(ingress.log.appends.every((append) => append.bytes <= 1_048_576));
});

t.test(
  'a log that is away or full is 503 with Retry-After, said once in the log lines and once when it is back',
  async (t) => {
    const ingress = await startIngress();
    t.teardown(ingress.close);
    ingress.log.answer = (append) => append.reject(new LogUnavailableError('no answer from 10.0.0.1:9092'));
    for (let n = 0; n < 3; n++) {
      const answer = await post(ingress.url, eventHeaders, 'x');
      t.match(problem(answer), { status: 503, detail: /no answer/ });
      t.equal(answer.headers['retry-after'], '5');
    }
    ingress.log.answer = (append) => append.reject(new LogFullError('./.posthorn'));
    const full = await post(ingress.url, eventHeaders, 'x');
    t.match(problem(full), { status: 503, detail: /no room/ });
    t.equal(full.headers['retry-after'], '30');
    ingress.log.answer = (append) => append.resolve();
    t.equal((await post(ingress.url, eventHeaders, 'x')).status, 202);
    t.strictSame(ingress.counted.refused, [
      ...Array(3).fill('default/default log_unavailable'),
      'default/default log_full',
    ]);
    t.equal(ingress.lines.length, 2, ingress.lines.join(''));
  },
);

t.test('a full buffer is 503 with Retry-After, and the next request passes when there is room', async (t) => {
  const ingress = await startIngress({ waitingBytesMax: 2_000 });
  t.teardown(ingress.close);
  ingress.log.answer = 'wait';
  const first = post(ingress.url, eventHeaders, 'x'.repeat(1_200));
  await until(() => ingress.log.appends.length === 1, 'the append begins');
  const refused = await post(ingress.url, eventHeaders, 'x'.repeat(1_200));
  t.equal(refused.status, 503);
  t.equal(refused.headers['retry-after'], '1');
  t.strictSame(ingress.counted.refused, ['default/default buffer_full']);
  ingress.log.answer = (append) => append.resolve();
  ingress.log.appends[0]?.resolve();
  t.equal((await first).status, 202);
  t.equal((await post(ingress.url, eventHeaders, 'x'.repeat(1_200))).status, 202);
});

t.test('while not ready every broker is 503, known or not', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.state.ready = false;
  for (const path of ['/default/default', '/not/yet-known']) {
    const answer = await post(ingress.origin + path, eventHeaders, 'x');
    t.match(problem(answer), { status: 503, detail: /not ready/ });
    t.ok(answer.headers['retry-after']);
  }
});

t.test('an error in Posthorn is 500 and logged', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.log.answer = (append) => append.reject(new TypeError('x is not a function'));
  t.match(problem(await post(ingress.url, eventHeaders, 'x')), { status: 500 });
  t.match(ingress.lines.join(''), /x is not a function/);
  t.strictSame(ingress.counted.refused, ['default/default internal']);
});
