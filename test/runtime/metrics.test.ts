import t from 'tap';
import { createMetrics } from '../../runtime/metrics.ts';
import { statusClassOf } from '../../runtime/tallies.ts';

/** The value of a series as `/metrics` shows it. */
async function seriesValue(metrics: ReturnType<typeof createMetrics>, series: string): Promise<number | undefined> {
  const text = await metrics.registry.metrics();
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

t.test('what was counted stands in /metrics', async (t) => {
  const metrics = createMetrics();
  metrics.broker('default/orders').accepted(3);
  metrics.broker('default/orders').accepted(2);
  metrics.broker('default/orders').refused('invalid');
  metrics.broker('default/orders').latency(0.004);
  metrics.refusedUnknown('unknown_broker');
  const trigger = metrics.trigger('default/orders', 'mail');
  for (let n = 0; n < 3; n++) trigger.started();
  trigger.ended('5xx', 0.2);
  trigger.retried();
  trigger.ended('2xx', 0.003);
  trigger.delivered();
  trigger.replied('appended');
  trigger.deadLettered('rejected');
  trigger.spilled();

  const expected: Record<string, number> = {
    'posthorn_events_accepted_total{broker="default/orders"}': 5,
    'posthorn_events_refused_total{broker="default/orders",reason="invalid"}': 1,
    'posthorn_events_refused_total{broker="",reason="unknown_broker"}': 1,
    'posthorn_event_latency_seconds_count{broker="default/orders"}': 1,
    'posthorn_deliveries_in_flight{broker="default/orders",trigger="mail"}': 1,
    'posthorn_delivery_attempts_total{broker="default/orders",trigger="mail",status_class="5xx"}': 1,
    'posthorn_delivery_attempts_total{broker="default/orders",trigger="mail",status_class="2xx"}': 1,
    'posthorn_delivery_duration_seconds_bucket{le="0.005",broker="default/orders",trigger="mail"}': 1,
    'posthorn_delivery_duration_seconds_count{broker="default/orders",trigger="mail"}': 2,
    'posthorn_deliveries_total{broker="default/orders",trigger="mail"}': 1,
    'posthorn_retries_total{broker="default/orders",trigger="mail"}': 1,
    'posthorn_replies_total{broker="default/orders",trigger="mail",result="appended"}': 1,
    'posthorn_dead_letters_total{broker="default/orders",trigger="mail",reason="rejected"}': 1,
    'posthorn_retry_spills_total{broker="default/orders",trigger="mail"}': 1,
  };
  for (const [series, value] of Object.entries(expected)) t.equal(await seriesValue(metrics, series), value, series);
  t.equal(
    await seriesValue(metrics, 'posthorn_deliveries_total{broker="default/orders",trigger="mail"}'),
    1,
    'asking does not count',
  );
});

t.test('the series of a known trigger are there at 0, so that a first increase is seen', async (t) => {
  const metrics = createMetrics();
  metrics.trigger('default/orders', 'mail');
  const series = 'posthorn_dead_letters_total{broker="default/orders",trigger="mail",reason="attempts_exhausted"}';
  t.equal(await seriesValue(metrics, series), 0);
});

t.test('a deleted trigger leaves no series behind, even if a delivery of it ends later', async (t) => {
  const metrics = createMetrics();
  const gone = metrics.trigger('default/orders', 'gone');
  metrics.trigger('default/orders', 'stays').delivered();
  metrics.retryBacklogRecords.set({ broker: 'default/orders', trigger: 'gone' }, 7);
  metrics.retentionLeftSeconds.set({ broker: 'default/orders', trigger: 'gone' }, 7);
  gone.started();
  metrics.forgetTrigger('default/orders', 'gone');
  gone.ended('2xx', 0.1);
  gone.delivered();
  const text = await metrics.registry.metrics();
  t.notMatch(text, 'trigger="gone"');
  t.match(text, 'trigger="stays"');
  t.not(metrics.trigger('default/orders', 'gone'), gone, 'a trigger that is made again counts from 0');

  metrics.broker('default/orders').accepted(1);
  metrics.registryFresh.set({ broker: 'default/orders' }, 1);
  metrics.triggersUnindexed.set({ broker: 'default/orders' }, 1);
  metrics.forgetBroker('default/orders');
  t.notMatch(await metrics.registry.metrics(), 'default/orders', 'nor does a deleted broker');
});

t.test('statuses fall in classes', async (t) => {
  t.strictSame([200, 204, 299, 301, 400, 499, 500, 599].map(statusClassOf), [
    '2xx',
    '2xx',
    '2xx',
    '3xx',
    '4xx',
    '4xx',
    '5xx',
    '5xx',
  ]);
});

t.test("the text keeps to Prometheus' conventions", async (t) => {
  const metrics = createMetrics();
  metrics.broker('a/b').latency(1);
  metrics.trigger('a/b', 't').ended('2xx', 1);
  metrics.laneLagRecords.set({ group: 'g', topic: 't', partition: 0 }, 1);
  metrics.lostRecords.inc({ group: 'g', topic: 't', partition: 0 }, 3);
  metrics.consumerDisturbances.inc({ group: 'g' });
  t.match(metrics.registry.contentType, /^text\/plain; version=0\.0\.4/);
  const text = await metrics.registry.metrics();

  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const helps = new Map([...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name = '', help = '']) => [name, help]));
  const own = [...types].filter(([name]) => name.startsWith('posthorn_'));
  t.ok(own.length >= 17, 'all of them are there');
  for (const [name, type] of own) {
    t.match(name, /^[a-z][a-z0-9_]*$/, name);
    t.match(helps.get(name), /^[A-Z0-9].*\.$/, `${name}: its help is a sentence`);
    t.equal(name.endsWith('_total'), type === 'counter', `${name}: _total is for counters`);
    t.notMatch(name, /_(ms|milliseconds|minutes|kb|mb|gauge|counter|histogram)(_|$)/, `${name}: base units, no type`);
    if (type === 'histogram') t.match(name, /_(seconds|events)$/, `${name}: the unit ends the name`);
  }
  for (const line of text.split('\n').filter((one) => one.startsWith('posthorn_'))) {
    t.match(line, /^[a-z0-9_]+(\{([a-z_]+="[^"\\\n]*",?)+\})? [0-9.e+-]+$/, line);
  }
  t.match(text, /^process_cpu_seconds_total /m, 'the process is there too');
  t.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
});
