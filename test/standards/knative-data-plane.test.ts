import t, { type Test } from 'tap';
import { embeddedUnderTest, type LogUnderTest } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type Sink, type SinkAnswer, type SinkRequest, startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/**
 * The rules of Knative's data plane contract (knative/specs, specs/eventing/data-plane.md) and of "Event Routing" in its
 * control plane contract, each as a test named by its section, on a real Posthorn. docs/knative.md names these tests.
 */

const required = {
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': '/test',
  'ce-type': 'com.example.question',
} as const;

const reply = { ...required, 'ce-id': 'reply', 'ce-type': 'com.example.answer', 'content-type': 'application/json' };

const asQuestion = '[{ exact: { type: com.example.question } }]';
const asAnswer = '[{ exact: { type: com.example.answer } }]';

interface Stage {
  readonly log: LogUnderTest;
  readonly sink: Sink;
  readonly posthorn: PosthornProcess;
  post(headers?: Readonly<Record<string, string>>, body?: string): Promise<number>;
  /** The requests for this path. */
  at(path: string): SinkRequest[];
}

/** A Posthorn, and a sink that answers by the path of the request. */
async function start(t: Test, answers: Readonly<Record<string, SinkAnswer>> = {}): Promise<Stage> {
  const log = await embeddedUnderTest(t);
  const sink = await startSink(({ path }) => answers[path] ?? {});
  t.teardown(() => sink.close());
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return {
    log,
    sink,
    posthorn,
    async post(headers = required, body) {
      const answer = await fetch(posthorn.url, { method: 'POST', headers, ...(body !== undefined && { body }) });
      await answer.arrayBuffer();
      return answer.status;
    },
    at: (path) => sink.requests.filter((request) => request.path === path),
  };
}

function settled({ posthorn }: Stage, deliveries: number, deadLetters: number): Promise<void> {
  return until(async () => {
    const delivered = await metric(posthorn.adminUrl, 'posthorn_deliveries_total');
    return delivered >= deliveries && (await metric(posthorn.adminUrl, 'posthorn_dead_letters_total')) >= deadLetters;
  }, `${deliveries} deliveries and ${deadLetters} dead letters`);
}

/** The headers of the records in the dead-letter topic; Posthorn has ended then. */
async function deadLetters(t: Test, { log, posthorn }: Stage): Promise<Record<string, string>[]> {
  t.equal(await posthorn.stop(), 0);
  const opened = await log.open();
  t.teardown(() => opened.close());
  return (await readTopic(opened, `${log.prefix}.default.default._dead-letter`)).map(textHeaders);
}

t.test('Data plane, Minimum supported protocol: binary and structured mode are accepted', async (t) => {
  const stage = await start(t);
  t.equal(await stage.post(), 202);
  const members = { specversion: '1.0', id: '2', source: '/test', type: 'com.example.question' };
  t.equal(await stage.post({ 'content-type': 'application/cloudevents+json' }, JSON.stringify(members)), 202);
});

t.test('Data plane, HTTP Verbs: an event is delivered by POST, in the content mode that format names', async (t) => {
  const stage = await start(t);
  await applyTo(
    stage.posthorn.adminUrl,
    triggerYaml('none', `${stage.sink.url}/none`),
    triggerYaml('binary', `${stage.sink.url}/binary`, { delivery: '{ format: binary }' }),
    triggerYaml('json', `${stage.sink.url}/json`, { delivery: '{ format: json }' }),
  );
  await stage.post({ ...required, 'content-type': 'application/json' }, '{"n":1.0}');
  await settled(stage, 3, 0);
  t.ok(stage.sink.requests.every(({ method }) => method === 'POST'));
  for (const path of ['/none', '/binary']) {
    const [request] = stage.at(path);
    t.match(request?.headers, { ...required, 'content-type': 'application/json' });
    t.equal(request?.body.toString(), '{"n":1.0}');
  }
  const [request] = stage.at('/json');
  t.match(request?.headers, { 'content-type': 'application/cloudevents+json; charset=utf-8', 'ce-id': undefined });
  t.match(JSON.parse(request?.body.toString() ?? ''), { id: '1', datacontenttype: 'application/json', data: { n: 1 } });
});

/** The table of "Event Acknowledgement and Delivery Retry", and codes between its lines. */
const responses: Readonly<Record<'delivered' | 'retried' | 'refused', readonly number[]>> = {
  delivered: [200, 201, 202, 204, 206, 299],
  // 425 (Too Early) asks by its definition to try again.
  retried: [404, 408, 409, 425, 429, 500, 501, 502, 503, 504, 599],
  refused: [300, 301, 302, 304, 307, 308, 400, 401, 402, 403, 405, 410, 413, 415, 418, 422, 451, 499],
};

t.test('Data plane, Event Acknowledgement and Delivery Retry: what each response code leads to', async (t) => {
  const { delivered, retried, refused } = responses;
  const all = [...delivered, ...retried, ...refused];
  const answers = all.map((status): [string, SinkAnswer] => [`/${status}`, { status, headers: { location: '/200' } }]);
  const stage = await start(t, Object.fromEntries(answers));
  const delivery = '{ retry: 2, backoffPolicy: linear, backoffDelay: PT0.05S, retryAfterMax: PT0S }';
  const triggers = all.map((status) => triggerYaml(`s${status}`, `${stage.sink.url}/${status}`, { delivery }));
  await applyTo(stage.posthorn.adminUrl, ...triggers);
  await stage.post();
  await settled(stage, delivered.length, retried.length + refused.length);
  for (const status of [...delivered, ...refused]) t.equal(stage.at(`/${status}`).length, 1, `${status}: no retry`);
  for (const status of retried) t.equal(stage.at(`/${status}`).length, 3, `${status}: as often as retry says`);
  const codes = (await deadLetters(t, stage)).map(({ ce_knativeerrorcode }) => Number(ce_knativeerrorcode));
  t.strictSame(codes.sort(), [...retried, ...refused].sort(), 'the others are errors, and none is lost');
});

t.test('Data plane, Event Acknowledgement and Delivery Retry: no answer is retried', async (t) => {
  const stage = await start(t, { '/reset': { destroy: true }, '/late': { delayMs: 60_000 } });
  const delivery = '{ retry: 1, backoffDelay: PT0.05S, timeout: PT0.2S }';
  await applyTo(
    stage.posthorn.adminUrl,
    ...['reset', 'late'].map((path) => triggerYaml(path, `${stage.sink.url}/${path}`, { delivery })),
  );
  await stage.post();
  await settled(stage, 0, 2);
  t.equal(stage.at('/reset').length, 2);
  t.equal(stage.at('/late').length, 2, 'an attempt ends with its timeout');
  for (const letter of await deadLetters(t, stage)) {
    t.match(letter, { ce_knativeerrordest: /^http:/, 'posthorn-reason': /attempt 2 of 2/ });
    t.notOk('ce_knativeerrorcode' in letter, 'there is no code where there was no answer');
  }
});

t.test('Data plane, Event Acknowledgement and Delivery Retry: a duplicate is accepted', async (t) => {
  const stage = await start(t);
  t.strictSame([await stage.post(), await stage.post()], [202, 202]);
});

t.test(
  'Data plane, Derived (Reply) Events: a subscriber is asked for a reply, a dead letter sink is not',
  async (t) => {
    const stage = await start(t, { '/subscriber': { status: 400 }, '/dead': { headers: reply, body: '{}' } });
    const delivery = `{ deadLetterSink: { uri: "${stage.sink.url}/dead" } }`;
    await applyTo(
      stage.posthorn.adminUrl,
      triggerYaml('failing', `${stage.sink.url}/subscriber`, { delivery, filters: asQuestion }),
      triggerYaml('reader', `${stage.sink.url}/reader`, { filters: asAnswer }),
    );
    await stage.post();
    await settled(stage, 0, 1);
    t.equal(stage.at('/subscriber')[0]?.headers.prefer, 'reply');
    t.equal(stage.at('/dead')[0]?.headers.prefer, undefined);
    t.equal(await metric(stage.posthorn.adminUrl, 'posthorn_replies_total'), 0, 'what it answers is no reply');
  },
);

t.test('Data plane, Derived (Reply) Events: replies in binary and structured mode, but none of a 202', async (t) => {
  const structured = { specversion: '1.0', id: 'structured', source: '/test', type: 'com.example.answer', data: [1] };
  const stage = await start(t, {
    '/binary': { headers: { ...reply, 'ce-id': 'binary' }, body: '{"n":1.0}' },
    '/structured': { headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(structured) },
    '/created': { status: 201, headers: { ...reply, 'ce-id': 'created' } },
    '/accepted': { status: 202, headers: { ...reply, 'ce-id': 'accepted' }, body: '{}' },
    '/failed': { status: 400, headers: { ...reply, 'ce-id': 'failed' }, body: '{}' },
    '/html': { headers: { 'content-type': 'text/html' }, body: '<p>done</p>' },
    '/empty': { status: 204 },
  });
  const paths = ['binary', 'structured', 'created', 'accepted', 'failed', 'html', 'empty'];
  await applyTo(
    stage.posthorn.adminUrl,
    triggerYaml('reader', `${stage.sink.url}/reader`, { filters: asAnswer }),
    ...paths.map((path) => triggerYaml(path, `${stage.sink.url}/${path}`, { filters: asQuestion })),
  );
  await stage.post();
  await settled(stage, 9, 1);
  t.strictSame(
    stage
      .at('/reader')
      .map(({ headers, body }) => `${headers['ce-id']} ${body}`)
      .sort(),
    ['binary {"n":1.0}', 'created ', 'structured [1]'],
  );
});

t.test(
  'Control plane, Content Based Routing: a reply meets every trigger, the one that it came from too',
  async (t) => {
    const stage = await start(t, { '/echo': { headers: reply, body: '{}' } });
    await applyTo(
      stage.posthorn.adminUrl,
      triggerYaml('echo', `${stage.sink.url}/echo`),
      triggerYaml('reader', `${stage.sink.url}/reader`),
    );
    await stage.post();
    await until(
      async () => (await metric(stage.posthorn.adminUrl, 'posthorn_dead_letters_total')) === 1,
      'the loop to end',
    );
    t.equal(stage.at('/echo').length, 17, 'until the loop is found out');
    await until(() => stage.at('/reader').length === 17, 'the event and its 16 replies');
  },
);

t.test(
  'Control plane, Content Based Routing: a delivery for each trigger that matches, to one destination too',
  async (t) => {
    const stage = await start(t);
    const url = `${stage.sink.url}/same`;
    await applyTo(stage.posthorn.adminUrl, triggerYaml('one', url), triggerYaml('two', url));
    await stage.post({ ...required, 'content-type': 'text/plain' }, 'data \u00e9');
    await settled(stage, 2, 0);
    t.strictSame(
      stage
        .at('/same')
        .map(({ headers }) => headers['posthorn-trigger'])
        .sort(),
      ['default/one', 'default/two'],
    );
    t.ok(
      stage.at('/same').every(({ body }) => body.toString() === 'data \u00e9'),
      'the data is not modified',
    );
  },
);

t.test('Control plane, Event Delivery: a dead letter goes to the deadLetterSink with its extensions', async (t) => {
  const body = 'x'.repeat(2_000);
  const stage = await start(t, { '/failing?a=b': { status: 422, body } });
  const failing = `${stage.sink.url}/failing?a=b`;
  const sinkOf = (path: string): string => `deadLetterSink: { uri: "${stage.sink.url}${path}" }`;
  await applyTo(
    stage.posthorn.adminUrl,
    triggerYaml('binary', failing, { delivery: `{ ${sinkOf('/dead')} }` }),
    triggerYaml('json', failing, { delivery: `{ format: json, ${sinkOf('/dead-json')} }` }),
  );
  await stage.post({ ...required, 'ce-ext': 'kept', 'content-type': 'text/plain' }, 'data');
  await settled(stage, 0, 2);
  const extensions = {
    knativeerrordest: failing,
    knativeerrorcode: '422',
    knativeerrordata: Buffer.from(body.slice(0, 1_024)).toString('base64'),
  };
  const [letter] = stage.at('/dead');
  const headers = Object.entries(extensions).map(([name, value]) => [`ce-${name}`, value]);
  t.match(letter?.headers, { ...required, 'ce-ext': 'kept', ...Object.fromEntries(headers) });
  t.equal(letter?.body.toString(), 'data');
  const [structured] = stage.at('/dead-json');
  t.match(JSON.parse(structured?.body.toString() ?? ''), { id: '1', ext: 'kept', data: 'data', ...extensions });
});

t.test('Control plane, Event Delivery: a deadLetterSink is tried again as often as retry says', async (t) => {
  const stage = await start(t, { '/failing': { status: 400 }, '/dead': { status: 503 } });
  const delivery = `{ retry: 2, backoffDelay: PT0.05S, deadLetterSink: { uri: "${stage.sink.url}/dead" } }`;
  await applyTo(stage.posthorn.adminUrl, triggerYaml('failing', `${stage.sink.url}/failing`, { delivery }));
  await stage.post();
  await until(() => stage.at('/dead').length === 3, 'three attempts');
  t.match(await deadLetters(t, stage), [
    { 'posthorn-dead-letter-sink': /failed: status 503/, ce_knativeerrorcode: '400' },
  ]);
});

t.test('Control plane, Event Delivery: without a deadLetterSink nothing is dropped, the topic holds it', async (t) => {
  const stage = await start(t, { '/failing': { status: 400 } });
  await applyTo(stage.posthorn.adminUrl, triggerYaml('failing', `${stage.sink.url}/failing`));
  await stage.post();
  await settled(stage, 0, 1);
  t.match(await deadLetters(t, stage), [
    { ce_id: '1', ce_knativeerrorcode: '400', 'posthorn-trigger': 'default/failing' },
  ]);
});

t.test('Data plane, Observability: the trace goes on to subscribers and with replies', async (t) => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const began = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const stage = await start(t, { '/handler': { headers: reply, body: '{}' } });
  await applyTo(
    stage.posthorn.adminUrl,
    triggerYaml('handler', `${stage.sink.url}/handler`, { filters: asQuestion }),
    triggerYaml('reader', `${stage.sink.url}/reader`, { filters: asAnswer }),
  );
  await stage.post({ ...required, traceparent, tracestate: 'a=1' });
  await stage.post({ ...required, 'ce-traceparent': began, 'ce-tracestate': 'b=2' });
  await stage.post({ ...required, traceparent, 'ce-traceparent': began });
  await settled(stage, 6, 0);
  const traces = (path: string): string[] =>
    stage
      .at(path)
      .map(({ headers }) => `${headers.traceparent} ${headers.tracestate ?? '-'} ${headers['ce-traceparent'] ?? '-'}`)
      .sort();
  t.strictSame(
    traces('/handler'),
    [`${began} b=2 ${began}`, `${traceparent} - ${began}`, `${traceparent} a=1 -`].sort(),
  );
  t.strictSame(traces('/reader'), [`${began} b=2 -`, `${traceparent} - -`, `${traceparent} a=1 -`].sort());
});
