import { Ledger, sendNumbered } from '../support/ledger.ts';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/**
 * So many are applied, some of them one by one. Kafka takes a minute to make 1,000 topics on a busy machine, and an
 * apply there waits 3 s for other processes: all of them are the long form.
 */
const triggers = {
  embedded: { count: 1_000, single: 500 },
  kafka: { count: process.env.LONG === '1' ? 1_000 : 150, single: 8 },
};
const restartsMax = 5;

onBothLogs(`triggers that all fail for the first time restart ${restartsMax} consumers a minute`, async (t, log) => {
  const { count, single } = triggers[log.kind];
  const sink = await startSink(({ headers }) => ({ status: headers['posthorn-attempt'] === '1' ? 503 : 200 }));
  t.teardown(() => sink.close());
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  const delivery = '{ retry: 3, backoffDelay: PT1S, backoffPolicy: linear }';
  const manifests = Array.from({ length: count }, (_, index) => triggerYaml(`t${index}`, sink.url, { delivery }));
  const beganMs = performance.now();
  const one = manifests.splice(0, single);
  const hands = Array.from({ length: 10 }, async () => {
    for (let next = one.shift(); next !== undefined; next = one.shift()) await applyTo(posthorn.adminUrl, next);
  });
  await Promise.all(hands);
  await applyTo(posthorn.adminUrl, ...manifests);
  const appliedMs = performance.now() - beganMs;
  await sendNumbered(new Ledger(), { first: 1, last: 1 }, () => posthorn.url);
  const retried = () => sink.requests.filter(({ headers }) => headers['posthorn-attempt'] === '2').length;
  await until(() => retried() === count, 'each to be tried again', 120_000);

  const restartsMs = posthorn.lines
    .filter(({ msg }) => msg === 'the retry topics have changed, their consumer restarts')
    .map(({ time }) => Date.parse(String(time)));
  const inAMinute = (fromMs: number) => restartsMs.filter((ms) => ms >= fromMs && ms < fromMs + 60_000).length;
  t.comment(
    `${count} triggers applied in ${Math.round(appliedMs)} ms; restarts after ` +
      `${restartsMs.map((ms) => ms - (restartsMs[0] ?? 0)).join(', ')} ms`,
  );
  t.ok(restartsMs.length > 0);
  const most = Math.max(...restartsMs.map(inAMinute));
  t.ok(most <= restartsMax, `${most} in a minute`);
  t.equal(await posthorn.stop(), 0);
});
