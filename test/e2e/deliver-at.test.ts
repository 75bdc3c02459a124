import { request } from 'undici';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { type SinkRequest, startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/** Triggers by their lanes, each with its path at the sink. */
const lanes = {
  shared: {},
  own: { 'posthorn.dev/consumer-group': 'own' },
  ordered: { 'kafka.eventing.knative.dev/delivery.order': 'ordered' },
};
const paths = Object.keys(lanes).map((lane) => `/${lane}`);

/** More than the 100 ms of a quiet machine, which the tests of the retry lane hold to the millisecond. */
const toleranceMs = 1_000;

onBothLogs('an event goes out at its deliverat from every lane, after a SIGKILL too', async (t, log) => {
  const sink = await startSink();
  t.teardown(() => sink.close());
  const triggers = Object.entries(lanes).map(([lane, annotations]) =>
    triggerYaml(lane, `${sink.url}/${lane}`, { annotations }),
  );
  const arrived = (id: string) => sink.requests.filter(({ headers }) => headers['ce-id'] === id);
  const pathsOf = (id: string) => [...new Set(arrived(id).map(({ path }) => path))].sort();
  const first = await startPosthorn(log.args);
  t.teardown(() => first.kill());
  await applyTo(first.adminUrl, ...triggers);

  t.equal(await send(first.url, 'passed', Date.now() - 1_000), 202);
  await until(() => pathsOf('passed').length === 3, 'all lanes deliver what has passed', 60_000);
  const latencies = () => metric(first.adminUrl, 'posthorn_event_latency_seconds_sum');
  await until(async () => (await metric(first.adminUrl, 'posthorn_deliveries_total')) === 3, 'all are counted');
  const before = await latencies();
  const due = { soon: Date.now() + 3_000, later: Date.now() + 20_000 };
  // One key, so that of the ordered trigger it would stand before the other.
  t.equal(await send(first.url, 'later', due.later), 202);
  t.equal(await send(first.url, 'soon', due.soon), 202);
  await until(() => pathsOf('soon').length === 3, 'the first are due');
  for (const one of arrived('soon')) t.strictSame(isInTime(one, due.soon), { attempt: '1', isInTime: true }, one.path);
  t.equal(await metric(first.adminUrl, 'posthorn_delayed_deliveries_total'), 6);
  await until(async () => (await metric(first.adminUrl, 'posthorn_deliveries_total')) === 6, 'these are counted');
  const seconds = (await latencies()) - before;
  t.ok(seconds < (3 * toleranceMs) / 1_000, `${seconds} s for three: what was asked for is no latency`);
  await first.kill();

  const second = await startPosthorn(log.args);
  t.teardown(() => second.kill());
  await until(() => pathsOf('later').length === 3, 'the others are due', 60_000);
  t.strictSame(pathsOf('later'), [...paths].sort());
  for (const { headers, atMs } of arrived('later')) {
    t.equal(headers['posthorn-attempt'], '1');
    t.ok(atMs >= due.later, `${atMs - due.later} ms after its time`);
  }
  t.equal(await second.stop(), 0);
});

onBothLogs(
  'a reply may ask for its time, and one that asks for none that there is is dead-lettered',
  async (t, log) => {
    let dueAtMs = 0;
    const sink = await startSink(({ headers }) => {
      if (headers['ce-type'] !== 'com.example.asks') return {};
      dueAtMs = Date.now() + 2_000;
      const deliverat = headers['ce-id'] === 'good' ? new Date(dueAtMs).toISOString() : 'soon';
      const reply = { id: `reply-${headers['ce-id']}`, source: '/h', type: 'com.example.reply', deliverat };
      const attributes = Object.entries({ specversion: '1.0', ...reply }).map(([name, value]) => [`ce-${name}`, value]);
      return { headers: Object.fromEntries(attributes) };
    });
    t.teardown(() => sink.close());
    const posthorn = await startPosthorn(log.args);
    t.teardown(() => posthorn.kill());
    await applyTo(posthorn.adminUrl, triggerYaml('all', sink.url));
    const reply = () => sink.requests.find(({ headers }) => headers['ce-id'] === 'reply-good');
    t.equal(await send(posthorn.url, 'bad', 0, 'com.example.asks'), 202);
    t.equal(await send(posthorn.url, 'good', 0, 'com.example.asks'), 202);
    await until(() => reply() !== undefined, 'the reply is due');
    t.strictSame(isInTime(reply(), dueAtMs), { attempt: '1', isInTime: true });
    const name = 'posthorn_dead_letters_total';
    t.equal(await metric(posthorn.adminUrl, name, { reason: 'invalid_reply' }), 1);
    t.equal(sink.requests.length, 3);
    t.equal(await posthorn.stop(), 0);
  },
);

function isInTime(request: SinkRequest | undefined, dueAtMs: number) {
  const afterMs = (request?.atMs ?? 0) - dueAtMs;
  return {
    attempt: request?.headers['posthorn-attempt'],
    isInTime: (afterMs >= 0 && afterMs < toleranceMs) || afterMs,
  };
}

async function send(url: string, id: string, deliverAtMs: number, type = 'com.example.test'): Promise<number> {
  const headers = {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': '/deliver-at',
    'ce-type': type,
    'ce-partitionkey': 'one',
    'ce-deliverat': new Date(deliverAtMs).toISOString(),
  };
  const answer = await request(url, { method: 'POST', headers });
  await answer.body.dump();
  return answer.statusCode;
}
