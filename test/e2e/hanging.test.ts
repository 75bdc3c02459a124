import { Ledger, sendNumbered } from '../support/ledger.ts';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

onBothLogs('twenty subscribers that hang together do not hold back a healthy one', async (t, log) => {
  const names = Array.from({ length: 20 }, (_, index) => `hanging-${index}`);
  const ledger = new Ledger();
  const healthy = await ledger.startSink('healthy');
  const arrived = new Set<string>();
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const hanging = await startSink(async (request): Promise<SinkAnswer> => {
    await released;
    arrived.add(`${request.path} ${request.headers['ce-id']}`);
    return {};
  });
  t.teardown(() => Promise.all([healthy.close(), hanging.close()]));
  // All that the twenty may have in flight and waiting is twice what the window takes.
  const posthorn = await startPosthorn([...log.args, '--window-records', '800', '--waiting-events-max', '64']);
  t.teardown(() => posthorn.kill());
  const annotations = { 'posthorn.dev/max-in-flight': '16' };
  const of = (type: string) => `[{ exact: { type: ${type} } }]`;
  await applyTo(
    posthorn.adminUrl,
    triggerYaml('healthy', healthy.url, { filters: of('healthy') }),
    ...names.map((name) => triggerYaml(name, `${hanging.url}/${name}`, { annotations, filters: of(name) })),
  );

  const others = new Ledger();
  const perTrigger = 100;
  const sendAll = names.map((type, index) =>
    sendNumbered(others, { first: index * perTrigger + 1, last: (index + 1) * perTrigger }, () => posthorn.url, {
      type,
      concurrency: 4,
    }),
  );
  await Promise.all(sendAll);
  await sendNumbered(ledger, { first: 1, last: 200 }, () => posthorn.url, { type: 'healthy' });
  // Far below the 30 s after which the first of those that hang time out.
  await until(() => ledger.missingAt('healthy').length === 0, 'the healthy one to have everything', 20_000);
  t.equal(arrived.size, 0);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retry_spills_total', { trigger: 'healthy' }), 0);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_lane_stalls_total'), 0);

  release();
  await until(() => arrived.size === names.length * perTrigger, 'the others to have everything', 60_000);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total'), 0);
  t.equal(await posthorn.stop(), 0);
});
