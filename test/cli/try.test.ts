import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { toRecord } from '../../event/kafka.ts';
import { serveAdmin } from '../console/setup.ts';
import { eventWith } from '../filter/sample.ts';
import { posthorn, type Ran } from '../support/cli.ts';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const orders = triggerYaml('orders', 'http://handler.example/', { filters: '[{ exact: { type: order.created } }]' });
const ofShop = orders.replace('order.created', 'order.created, source: /shop');
const topic = 'posthorn.default.default';

/** A Posthorn to which `/shop` sent an order 30 minutes ago, `/market` one 20 and a deletion 10 minutes ago. */
async function setUp(t: Test) {
  const { url, log } = await serveAdmin(t);
  const nowMs = Date.now();
  const sent = [
    { id: 'a', type: 'order.created', source: '/shop', subject: 'one' },
    { id: 'b', type: 'order.created', source: '/market' },
    { id: 'c', type: 'order.deleted', source: '/market' },
  ];
  const times = sent.map((_, n) => nowMs - (30 - 10 * n) * 60_000);
  for (const [n, event] of sent.entries()) {
    await log.append(topic, n % 2, [{ ...toRecord(eventWith(event)), timestampMs: times[n] ?? 0 }]);
  }
  const directory = t.testdir({ 'orders.yaml': orders, 'changed.yaml': ofShop });
  const run = (file: string, args: readonly string[] = [], terminal = false): Promise<Ran> => {
    return posthorn(['try', '-f', resolve(directory, file), ...args], { env: { POSTHORN_SERVER: url }, terminal });
  };
  const time = (n: number): string => new Date(times[n] ?? 0).toISOString().replace(/\.\d+/, '');
  return { url, log, run, time };
}

t.test('a new filter: how many it matches, which, and which come near', async (t) => {
  const { run, time } = await setUp(t);
  const { code, stdout, stderr } = await run('changed.yaml');
  t.strictSame([code, stderr], [0, '']);
  t.equal(
    stdout.replace(/since \S+Z/, 'since THEN'),
    `orders matches 1 of 3 events that broker default/default got since THEN
There is no running version of it to compare with.

Matched (1):
  ${time(0)}   a   /shop   order.created   one

Not matched (2):
  ${time(1)}   b   /market   order.created   -
      source must be "/shop", but is "/market"  (filters[0].exact.source)
  ${time(2)}   c   /market   order.deleted   -
      type must be "order.created", but is "order.deleted"  (filters[0].exact.type)
      source must be "/shop", but is "/market"  (filters[0].exact.source)
`,
  );
});

t.test('a changed filter: what is newly matched, and what no longer, with the reason', async (t) => {
  const { url, run, time } = await setUp(t);
  await applyTo(url, orders);
  const { stdout } = await run('changed.yaml', ['--since', 'PT1H', '--samples', '1']);
  t.match(
    stdout,
    `Against the running version (generation 1), which matches 2: 0 newly matched, 1 no longer matched

No longer matched (1):
  ${time(1)}   b   /market   order.created   -
      source must be "/shop", but is "/market"  (filters[0].exact.source)

Matched (1):
  ${time(0)}   a   /shop   order.created   one

Not matched (2), the nearest, one of a type:
`,
  );
  t.match(
    (await run('orders.yaml', ['--samples', '0'])).stdout,
    /\nThe same as the running version \(generation 1\)\n$/,
  );
});

t.test('--since is a duration or a time, and where nothing came since then it says so', async (t) => {
  const { log, run, time } = await setUp(t);
  t.match((await run('orders.yaml', ['--since', '25m'])).stdout, /^orders matches 1 of 2 events /);
  t.match(
    (await run('orders.yaml', ['--since', time(2)])).stdout,
    `orders matches 0 of 1 event that broker default/default got since ${time(2)}\n`,
  );
  t.match(await run('orders.yaml', ['--since', '5m']), {
    code: 0,
    stdout: /^There is no event that broker default\/default got since \S+; --since looks further back\.\n$/,
  });
  await log.append(topic, 0, [{ key: null, value: Buffer.from('?'), headers: {} }]);
  t.match(
    (await run('orders.yaml', ['--since', '5m'])).stdout,
    /\n1 record of the topic is no event and not counted\n$/,
  );
});

t.test('events that the data filter has no answer for are told apart: they would be dead-lettered', async (t) => {
  const { log, run } = await setUp(t);
  const event = eventWith({ id: 'd', type: 'order.created', datacontenttype: 'application/json' });
  await log.append(topic, 0, [toRecord({ ...event, data: Buffer.from('{') })]);
  const annotations = { 'posthorn.dev/data-filter': 'data.total > 5' };
  const filtered = triggerYaml('orders', 'http://handler.example/', { annotations });
  const file = join(t.testdir({ 'filtered.yaml': filtered }), 'filtered.yaml');
  const { stdout } = await run(file, ['--samples', '1']);
  t.match(stdout, /^orders matches 0 of 4 events /);
  t.match(
    stdout,
    /\nNo answer, so they would be dead-lettered \(1\):\n {2}\S+ {3}d .*\n {6}has no answer, .*: the data is not the JSON/,
  );
  t.match(stdout, '\nNot matched (3), the nearest, one of a type:\n');
});

t.test('-o json has the counts and the samples', async (t) => {
  const { run } = await setUp(t);
  const { code, stdout } = await run('changed.yaml', ['-o', 'json', '--samples', '1']);
  t.equal(code, 0);
  t.match(JSON.parse(stdout), {
    tried: { namespace: 'default', name: 'orders', broker: 'default', topics: [topic], running: null },
    result: { events: 3, matched: 1, compared: null, samples: { matched: [{ id: 'a' }], unmatched: [{ id: 'b' }] } },
  });
});

t.test('a wrong command line, wrong manifests and a missing server say what would be right', async (t) => {
  const { url, run } = await setUp(t);
  t.match(await run('orders.yaml', ['--since', 'yesterday']), {
    code: 2,
    stderr: /--since must be a duration before now/,
  });
  t.match(await run('orders.yaml', ['--since', '2999-01-01T00:00:00Z']), {
    code: 2,
    stderr: /must not be later than now/,
  });
  t.match(await run('orders.yaml', ['--samples', '101']), {
    code: 2,
    stderr: /--samples must be a whole number, 0 to 100/,
  });
  t.match(await run('orders.yaml', ['-o', 'yaml']), { code: 2, stderr: '-o yaml is not known here; there is -o json' });
  t.match(await run('orders.yaml', ['x']), { code: 2, stderr: 'try takes a file with -f, but got x' });
  t.match(await posthorn(['try']), { code: 2, stderr: 'say what with -f FILE' });
  t.match(await run('orders.yaml', ['--trigger', 'order']), {
    code: 1,
    stderr: /have no trigger order; did you mean orders\?/,
  });
  t.match(await run('.', []), { code: 1, stderr: /the manifests have 2 triggers; name the one that is to be tried/ });
  t.match(await run('orders.yaml', ['--server', 'http://127.0.0.1:1234']), {
    code: 1,
    stderr: /no Posthorn answers at/,
  });
  const broken = await posthorn(['try', '-f', '-', '--server', url], { stdin: orders.replace('exact', 'exakt') });
  t.strictSame(broken, {
    code: 1,
    stdout: '',
    stderr: `error: standard input:8:15: spec.filters[0].exakt: unknown field; did you mean exact?
posthorn: the manifests have 1 error
`,
  });
});

/** A server that answers with these lines, the last of them when the test says so. */
async function scripted(t: Test, lines: readonly object[], last: Promise<void>) {
  const server = createServer(async (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const line of lines.slice(0, -1)) response.write(`${JSON.stringify(line)}\n`);
    await last;
    response.end(`${JSON.stringify(lines.at(-1))}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('the progress is shown at a terminal, and an answer that breaks off is an error', async (t) => {
  const tried = { namespace: 'default', name: 'orders', broker: 'default', topics: [topic], since: '', running: null };
  const progress = { read: 250, total: 1_000, matched: 7 };
  const problem = { status: 503, title: 'Service Unavailable', detail: 'Posthorn is stopping', type: 'about:blank' };
  const gate = Promise.withResolvers<void>();
  const url = await scripted(t, [{ tried }, { progress }, { problem }], gate.promise);
  const file = join(t.testdir({ 'orders.yaml': orders }), 'orders.yaml');
  // Long enough for the bar, which is drawn every 100 ms.
  setTimeout(gate.resolve, 500);
  const shown = await posthorn(['try', '-f', file, '--server', url], { terminal: true });
  t.match(shown.stderr, '[######..................] 25 %  250 of 1,000 events read  7 match');
  t.ok(shown.stderr.endsWith('\r\u001b[Kposthorn: Posthorn is stopping\n'), shown.stderr);
  t.equal(shown.code, 1);
  const cut = await scripted(t, [{ tried }, { progress }], Promise.resolve());
  t.match(await posthorn(['try', '-f', file, '--server', cut]), {
    code: 1,
    stderr: /^posthorn: http:\S+ broke off its answer: there is no result\n$/,
  });
});

onBothLogs('a running Posthorn tries a filter on what it delivered, and delivers nothing again', async (t, log) => {
  const handler = await startSink();
  t.teardown(() => handler.close());
  const server = await startPosthorn(log.args);
  t.teardown(() => server.kill());
  const running = triggerYaml('orders', handler.url, { filters: '[{ prefix: { type: order. } }]' });
  await applyTo(server.adminUrl, running);
  for (const type of ['order.created', 'order.deleted', 'bill.paid']) {
    t.match(await posthorn(['send', '--url', server.url, '--type', type, '--count', '10']), { code: 0 });
  }
  await until(() => handler.requests.length === 20, 'all is delivered');
  const file = join(t.testdir({ 'orders.yaml': orders }), 'orders.yaml');
  const args = ['try', '-f', file, '-o', 'json', '--since', '10m'];
  const { code, stdout } = await posthorn(args, { env: { POSTHORN_SERVER: server.adminUrl } });
  t.equal(code, 0);
  const { tried, result } = JSON.parse(stdout);
  t.equal(tried.running, 1);
  t.match(result, { events: 30, matched: 10, compared: { matched: 20, newlyMatched: 0, noLongerMatched: 10 } });
  t.equal(result.samples.matched.length, 5);
  t.equal(handler.requests.length, 20);
});
