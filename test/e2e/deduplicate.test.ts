import { request } from 'undici';
import { Ledger } from '../support/ledger.ts';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const broker = `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: default
  annotations:
    posthorn.dev/deduplicate: PT1H
`;

onBothLogs('an event that is sent again is delivered once, after a SIGKILL too', async (t, log) => {
  const ledger = new Ledger();
  const sink = await ledger.startSink('all');
  t.teardown(() => sink.close());
  const first = await startPosthorn(log.args);
  t.teardown(() => first.kill());
  await applyTo(first.adminUrl, broker, triggerYaml('all', sink.url));
  t.equal(await send(first.url, 1), '202 -');
  t.equal(await send(first.url, 1, 2, 2), '202 2');
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(first.url, 3)));
  t.strictSame(answers.sort(), ['202 -', ...Array(19).fill('202 1')].sort(), 'at once');
  const name = 'posthorn_deduplicated_events_total';
  t.equal(await metric(first.adminUrl, name, { broker: 'default/default' }), 21);
  t.equal(await metric(first.adminUrl, 'posthorn_events_accepted_total', { broker: 'default/default' }), 3);
  await first.kill();

  const second = await startPosthorn(log.args);
  t.teardown(() => second.kill());
  t.equal(await send(second.url, 1, 2, 3), '202 3', 'read from the end of the log');
  t.equal(await send(second.url, 4), '202 -');
  ledger.accepted.add(1).add(2).add(3).add(4);
  await until(() => ledger.missingAt('all').length === 0, 'all four were delivered', 60_000);
  t.equal(await metric(second.adminUrl, 'posthorn_events_accepted_total', { broker: 'default/default' }), 1);
  t.equal(await second.stop(), 0);

  const opened = await log.open();
  t.teardown(() => opened.close());
  const ranges = await opened.ranges(`${log.prefix}.default.default`);
  t.equal(
    ranges.reduce((sum, { start, end }) => sum + end - start, 0),
    4,
    'the topic has each once',
  );
});

/** Sends events, one alone or several as a batch; tells the status and how many were left out. */
async function send(url: string, ...events: number[]): Promise<string> {
  const members = events.map((event) => ({ specversion: '1.0', id: String(event), source: '/ledger', type: 'any' }));
  const [mode, body] = events.length === 1 ? ['cloudevents', members[0]] : ['cloudevents-batch', members];
  const answer = await request(url, {
    method: 'POST',
    headers: { 'content-type': `application/${mode}+json` },
    body: JSON.stringify(body),
  });
  await answer.body.dump();
  return `${answer.statusCode} ${answer.headers['posthorn-duplicates'] ?? '-'}`;
}
