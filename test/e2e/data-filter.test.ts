import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/** More than any evaluation may do: each of a thousand with each. */
const heavy = 'data.list.exists(a, data.list.exists(b, a + b < 0))';

onBothLogs('triggers get the events whose data passes; what has no answer is a dead letter', async (t, log) => {
  const names = ['large', 'swiss', 'every', 'heavy', 'heavy-sink', 'own'];
  const sinks = new Map(await Promise.all(names.map(async (name) => [name, await startSink()] as const)));
  const deadLetterSink = await startSink();
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => Promise.all([posthorn.kill(), ...[deadLetterSink, ...sinks.values()].map((sink) => sink.close())]));
  const trigger = (name: string, dataFilter: string | null, more: Parameters<typeof triggerYaml>[2] = {}): string => {
    const annotations = { ...more.annotations, ...(dataFilter !== null && { 'posthorn.dev/data-filter': dataFilter }) };
    return triggerYaml(name, sinks.get(name)?.url ?? '', { ...more, annotations });
  };
  await applyTo(
    posthorn.adminUrl,
    trigger('large', 'data.amount > 100'),
    trigger('swiss', `data.country == 'CH' && event.subject.startsWith('order')`, {
      filters: '[{ exact: { type: com.example.order } }]',
    }),
    trigger('every', null),
    trigger('heavy', heavy),
    trigger('heavy-sink', heavy, { delivery: `{ retry: 1, deadLetterSink: { uri: "${deadLetterSink.url}" } }` }),
    trigger('own', 'data.amount > 100', { annotations: { 'posthorn.dev/consumer-group': 'own' } }),
  );

  const send = async (id: string, body: string, type = 'com.example.order', contentType = 'application/json') => {
    const attributes = { specversion: '1.0', id, source: '/shop', type, subject: `order/${id}` };
    const headers = Object.entries(attributes).map(([name, value]): [string, string] => [`ce-${name}`, value]);
    const response = await fetch(posthorn.url, {
      method: 'POST',
      body,
      headers: [...headers, ['content-type', contentType]],
    });
    t.equal(response.status, 202);
  };
  const list = JSON.stringify(Array.from({ length: 1_000 }, (_, index) => index));
  await send('small', '{"amount": 99, "country": "CH"}');
  await send('large', '{"amount": 101, "country": "DE", "list": []}');
  await send('other-type', '{"amount": 101.5, "country": "CH"}', 'com.example.other');
  await send('text', '{"amount": 200}', 'com.example.order', 'text/plain');
  await send('list', `{"amount": 300, "list": ${list}}`);
  await send('broken', '{"amount": 400', 'com.example.order');

  const idsAt = (name: string): unknown[] =>
    (sinks.get(name)?.requests ?? []).map(({ headers }) => headers['ce-id']).sort();
  const dead = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'data_filter' });
  await until(async () => idsAt('every').length === 6 && (await dead()) === 7, 'all that there is', 30_000);
  await until(() => deadLetterSink.requests.length === 2 && idsAt('large').length === 3, 'the sink is told', 30_000);
  await until(() => idsAt('own').length === 3 && idsAt('swiss').length === 1, 'the rest', 30_000);
  t.strictSame(idsAt('large'), ['large', 'list', 'other-type']);
  t.strictSame(idsAt('own'), ['large', 'list', 'other-type']);
  t.strictSame(idsAt('swiss'), ['small']);
  t.strictSame(idsAt('every'), ['broken', 'large', 'list', 'other-type', 'small', 'text']);
  t.strictSame([...idsAt('heavy'), ...idsAt('heavy-sink')], []);
  t.strictSame(deadLetterSink.requests.map(({ headers }) => headers['ce-id']).sort(), ['broken', 'list']);

  const shown = await fetch(`${posthorn.adminUrl}/api/v1/namespaces/default/triggers/heavy`);
  t.match(await shown.json(), { metadata: { annotations: { 'posthorn.dev/data-filter': heavy } } });
  t.equal(await posthorn.stop(), 0);

  const opened = await log.open();
  t.teardown(() => opened.close());
  const letters = (await readTopic(opened, `${log.prefix}.default.default._dead-letter`)).map((record) => {
    const { 'posthorn-trigger': name, 'posthorn-reason': reason, ...headers } = textHeaders(record);
    t.equal(headers['posthorn-attempts'], '0', 'nobody was called');
    t.equal(headers['posthorn-dead-letter-sink'], name === 'default/heavy-sink' ? 'delivered' : undefined);
    if (headers.ce_id === 'list') t.equal(record.value?.toString(), `{"amount": 300, "list": ${list}}`, 'the event');
    return `${name} ${headers.ce_id}: ${reason}`;
  });
  const reasons = letters.map((letter) => letter.replace(/ says: .*/, ' says')).sort();
  const broken = 'the data is not the JSON that its datacontenttype application/json says';
  const tooLong = 'the data filter would need more than 50000 steps for this event';
  const expected = (name: string, id: string, reason: string): string =>
    `default/${name} ${id}: the data filter of trigger default/${name} has no answer: ${reason}`;
  t.strictSame(
    reasons,
    [
      ...['heavy', 'heavy-sink', 'large', 'own', 'swiss'].map((name) => expected(name, 'broken', broken)),
      ...['heavy', 'heavy-sink'].map((name) => expected(name, 'list', tooLong)),
    ].sort(),
  );
});
