import { Kafka, logLevel } from 'kafkajs';
import t, { type Test } from 'tap';
import type { Log, NewRecord } from '../../broker/log/log.ts';
import { brokerYaml, externalTopic } from '../support/brokers.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { kafkaUnderTest, type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type Sink, startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const spec = { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 };

/** An event of Wikimedia's on a topic, named by a number. */
function pageRecord(id: number | string): NewRecord {
  const meta = {
    id: String(id),
    stream: 'mediawiki.page_change.v1',
    dt: '2026-01-05T10:00:00Z',
    domain: 'de.wiki.org',
  };
  const value = { $schema: '/mediawiki/page/change/1.2.0', meta, wiki_id: 'dewiki', page: { page_id: Number(id) % 7 } };
  return record(JSON.stringify(value), `{"wiki_id":"dewiki","page_id":${Number(id) % 7}}`);
}

function record(value: string, key: string | null = null): NewRecord {
  return { key: key === null ? null : Buffer.from(key), value: Buffer.from(value), headers: {} };
}

onBothLogs('two topics of plain records are one broker, each with its positions', async (t, log) => {
  const [eqiad, codfw] = [`ext.${log.prefix}.eqiad`, `ext.${log.prefix}.codfw`];
  await prepared(log, async (opened) => {
    await opened.ensureTopics([eqiad], { ...spec, partitions: 2 });
    await opened.ensureTopics([codfw], spec);
    await opened.append(eqiad, 0, [pageRecord(1), record('no JSON', 'k'), pageRecord(2)]);
    await opened.append(eqiad, 1, [pageRecord(3)]);
    await opened.append(codfw, 0, [pageRecord(4), pageRecord(5)]);
  });
  const sink = await startSink();
  t.teardown(() => sink.close());
  const first = await started(t, log);
  await applyTo(
    first.adminUrl,
    brokerYaml('pages', {
      ...{ [externalTopic]: `${eqiad},${codfw}`, 'posthorn.dev/initial-offset': 'earliest' },
      'posthorn.dev/attributes': 'wikimedia',
    }),
    triggerOf('all', sink.url),
  );
  await until(() => sink.requests.length === 5, 'what was in the topics');
  t.strictSame(idsOf(sink), ['1', '2', '3', '4', '5']);
  t.match(sink.requests.find(({ headers }) => headers['ce-id'] === '4')?.headers, {
    'ce-source': 'https://de.wiki.org',
    'ce-type': 'mediawiki.page_change.v1',
    'ce-time': '2026-01-05T10:00:00Z',
    'ce-partitionkey': '{%22wiki_id%22:%22dewiki%22,%22page_id%22:4}',
    'content-type': 'application/json',
  });
  await until(async () => (await lag(first, codfw)) === 0 && (await lag(first, eqiad)) === 0, 'both to have no lag');
  t.equal(await metric(first.adminUrl, 'posthorn_dead_letters_total', { reason: 'unreadable' }), 1);

  const own = await startSink();
  t.teardown(() => own.close());
  const annotations = { 'kafka.eventing.knative.dev/delivery.order': 'ordered' };
  await applyTo(first.adminUrl, triggerOf('own', own.url, annotations));
  t.equal(await first.stop(), 0);
  await prepared(log, async (opened) => {
    const [letter, ...more] = await readTopic(opened, `${log.prefix}.default.pages._dead-letter`);
    t.equal(more.length, 0);
    t.equal(`${letter?.key} ${letter?.value}`, 'k no JSON', 'as it was');
    const origin = `${eqiad}/0/1`;
    t.match(textHeaders(letter), { 'posthorn-reason': /the value is not JSON/, 'posthorn-origin': origin });
    await opened.append(codfw, 0, [pageRecord(6)]);
    await opened.append(eqiad, 1, [pageRecord(7)]);
  });

  const second = await started(t, log);
  await until(() => sink.requests.length === 7 && own.requests.length === 2, 'what came meanwhile');
  t.strictSame(idsOf(own), ['6', '7'], 'the new group begins at the end of each topic');
  await applyTo(second.adminUrl, triggerOf('own', own.url));
  const [url, headers] = [
    `${second.url}/default/pages`,
    { 'ce-specversion': '1.0', 'ce-source': '/t', 'ce-type': 't' },
  ];
  const posted = await fetch(url, { method: 'POST', headers: { ...headers, 'ce-id': 'posted' } });
  t.equal(posted.status, 202);
  await until(() => [sink, own].every((one) => idsOf(one).includes('posted')), 'what is posted, in the first topic');
  t.strictSame(
    [...new Set(idsOf(own))],
    ['6', '7', 'posted'],
    'back in the shared group, where both overlap for a while',
  );
  t.strictSame(idsOf(sink), ['1', '2', '3', '4', '5', '6', '7', 'posted']);
  t.equal(await second.stop(), 0);
});

onBothLogs('replies go to another broker, as data alone with a key of their data', async (t, log) => {
  const [from, to] = [`ext.${log.prefix}.revisions`, `ext.${log.prefix}.contents`];
  await prepared(log, async (opened) => {
    await opened.ensureTopics([from], spec);
    await opened.ensureTopics([to], spec);
  });
  const ce = { 'ce-specversion': '1.0', 'ce-source': '/enricher', 'ce-type': 'page_content' };
  const enricher = await startSink(({ headers, body }) => {
    const answer = body.toString().replace('}', ',"text":"é","n":1.00}');
    return { headers: { ...ce, 'ce-id': `${headers['ce-id']}-c`, 'content-type': 'application/json' }, body: answer };
  });
  const reader = await startSink();
  t.teardown(() => Promise.all([enricher.close(), reader.close()]));
  const posthorn = await started(t, log);
  await applyTo(
    posthorn.adminUrl,
    brokerYaml('revisions', { [externalTopic]: from, 'posthorn.dev/initial-offset': 'earliest' }),
    brokerYaml('contents', {
      ...{ [externalTopic]: to, 'posthorn.dev/initial-offset': 'earliest', 'posthorn.dev/value-format': 'data' },
      'posthorn.dev/key': '{"wiki_id": "/wiki_id", "page_id": "/page_id"}',
    }),
    triggerOf('enrich', enricher.url, { 'posthorn.dev/reply-to': 'default/contents' }, 'revisions'),
    triggerOf('read', reader.url, {}, 'contents'),
  );
  const send = async (body: string, broker: string, more: Record<string, string> = {}): Promise<string> => {
    const headers = { ...ce, 'ce-id': '1', 'content-type': 'application/json', ...more };
    const response = await fetch(`${posthorn.url}/default/${broker}`, { method: 'POST', headers, body });
    return `${response.status} ${await response.text()}`;
  };
  t.match(await send('{"page_id":12345678901234567890,"wiki_id":"dewiki"}', 'revisions'), /^202/);
  await until(() => reader.requests.length === 1, 'the reply, in the topic of the other broker');
  const [request] = reader.requests;
  t.equal(request?.body.toString(), '{"page_id":12345678901234567890,"wiki_id":"dewiki","text":"é","n":1.00}');
  t.match(request?.headers, {
    'ce-type': 'dev.knative.kafka.event',
    'ce-source': `/apis/v1/namespaces/default/kafkasources/contents#${to}`,
    'ce-posthornhops': '2',
    'content-type': 'application/json',
  });
  t.match(await send('{"wiki_id":"dewiki"}', 'contents'), /^400 .*does not have all that posthorn\.dev\/key names/);
  t.match(await send('{"wiki_id":"dewiki"}', 'revisions'), /^202/);
  const refused = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'invalid_reply' });
  await until(async () => (await refused()) === 1, 'a reply without a key to be dead-lettered');
  const delivered = () => metric(posthorn.adminUrl, 'posthorn_deliveries_total', { trigger: 'enrich' });
  await until(async () => (await delivered()) === 2, 'the delivery to stand all the same');
  t.equal(await posthorn.stop(), 0);
  await prepared(log, async (opened) => {
    const [written, ...more] = await readTopic(opened, to);
    t.equal(more.length, 0);
    t.equal(written?.key?.toString(), '{"wiki_id":"dewiki","page_id":12345678901234567890}');
    t.strictSame(textHeaders(written), { 'content-type': 'application/json', 'posthorn-hops': '1' });
    const [letter] = await readTopic(opened, `${log.prefix}.default.revisions._dead-letter`);
    t.match(textHeaders(letter), { 'posthorn-reason': /^malformed reply: the record's key can't be made/ });
  });
});

onBothLogs('a ring of brokers that answer each other ends at the hop limit, data alone or not', async (t, log) => {
  const echo = await startSink(({ headers }) => ({
    headers: { 'ce-specversion': '1.0', 'ce-id': `${headers['ce-id']}+`, 'ce-source': '/e', 'ce-type': 'e' },
  }));
  t.teardown(() => echo.close());
  const posthorn = await started(t, log);
  await applyTo(
    posthorn.adminUrl,
    brokerYaml('ping', {}),
    brokerYaml('pong', { 'posthorn.dev/value-format': 'data' }),
    triggerOf('ping', echo.url, { 'posthorn.dev/reply-to': 'default/pong' }, 'ping'),
    triggerOf('pong', echo.url, { 'posthorn.dev/reply-to': 'default/ping' }, 'pong'),
  );
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/t', 'ce-type': 't' };
  await fetch(`${posthorn.url}/default/ping`, { method: 'POST', headers });
  const ended = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'hop_limit' });
  await until(async () => (await ended()) === 1, 'the ring to end');
  t.equal(echo.requests.length, 17, 'the event itself and 16 replies');
  t.equal(await posthorn.stop(), 0);
});

t.test('plain records of every compression are read', async (t) => {
  const codecs = ['gzip', 'snappy', 'lz4', 'zstd'];
  const log = await kafkaUnderTest();
  const topics = codecs.map((codec) => `ext.${log.prefix}.${codec}`);
  const admin = new Kafka({ brokers: await kafkaBrokers(), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({
    topics: codecs.map((value, n) => ({
      topic: topics[n] ?? '',
      configEntries: [{ name: 'compression.type', value }],
    })),
    waitForLeaders: false,
  });
  await admin.disconnect();
  await prepared(log, async (opened) => {
    for (const topic of topics) {
      await until(
        () =>
          opened.append(topic, 0, [pageRecord(1), pageRecord(2)]).then(
            () => true,
            () => false,
          ),
        topic,
      );
    }
  });
  const sink = await startSink();
  t.teardown(() => sink.close());
  const posthorn = await started(t, log);
  const annotations = { [externalTopic]: topics.join(), 'posthorn.dev/initial-offset': 'earliest' };
  await applyTo(posthorn.adminUrl, brokerYaml('pages', annotations), triggerOf('all', sink.url));
  await until(() => sink.requests.length === 8, 'two records of each');
  const sources = new Set(sink.requests.map(({ headers }) => String(headers['ce-source']).split('#')[1]));
  t.strictSame([...sources].sort(), topics.toSorted());
  t.equal(await posthorn.stop(), 0);
});

t.test(
  'of a topic that is read from its end, what comes after the apply is delivered, however late a lane begins',
  async (t) => {
    const log = await kafkaUnderTest();
    const topic = `ext.${log.prefix}.pages`;
    await prepared(log, async (opened) => {
      await opened.ensureTopics([topic], spec);
      await opened.append(topic, 0, [pageRecord(1)]);
    });
    const sink = await startSink();
    t.teardown(() => sink.close());
    const ingress = await started(t, log, '--roles', 'ingress');
    await applyTo(ingress.adminUrl, brokerYaml('pages', { [externalTopic]: topic }), triggerOf('all', sink.url));
    const headers = { 'ce-specversion': '1.0', 'ce-id': '2', 'ce-source': '/t', 'ce-type': 't' };
    t.equal((await fetch(`${ingress.url}/default/pages`, { method: 'POST', headers })).status, 202);
    const dispatcher = await started(t, log, '--roles', 'dispatcher');
    await until(() => sink.requests.length > 0, 'what was accepted before there was a lane');
    t.strictSame(idsOf(sink), ['2'], 'and nothing that was there before');
    t.equal(await dispatcher.stop(), 0);
    t.equal(await ingress.stop(), 0);
  },
);

function triggerOf(name: string, url: string, annotations: Record<string, string> = {}, broker = 'pages'): string {
  return triggerYaml(name, url, { annotations }).replace('broker: default', `broker: ${broker}`);
}

function idsOf(sink: Sink): string[] {
  return sink.requests.map(({ headers }) => String(headers['ce-id'])).sort();
}

function lag(posthorn: PosthornProcess, topic: string): Promise<number> {
  return metric(posthorn.adminUrl, 'posthorn_lane_lag_records', { topic });
}

/** Does something with the log while no Posthorn runs on it. */
async function prepared(log: LogUnderTest, run: (opened: Log) => Promise<void>): Promise<void> {
  const opened = await log.open();
  try {
    await run(opened);
  } finally {
    await opened.close();
  }
}

async function started(t: Test, log: LogUnderTest, ...more: readonly string[]): Promise<PosthornProcess> {
  const posthorn = await startPosthorn([...log.args, ...more]);
  t.teardown(() => posthorn.kill());
  return posthorn;
}
