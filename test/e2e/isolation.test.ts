import type { Test } from 'tap';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

onBothLogs('a subscriber that hangs does not hold back another, and gets everything later', async (t, log) => {
  const events = 3_000;
  const ledger = new Ledger();
  const healthy = await ledger.startSink('healthy');
  const hanging = await hangingSink();
  t.teardown(() => Promise.all([healthy.close(), hanging.sink.close()]));
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('healthy', healthy.url), triggerYaml('hanging', hanging.sink.url));

  await sendNumbered(ledger, { first: 1, last: events }, () => posthorn.url);
  await until(() => ledger.missingAt('healthy').length === 0, 'the healthy trigger to have everything', 30_000);
  const spilled = await metric(posthorn.adminUrl, 'posthorn_retry_spills_total', { trigger: 'hanging' });
  // 256 in flight and 1,024 waiting; of the rest only what came while the lane was held is not in the retry topic.
  t.ok(spilled >= events - 256 - 1_024 - 16, `${spilled} deliveries left to the retry topic of the one that hangs`);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retry_spills_total', { trigger: 'healthy' }), 0);

  hanging.release();
  const arrived = () => new Set(hanging.sink.requests.map((request) => request.headers['ce-id'])).size;
  await until(() => arrived() === events, 'the other to have everything', 60_000);
  t.ok(
    hanging.sink.requests.every((request) => request.headers['posthorn-attempt'] === '1'),
    'a delivery that waited elsewhere has used up no attempt',
  );
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('a deleted trigger leaves its backlog as dead letters, or not if asked', async (t, log) => {
  // Tried again, and no reason for the breaker to hold the others back.
  const failing = await startSink(() => ({ status: 409 }));
  t.teardown(() => failing.close());
  const posthorn = await started(t, log);
  const delivery = '{ retry: 5, backoffDelay: PT10M }';
  const names = ['kept', 'discarded'];
  await applyTo(posthorn.adminUrl, ...names.map((name) => triggerYaml(name, failing.url, { delivery })));
  const ledger = new Ledger();
  await sendNumbered(ledger, { first: 1, last: 10 }, () => posthorn.url);
  await until(async () => (await metric(posthorn.adminUrl, 'posthorn_retries_total')) === 20, 'ten failures of each');
  await deleteTrigger(posthorn.adminUrl, 'kept', '');
  await deleteTrigger(posthorn.adminUrl, 'discarded', '&discardBacklog=true');
  const deadLetters = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'trigger_deleted' });
  // Not due for minutes, and given up now all the same: nobody waits for them any more.
  await until(async () => (await deadLetters()) === 10, 'the dead letters', 30_000);
  t.equal(await posthorn.stop(), 0);

  const opened = await log.open();
  t.teardown(() => opened.close());
  const letters = (await readTopic(opened, `${log.prefix}.default.default._dead-letter`)).map(textHeaders);
  t.equal(letters.length, 10);
  for (const letter of letters) {
    t.match(letter, {
      'posthorn-trigger': 'default/kept',
      'posthorn-reason': 'trigger deleted',
      'posthorn-attempts': '1',
    });
  }
});

onBothLogs('SIGTERM lets what is in flight end, and what has ended is not repeated', async (t, log) => {
  const hanging = await hangingSink();
  t.teardown(() => hanging.sink.close());
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('slow', hanging.sink.url));
  const ledger = new Ledger();
  await sendNumbered(ledger, { first: 1, last: 20 }, () => posthorn.url);
  await until(() => hanging.sink.requests.length === 20, 'twenty requests in flight');
  const stopping = posthorn.stop();
  await until(() => posthorn.lines.some((line) => String(line.msg).startsWith('stopping')), 'the shutdown to begin');
  t.equal((await fetch(`${posthorn.adminUrl}/readyz`)).status, 503, 'not ready while it stops');
  hanging.release();
  t.equal(await stopping, 0);

  const again = await started(t, log);
  await sendNumbered(ledger, { first: 21, last: 21 }, () => again.url);
  await until(() => hanging.sink.requests.some((request) => request.headers['ce-id'] === '21'), 'the next event');
  t.equal(hanging.sink.requests.length, 21, 'nothing was repeated');
  t.equal(await again.stop(), 0);
});

onBothLogs('a shutdown has a limit, and a second signal ends it at once', async (t, log) => {
  const hanging = await hangingSink();
  t.teardown(() => hanging.sink.close());
  const limited = await started(t, log, ['--shutdown-timeout', '0s']);
  await applyTo(limited.adminUrl, triggerYaml('slow', hanging.sink.url));
  await sendNumbered(new Ledger(), { first: 1, last: 1 }, () => limited.url);
  await until(() => hanging.sink.requests.length === 1, 'a request in flight');
  t.equal(await limited.stop(), 0, 'it does not wait for the subscriber');

  const patient = await started(t, log);
  await until(() => hanging.sink.requests.length === 2, 'the delivery to be repeated', 60_000);
  patient.signal('SIGINT');
  await until(() => patient.lines.some((line) => String(line.msg).startsWith('stopping')), 'the shutdown to begin');
  let isOver = false;
  const exited = patient.exited.finally(() => {
    isOver = true;
  });
  await until(() => {
    // What comes within 500 ms of the first is taken for the same Ctrl-C.
    patient.signal('SIGINT');
    return isOver;
  }, 'a later signal to end it');
  t.equal(await exited, 130);
});

async function started(t: Test, log: LogUnderTest, more: readonly string[] = []): Promise<PosthornProcess> {
  const posthorn = await startPosthorn([...log.args, ...more]);
  t.teardown(() => posthorn.kill());
  return posthorn;
}

/** A subscriber that answers nobody until it is released. */
async function hangingSink() {
  let release: () => void = () => {};
  const released = new Promise<SinkAnswer>((resolve) => {
    release = () => resolve({});
  });
  return { sink: await startSink(() => released), release: () => release() };
}

async function deleteTrigger(adminUrl: string, name: string, query: string): Promise<void> {
  const url = `${adminUrl}/api/v1/namespaces/default/triggers/${name}?owner=apply${query}`;
  const response = await fetch(url, { method: 'DELETE' });
  if (!response.ok) throw new Error(`delete was answered ${response.status}: ${await response.text()}`);
}
