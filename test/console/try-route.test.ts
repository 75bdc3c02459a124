import { request } from 'node:http';
import t, { type Test } from 'tap';
import { LogUnavailableError } from '../../broker/log/errors.ts';
import type { Log } from '../../broker/log/log.ts';
import { toRecord } from '../../event/kafka.ts';
import { eventWith } from '../filter/sample.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';
import { serveAdmin } from './setup.ts';

const topic = 'posthorn.default.default';
const orders = triggerYaml('orders', 'http://handler.example/', { filters: '[{ exact: { type: order.created } }]' });
const deletions = orders.replace('order.created', 'order.deleted');

async function post(url: string, query: string, body: string, type = 'application/yaml') {
  const response = await fetch(`${url}/api/v1/try${query}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
  const text = await response.text();
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { status, headers } = response;
  return { status, type: headers.get('content-type'), connection: headers.get('connection'), lines };
}

/** A log whose reads of the events topic wait until they are let go, or fail. */
function held(log: Log) {
  const gate = Promise.withResolvers<void>();
  const state = { reads: 0, release: gate.resolve, fail: gate.reject };
  const proxy = new Proxy(log, {
    get(target, property) {
      const value = Reflect.get(target, property);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (property === 'read' && args[0] === topic) {
          state.reads += 1;
          await gate.promise;
        }
        return value.apply(target, args);
      };
    },
  });
  return { state, proxy };
}

async function serveHeld(t: Test) {
  let holder: ReturnType<typeof held> | undefined;
  const served = await serveAdmin(t, (log) => {
    holder = held(log);
    return holder.proxy;
  });
  const { state } = holder ?? held(served.log);
  t.teardown(() => state.release());
  await served.log.append(topic, 0, [toRecord(eventWith({ type: 'order.created' }))]);
  return { ...served, state };
}

t.test(
  'POST /try answers with what is tried, the progress and the result, a line each; nothing is applied',
  async (t) => {
    const { url, log, brokers } = await serveAdmin(t);
    for (let n = 0; n < 4; n++) {
      const type = n === 0 ? 'order.created' : 'order.deleted';
      await log.append(topic, n % 2, [toRecord(eventWith({ type, id: String(n) }))]);
    }
    const first = await post(url, '?since=1h', orders);
    // A connection that was kept open would hold up a Posthorn that stops.
    t.match(first, { status: 200, type: /^application\/x-ndjson/, connection: 'close' });
    t.match(first.lines[0], {
      tried: { namespace: 'default', name: 'orders', broker: 'default', topics: [topic], running: null },
    });
    t.match(first.lines[1], { progress: { total: 4 } });
    t.match(first.lines.at(-1), { result: { events: 4, matched: 1, compared: null } });
    t.equal(brokers.get('default', 'default')?.stored().triggers.size, 0);

    await applyTo(url, orders);
    const changed = await post(url, '', deletions);
    t.match(changed.lines[0], { tried: { running: 1 } });
    t.match(changed.lines.at(-1), {
      result: { matched: 3, compared: { matched: 1, newlyMatched: 3, noLongerMatched: 1 } },
    });
    const several = JSON.stringify({
      files: [
        { file: 'a', text: orders },
        { file: 'b', text: orders.replace('name: orders', 'name: b') },
      ],
    });
    const chosen = await post(url, '?trigger=b&samples=0', several, 'application/vnd.posthorn.files+json');
    t.match(chosen.lines, [{ tried: { name: 'b', running: null } }, {}, { result: { samples: { matched: [] } } }]);
  },
);

t.test('what is wrong with a request is answered as a problem', async (t) => {
  const { url } = await serveAdmin(t);
  const refusals: [string, string, number, object][] = [
    [
      '?since=yesterday',
      orders,
      400,
      { code: 'BAD_REQUEST', detail: /since must be a duration before now.*"yesterday"/ },
    ],
    ['?since=2999-01-01T00:00:00Z', orders, 400, { detail: /since must not be later than now/ }],
    ['?samples=101', orders, 400, { detail: 'samples is a whole number, 0 to 100, not 101' }],
    ['?sinse=1h', orders, 400, { detail: /unknown parameter sinse; did you mean since\?/ }],
    [
      '',
      orders.replace('exact', 'exakt'),
      422,
      { code: 'MANIFEST', problems: [{ field: 'spec.filters[0].exakt', line: 8 }] },
    ],
    [
      '',
      `${orders}---\n${orders.replace('name: orders', 'name: b')}`,
      400,
      { detail: /have 2 triggers; name the one/ },
    ],
    ['?trigger=ordres', orders, 400, { detail: 'the manifests have no trigger ordres; did you mean orders?' }],
    ['', '{ "apiVersion": "v1", "kind": "ConfigMap" }', 400, { detail: 'the manifests have no trigger' }],
    [
      '',
      orders.replace('broker: default', 'broker: sales'),
      404,
      { code: 'BROKER_UNKNOWN', detail: /no broker default\/sales/ },
    ],
  ];
  for (const [query, body, status, problem] of refusals) {
    const { lines, ...answer } = await post(url, query, body);
    t.match(answer, { status, type: /^application\/problem\+json/ }, query);
    t.match(lines, [{ status, ...problem }], `${query} ${body}`);
  }
});

t.test('two filters are tried at a time; who goes away makes room for another', async (t) => {
  const { url, state } = await serveHeld(t);
  const leave = (): (() => void) => {
    const sent = request(`${url}/api/v1/try`, { method: 'POST', headers: { 'content-type': 'application/yaml' } });
    sent.on('response', (response) => void response.resume().on('error', () => {}));
    sent.on('error', () => {});
    sent.end(orders);
    return () => void sent.destroy();
  };
  const leaving = [leave(), leave()];
  await until(() => state.reads === 2, 'both are being tried');
  t.match(await post(url, '', orders), { status: 503, lines: [{ code: 'TRY_BUSY' }] });
  for (const away of leaving) away();
  let third: Promise<Awaited<ReturnType<typeof post>>> | undefined;
  state.release();
  await until(async () => {
    third = post(url, '', orders);
    return (await third).status === 200;
  }, 'there is room again');
  t.match((await third)?.lines.at(-1), { result: { events: 1, matched: 1 } });
});

t.test('a log that fails while it is read is the last line of the answer', async (t) => {
  const { url, state } = await serveHeld(t);
  const answer = post(url, '', orders);
  await until(() => state.reads === 1, 'it is being tried');
  state.fail(new LogUnavailableError('the line is cut'));
  t.match(await answer, { status: 200, lines: [{ tried: {} }, { problem: { status: 503, code: 'LOG_UNAVAILABLE' } }] });
});

t.test('a Posthorn that stops ends what is being tried, and says so', async (t) => {
  const { url, state, close } = await serveHeld(t);
  const answer = post(url, '', orders);
  await until(() => state.reads === 1, 'it is being tried');
  const closed = close();
  state.release();
  t.match(await answer, { lines: [{ tried: {} }, { problem: { status: 503, detail: 'Posthorn is stopping' } }] });
  await closed;
});
