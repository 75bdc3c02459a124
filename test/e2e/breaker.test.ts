import type { Test } from 'tap';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const paused = { 'posthorn.dev/paused': 'true' };

onBothLogs('an outage costs few attempts, and all is delivered after it', async (t, log) => {
  const events = 600;
  const ledger = new Ledger();
  let isDown = true;
  let failed = 0;
  const down = await ledger.startSink('down', () => {
    if (isDown) failed++;
    return isDown ? 503 : 200;
  });
  const healthy = await ledger.startSink('healthy');
  t.teardown(() => Promise.all([down.close(), healthy.close()]));
  const posthorn = await started(t, log);
  const delivery = '{ retry: 3, backoffPolicy: linear, backoffDelay: PT0.1S }';
  await applyTo(
    posthorn.adminUrl,
    triggerYaml('down', down.url, { delivery, annotations: { 'posthorn.dev/max-in-flight': '16' } }),
    triggerYaml('healthy', healthy.url),
  );
  const limit = (name: string) => metric(posthorn.adminUrl, `posthorn_trigger_${name}`, { trigger: 'down' });
  await until(async () => (await limit('concurrency_limit')) === 16, 'the limit to be shown');

  await sendNumbered(ledger, { first: 1, last: events }, () => posthorn.url);
  await until(() => ledger.missingAt('healthy').length === 0, 'the other trigger to have everything', 30_000);
  t.equal(await limit('breaker_open'), 1);
  t.equal(await limit('concurrency_limit'), 0);
  const before = failed;
  await until(() => failed > before, 'another probe', 30_000);
  // What was in flight when it opened, and a probe after 1, 2, 4 ... seconds.
  t.ok(failed <= 16 + 10, `${failed} failed attempts`);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total'), 0, 'though each has but four attempts');
  t.match(linesOf(posthorn, /^breaker opened/), [
    { level: 'warn', broker: 'default/default', trigger: 'down', why: /failures/, nextProbe: /^\d{4}-/ },
  ]);

  isDown = false;
  await until(() => ledger.missingAt('down').length === 0, 'everything to be delivered', 60_000);
  await until(async () => (await limit('concurrency_limit')) === 16, 'the limit to be at its most again', 30_000);
  t.equal(await limit('breaker_open'), 0);
  t.equal(linesOf(posthorn, /^a probe was answered/).length, 1);
  t.equal(linesOf(posthorn, /^breaker closed/).length, 1);
  t.equal(linesOf(posthorn, /^breaker opened/).length, 1);
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('the events of a paused trigger wait, over a restart, and go on when it is resumed', async (t, log) => {
  const ledger = new Ledger();
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = await startSink(async (request): Promise<SinkAnswer> => {
    await released;
    const number = Number(request.headers['ce-id']);
    arrivals.set(number, (arrivals.get(number) ?? 0) + 1);
    return {};
  });
  const arrivals = new Map<number, number>();
  const other = await ledger.startSink('other');
  t.teardown(() => Promise.all([slow.close(), other.close()]));
  let posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('waits', slow.url), triggerYaml('other', other.url));
  await sendNumbered(ledger, { first: 1, last: 5 }, () => posthorn.url);
  await until(() => slow.requests.length === 5, 'five requests in flight');

  await applyTo(posthorn.adminUrl, triggerYaml('waits', slow.url, { annotations: paused }));
  const isPaused = async () =>
    (await metric(posthorn.adminUrl, 'posthorn_trigger_paused', { trigger: 'waits', reason: 'annotation' })) === 1;
  await until(isPaused, 'the trigger to be paused');
  release();
  await until(() => arrivals.size === 5, 'what was in flight to end');
  await sendNumbered(ledger, { first: 6, last: 500 }, () => posthorn.url);
  await until(() => ledger.missingAt('other').length === 0, 'the other trigger to have everything', 30_000);
  t.equal(await posthorn.stop(), 0, 'what waits does not keep the process from stopping');

  posthorn = await started(t, log);
  await until(isPaused, 'it to be paused after a restart');
  await sendNumbered(ledger, { first: 501, last: 600 }, () => posthorn.url);
  await until(() => ledger.missingAt('other').length === 0, 'the other trigger to have everything', 30_000);
  t.equal(slow.requests.length, 5, 'no attempt while it is paused');
  t.equal(linesOf(posthorn, /^trigger paused/).length, 1);

  await applyTo(posthorn.adminUrl, triggerYaml('waits', slow.url, { annotations: { 'posthorn.dev/paused': 'false' } }));
  await until(() => [...ledger.accepted].every((event) => arrivals.has(event)), 'all that waited to arrive', 60_000);
  t.equal(linesOf(posthorn, /^trigger resumed/).length, 1);
  t.notOk(await isPaused());
  t.ok(
    slow.requests.every((request) => request.headers['posthorn-attempt'] === '1'),
    'waiting has used up no attempt',
  );
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('the only trigger of a broker waits in the topic itself while it is paused', async (t, log) => {
  const ledger = new Ledger();
  const sink = await ledger.startSink('only');
  t.teardown(() => sink.close());
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('only', sink.url, { annotations: paused }));
  await sendNumbered(ledger, { first: 1, last: 300 }, () => posthorn.url);
  await applyTo(posthorn.adminUrl, triggerYaml('only', sink.url));
  await until(() => ledger.missingAt('only').length === 0, 'everything to be delivered', 30_000);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retry_spills_total'), 0);
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('a 410 pauses a trigger that says so, until its next revision or a restart', async (t, log) => {
  const ledger = new Ledger();
  const gone = await startSink(() => ({ status: 410 }));
  const moved = await ledger.startSink('moved');
  t.teardown(() => Promise.all([gone.close(), moved.close()]));
  let posthorn = await started(t, log);
  const annotations = { 'posthorn.dev/on-gone': 'pause', 'posthorn.dev/max-in-flight': '4' };
  await applyTo(posthorn.adminUrl, triggerYaml('moves', gone.url, { annotations, delivery: '{ retry: 0 }' }));
  const isPaused = async () =>
    (await metric(posthorn.adminUrl, 'posthorn_trigger_paused', { trigger: 'moves', reason: 'gone' })) === 1;
  await sendNumbered(ledger, { first: 1, last: 100 }, () => posthorn.url);
  await until(isPaused, 'the trigger to be paused');
  t.equal(await posthorn.stop(), 0);
  t.ok(gone.requests.length <= 4, `${gone.requests.length} requests`);
  t.match(linesOf(posthorn, /410 Gone/), [{ level: 'error', broker: 'default/default', trigger: 'moves' }]);

  const before = gone.requests.length;
  posthorn = await started(t, log);
  await until(isPaused, 'it to be tried again, and paused');
  t.ok(gone.requests.length > before);
  await applyTo(posthorn.adminUrl, triggerYaml('moves', moved.url, { annotations, delivery: '{ retry: 0 }' }));
  await until(() => ledger.missingAt('moved').length === 0, 'everything to be delivered', 60_000);
  t.ok(moved.requests.every((request) => request.headers['posthorn-attempt'] === '1'));
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total'), 0);
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('a trigger with a rate is called no faster', async (t, log) => {
  const ledger = new Ledger();
  const sink = await ledger.startSink('slow');
  t.teardown(() => sink.close());
  const posthorn = await started(t, log);
  const annotations = { 'posthorn.dev/rate': '50/s' };
  await applyTo(posthorn.adminUrl, triggerYaml('slow', sink.url, { annotations: { ...annotations, ...paused } }));
  await sendNumbered(ledger, { first: 1, last: 120 }, () => posthorn.url);
  const beforeMs = Date.now();
  await applyTo(posthorn.adminUrl, triggerYaml('slow', sink.url, { annotations }));
  await until(() => ledger.missingAt('slow').length === 0, 'everything to arrive', 30_000);
  // 5 at once, then one each 20 ms. Not from the first arrival on: on a busy machine it may be late, the last not.
  const tookMs = (sink.requests.at(-1)?.atMs ?? 0) - beforeMs;
  t.ok(tookMs >= (120 - 5) * 20, `${tookMs} ms`);
  t.equal(await posthorn.stop(), 0);
});

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}

function linesOf({ lines }: PosthornProcess, message: RegExp): Readonly<Record<string, unknown>>[] {
  return lines.filter(({ msg }) => message.test(String(msg)));
}
