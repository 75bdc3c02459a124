import type { Test } from 'tap';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const replyHeaders = {
  'ce-specversion': '1.0',
  'ce-id': 'answer',
  'ce-source': '/handler',
  'ce-type': 'com.example.answer',
  'content-type': 'application/json',
};

onBothLogs('a CloudEvent in the answer goes back to the broker and to who wants it', async (t, log) => {
  const structured = `{"specversion":"1.0","id":"answer","source":"/handler","type":"com.example.answer","data":{"n":1.00}}`;
  const answers: Record<string, SinkAnswer> = {
    binary: { headers: replyHeaders, body: '{"n":1.00}' },
    structured: { headers: { 'content-type': 'application/cloudevents+json' }, body: structured },
    accepted: { status: 202, headers: replyHeaders, body: 'ignored' },
    plain: { headers: { 'content-type': 'text/html' }, body: '<p>not an event</p>' },
  };
  const handler = await startSink((request) => answers[String(request.headers['ce-id'])] ?? {});
  const reader = await startSink();
  t.teardown(() => Promise.all([handler.close(), reader.close()]));
  const posthorn = await started(t, log);
  await applyTo(
    posthorn.adminUrl,
    triggerYaml('handler', handler.url, { filters: '[{ exact: { type: com.example.question } }]' }),
    triggerYaml('reader', reader.url, { filters: '[{ exact: { type: com.example.answer } }]' }),
  );
  for (const id of Object.keys(answers)) await post(posthorn.url, id);
  await until(() => reader.requests.length === 2, 'two replies');
  await until(async () => (await metric(posthorn.adminUrl, 'posthorn_deliveries_total')) === 6, 'all deliveries');
  for (const request of reader.requests) {
    t.match(request.headers, { 'ce-id': 'answer', 'ce-source': '/handler', 'ce-posthornhops': '2' });
    t.equal(request.body.toString(), '{"n":1.00}');
  }
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total'), 0);
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('a loop of replies ends at the hop limit, in the dead-letter topic', async (t, log) => {
  const echo = await startSink((request) => ({
    headers: { ...replyHeaders, 'ce-id': `${request.headers['ce-id']}+` },
    body: '{}',
  }));
  t.teardown(() => echo.close());
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('echo', echo.url));
  await post(posthorn.url, 'loop');
  const deadLetters = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'hop_limit' });
  await until(async () => (await deadLetters()) === 1, 'the loop to end', 30_000);
  t.equal(echo.requests.length, 17, 'the event itself and 16 replies');
  t.equal(echo.requests.at(-1)?.headers['ce-posthornhops'], '17');
  const [letter] = await deadLettersOf(t, log, posthorn);
  t.match(textHeaders(letter), { 'posthorn-reason': /more than 16 hops/, ce_id: `loop${'+'.repeat(17)}` });
});

onBothLogs('a malformed reply is dead-lettered itself, and the delivery stands', async (t, log) => {
  const { 'ce-source': _, ...withoutSource } = replyHeaders;
  const handler = await startSink(() => ({ headers: withoutSource, body: 'the reply' }));
  t.teardown(() => handler.close());
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('handler', handler.url));
  await post(posthorn.url, 'once');
  await until(async () => (await metric(posthorn.adminUrl, 'posthorn_deliveries_total')) === 1, 'the delivery');
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'invalid_reply' }), 1);
  t.equal(handler.requests.length, 1, 'the subscriber is not called again');
  const [letter] = await deadLettersOf(t, log, posthorn);
  t.match(textHeaders(letter), {
    'posthorn-reason': /malformed reply: .*source/,
    'posthorn-trigger': 'default/handler',
  });
  t.equal(letter?.value?.toString(), 'the reply');
});

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}

async function post(url: string, id: string): Promise<void> {
  const headers = { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/test', 'ce-type': 'com.example.question' };
  const response = await fetch(url, { method: 'POST', headers });
  if (response.status !== 202) throw new Error(`answered ${response.status}: ${await response.text()}`);
}

async function deadLettersOf(t: Test, log: LogUnderTest, posthorn: PosthornProcess) {
  t.equal(await posthorn.stop(), 0);
  const opened = await log.open();
  t.teardown(() => opened.close());
  return readTopic(opened, `${log.prefix}.default.default._dead-letter`);
}
