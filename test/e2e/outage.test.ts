import type { Test } from 'tap';
import type { Log } from '../../broker/log/log.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent } from '../support/events.ts';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

onBothLogs(
  'a subscriber that is down at first gets everything, over a restart, and disturbs nobody',
  async (t, log) => {
    const events = 300;
    const ledger = new Ledger();
    const attempts = new Map<number, number[]>();
    const delivered = new Set<number>();
    let isDown = true;
    const down = await startSink((request) => {
      const event = Number(request.headers['ce-id']);
      attempts.set(event, [...(attempts.get(event) ?? []), Number(request.headers['posthorn-attempt'])]);
      if (isDown) return { status: 503 };
      delivered.add(event);
      return { status: 200 };
    });
    const healthy = await ledger.startSink('healthy');
    t.teardown(() => Promise.all([down.close(), healthy.close()]));

    let posthorn = await started(t, log);
    await applyTo(
      posthorn.adminUrl,
      triggerYaml('down', down.url, { delivery: '{ retry: 100, backoffPolicy: linear, backoffDelay: PT0.2S }' }),
      triggerYaml('healthy', healthy.url),
    );
    await sendNumbered(ledger, { first: 1, last: events }, () => posthorn.url);
    await until(() => ledger.missingAt('healthy').length === 0, 'the healthy trigger to have everything', 30_000);
    const isOpen = async () => (await metric(posthorn.adminUrl, 'posthorn_trigger_breaker_open')) === 1;
    await until(isOpen, 'the breaker to open', 30_000);
    const made = attempts.size;
    await until(() => attempts.size > made, 'a probe', 30_000);
    t.equal(await posthorn.stop(), 0);

    const failed = new Set(attempts.keys());
    posthorn = await started(t, log);
    isDown = false;
    await until(() => delivered.size === events, 'everything to be delivered', 60_000);
    for (const [event, of] of attempts) {
      // At least once: an attempt whose outcome was not durable yet may be repeated under its number.
      const goesOn = of.every((attempt, index) => index === 0 || [0, 1].includes(attempt - (of[index - 1] ?? 0)));
      t.ok(
        of[0] === 1 && goesOn && (of.at(-1) ?? 0) >= (failed.has(event) ? 2 : 1),
        `attempts of event ${event} go on: ${of.join(', ')}`,
      );
    }
    t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total'), 0);
    t.equal(await posthorn.stop(), 0);
  },
);

onBothLogs('with one trigger the topic itself is the backlog: nothing is copied', async (t, log) => {
  const waiting = Number(process.env.BACKLOG_EVENTS ?? 100_000);
  const ledger = new Ledger();
  const opened = await log.open();
  await opened.ensureTopics([`${log.prefix}.default.default`], {
    partitions: 8,
    retentionMs: null,
    maxMessageBytes: 1_048_576,
  });
  await fill(opened, `${log.prefix}.default.default`, waiting, ledger);
  await opened.close();
  const sink = await ledger.startSink('only');
  t.teardown(() => sink.close());

  // The trigger must be there before the lane reads: what it reads without one is settled.
  const setUp = await startPosthorn([...log.args, '--roles', 'ingress']);
  await applyTo(setUp.adminUrl, triggerYaml('only', sink.url));
  await setUp.stop();
  const posthorn = await started(t, log);
  await until(() => ledger.missingAt('only').length === 0, 'everything to arrive', 120_000);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retry_spills_total'), 0);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retries_total'), 0);
  t.equal(await posthorn.stop(), 0);
  const after = await log.open();
  t.teardown(() => after.close());
  t.same(
    (await after.ranges(`${log.prefix}.default.default._retry.only`)).map((range) => range.end),
    [0],
    'the retry topic was never written',
  );
});

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}

/** Appends numbered events as the ingress would, by the thousand. */
async function fill(log: Log, topic: string, events: number, ledger: Ledger): Promise<void> {
  for (let first = 1; first <= events; first += 1_000) {
    const numbers = Array.from({ length: Math.min(1_000, events - first + 1) }, (_, index) => first + index);
    const records = numbers.map((number) => toRecord(testEvent({ id: String(number) })));
    await log.append(topic, Math.floor(first / 1_000) % 8, records);
    for (const number of numbers) ledger.accepted.add(number);
  }
}
