import type { Test } from 'tap';
import type { LogRecord } from '../../broker/log/log.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const failing = 'no such order';

onBothLogs('retries used up: the dead-letter topic holds the event with all that is known', async (t, log) => {
  const subscriber = await startSink(() => ({ status: 503, body: failing }));
  const goodSink = await startSink();
  const badSink = await startSink(() => ({ status: 500 }));
  t.teardown(() => Promise.all([subscriber, goodSink, badSink].map((sink) => sink.close())));
  const delivery = (sink: string) => `{ retry: 2, backoffPolicy: linear, backoffDelay: PT0.05S${sink} }`;
  const sinkUri = (url: string) => `, deadLetterSink: { uri: "${url}" }`;

  const letters = await run(
    t,
    log,
    [
      triggerYaml('none', subscriber.url, { delivery: delivery('') }),
      triggerYaml('works', subscriber.url, { delivery: delivery(sinkUri(goodSink.url)) }),
      triggerYaml('fails', subscriber.url, { delivery: delivery(sinkUri(badSink.url)) }),
    ],
    () => badSink.requests.length === 3,
  );

  for (const name of ['none', 'works', 'fails']) {
    const letter = letters.get(`default/${name}`);
    const headers = textHeaders(letter);
    t.equal(letter?.key?.toString(), `default/${name}`, `${name}: keyed by trigger`);
    t.equal(letter?.value?.toString(), 'the data', `${name}: the data`);
    t.match(
      headers,
      {
        ce_id: 'order-1',
        ce_type: 'com.example.order',
        ce_knativeerrordest: subscriber.url,
        ce_knativeerrorcode: '503',
        ce_knativeerrordata: Buffer.from(failing).toString('base64'),
        'posthorn-trigger': `default/${name}`,
        'posthorn-reason': 'status 503 (attempt 3 of 3)',
        'posthorn-attempts': '3',
        'posthorn-origin': new RegExp(`^${log.prefix}\\.default\\.default/\\d/0$`),
      },
      name,
    );
    const first = Date.parse(headers['posthorn-first-attempt'] ?? '');
    const last = Date.parse(headers['posthorn-last-attempt'] ?? '');
    t.ok(last - first >= 150, `${name}: the times of the first and the last attempt (${last - first} ms apart)`);
  }
  t.equal(textHeaders(letters.get('default/none'))['posthorn-dead-letter-sink'], undefined);
  t.equal(textHeaders(letters.get('default/works'))['posthorn-dead-letter-sink'], 'delivered');
  t.equal(
    textHeaders(letters.get('default/fails'))['posthorn-dead-letter-sink'],
    'failed: status 500 (attempt 3 of 3)',
    'the sink is tried as often as the subscriber',
  );

  const [toSink] = goodSink.requests;
  t.equal(goodSink.requests.length, 1);
  t.equal(toSink?.body.toString(), 'the data');
  t.match(toSink?.headers, {
    'ce-id': 'order-1',
    'ce-knativeerrordest': subscriber.url,
    'ce-knativeerrorcode': '503',
    'ce-knativeerrordata': Buffer.from(failing).toString('base64'),
    'ce-posthornhops': '1',
  });
  t.same(
    badSink.requests.map((request) => request.headers['posthorn-attempt']),
    ['1', '2', '3'],
  );
});

onBothLogs('a refusal is dead-lettered at once, a redirect is not followed', async (t, log) => {
  const refuses = await startSink(() => ({ status: 400 }));
  const elsewhere = await startSink();
  const redirects = await startSink(() => ({ status: 307, headers: { location: elsewhere.url } }));
  t.teardown(() => Promise.all([refuses, redirects, elsewhere].map((sink) => sink.close())));
  const letters = await run(t, log, [
    triggerYaml('refuses', refuses.url),
    triggerYaml('redirects', redirects.url),
    triggerYaml('metadata', 'http://169.254.169.254/latest'),
  ]);
  t.equal(textHeaders(letters.get('default/refuses'))['posthorn-reason'], 'status 400');
  const reason = `status 307: redirects are not followed (Location: ${elsewhere.url})`;
  t.equal(textHeaders(letters.get('default/redirects'))['posthorn-reason'], reason);
  t.match(
    textHeaders(letters.get('default/metadata'))['posthorn-reason'],
    /^address: 169\.254\.169\.254 is a link-local/,
  );
  t.equal(refuses.requests.length, 1);
  t.equal(elsewhere.requests.length, 0);
});

/** Sends one event, waits until each trigger has dead-lettered it and `isDone`, and reads the dead-letter topic, by trigger. */
async function run(
  t: Test,
  log: LogUnderTest,
  triggers: readonly string[],
  isDone: () => boolean = () => true,
): Promise<Map<string, LogRecord>> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  await applyTo(posthorn.adminUrl, ...triggers);
  const response = await fetch(posthorn.url, {
    method: 'POST',
    headers: {
      'ce-specversion': '1.0',
      'ce-id': 'order-1',
      'ce-source': '/orders',
      'ce-type': 'com.example.order',
      'content-type': 'text/plain',
    },
    body: 'the data',
  });
  t.equal(response.status, 202);
  const deadLetters = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total');
  await until(async () => isDone() && (await deadLetters()) === triggers.length, 'the dead letters', 30_000);
  t.equal(await posthorn.stop(), 0);

  const opened = await log.open();
  t.teardown(() => opened.close());
  const records = await readTopic(opened, `${log.prefix}.default.default._dead-letter`);
  const letters = new Map(records.map((record) => [record.key?.toString() ?? '', record]));
  t.equal(letters.size, triggers.length, 'one dead letter a trigger');
  return letters;
}
