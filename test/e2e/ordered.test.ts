import type { Test } from 'tap';
import { KeyedArrivals, sendKeyed } from '../support/keyed.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { seeded } from '../support/random.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const ordered = { 'kafka.eventing.knative.dev/delivery.order': 'ordered' };
const { seed, random } = seeded();

onBothLogs('the events of a key go out in order, one at a time, through failures and a kill', async (t, log) => {
  t.comment(`seed ${seed}`);
  const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
  const perKey = 60;
  const arrivals = new KeyedArrivals();
  const sink = await arrivals.startSink(
    () => ({ status: random() < 0.1 ? 503 : 200 }),
    () => random() * 10,
  );
  t.teardown(() => sink.close());
  let posthorn = await started(t, log);
  const delivery = '{ retry: 20, backoffPolicy: linear, backoffDelay: PT0.01S }';
  await applyTo(posthorn.adminUrl, triggerYaml('in-order', sink.url, { annotations: ordered, delivery }));

  const sending = sendKeyed(keys, { first: 1, last: perKey }, () => posthorn.url);
  await until(() => arrivals.events > (keys.length * perKey) / 3, 'a third to arrive', 60_000);
  await posthorn.kill();
  // What was cut in the middle may still be at the sink: it counts as out until it is answered.
  const overlapsBefore = arrivals.overlaps;
  posthorn = await started(t, log);
  await sending;
  await until(() => arrivals.events === keys.length * perKey, 'every event to arrive', 120_000);
  t.equal(arrivals.outOfOrder, 0, 'first deliveries of each key in order');
  t.equal(overlapsBefore, 0, 'one of a key at a time');
  t.ok(arrivals.keysAtOnce > 4, `${arrivals.keysAtOnce} keys at once`);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retry_spills_total'), 0);
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('replies of an ordered trigger stand in the log in the order of their key', async (t, log) => {
  const keys = Array.from({ length: 10 }, (_, i) => `k${i}`);
  const arrivals = new KeyedArrivals();
  const sink = await arrivals.startSink(
    (key, number) => ({
      headers: {
        'ce-specversion': '1.0',
        'ce-id': `answer-${key}-${number}`,
        'ce-source': '/answers',
        'ce-type': 'com.example.answer',
        'ce-partitionkey': key,
      },
    }),
    () => random() * 5,
  );
  t.teardown(() => sink.close());
  const posthorn = await started(t, log);
  const filters = '[{ exact: { type: com.example.keyed } }]';
  await applyTo(posthorn.adminUrl, triggerYaml('in-order', sink.url, { annotations: ordered, filters }));
  await sendKeyed(keys, { first: 1, last: 20 }, () => posthorn.url);
  const replies = () => metric(posthorn.adminUrl, 'posthorn_replies_total', { trigger: 'in-order' });
  await until(async () => (await replies()) === 200, 'every reply to be appended', 30_000);
  t.equal(await posthorn.stop(), 0);

  const opened = await log.open();
  t.teardown(() => opened.close());
  const records = await readTopic(opened, `${log.prefix}.default.default`);
  const answers = records.map((record) => textHeaders(record).ce_id ?? '').filter((id) => id.startsWith('answer'));
  t.equal(answers.length, 200);
  for (const key of keys) {
    const numbers = answers.filter((id) => id.startsWith(`answer-${key}-`)).map((id) => Number(id.split('-')[2]));
    t.same(
      numbers,
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  }
});

onBothLogs('a key whose event fails holds only itself, until that is dead-lettered', async (t, log) => {
  const arrivals = new KeyedArrivals();
  let isMended = false;
  const sink = await arrivals.startSink((key, number) => {
    return { status: key === 'bad' && number === 1 && !isMended ? 500 : 200 };
  });
  t.teardown(() => sink.close());
  const posthorn = await started(t, log);
  const slow = '{ retry: 50, backoffPolicy: linear, backoffDelay: PT0.05S }';
  const soon = '{ retry: 2, backoffPolicy: linear, backoffDelay: PT0.01S }';
  const yaml = (delivery: string) => triggerYaml('in-order', sink.url, { annotations: ordered, delivery });
  await applyTo(posthorn.adminUrl, yaml(slow));
  await sendKeyed(['bad', 'good', 'fine'], { first: 1, last: 30 }, () => posthorn.url);
  await until(() => arrivals.events === 61, 'the other keys to have everything', 30_000);
  t.same(arrivals.firsts.get('bad'), [1]);

  // The new settings hold for what waits: attempts are used up now.
  await applyTo(posthorn.adminUrl, yaml(soon));
  await until(() => arrivals.events === 90, 'the key to go on', 30_000);
  isMended = true;
  t.equal(arrivals.outOfOrder, 0);
  t.equal(arrivals.overlaps, 0);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'attempts_exhausted' }), 1);
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('a deleted trigger gives up what waited in its place, and one of its name begins anew', async (t, log) => {
  const arrivals = new KeyedArrivals();
  let status = 503;
  const sink = await arrivals.startSink(() => ({ status }));
  t.teardown(() => sink.close());
  const posthorn = await started(t, log);
  const yaml = triggerYaml('in-order', sink.url, {
    annotations: ordered,
    delivery: '{ retry: 5, backoffDelay: PT10M }',
  });
  await applyTo(posthorn.adminUrl, yaml);
  await sendKeyed(['a'], { first: 1, last: 3 }, () => posthorn.url);
  await until(() => arrivals.requests === 1, 'the first attempt');
  const url = `${posthorn.adminUrl}/api/v1/namespaces/default/triggers/in-order?owner=apply`;
  t.ok((await fetch(url, { method: 'DELETE' })).ok);
  const deadLetters = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'trigger_deleted' });
  await until(async () => (await deadLetters()) === 3, 'all three to be given up', 30_000);

  status = 200;
  await applyTo(posthorn.adminUrl, yaml);
  await sendKeyed(['a'], { first: 4, last: 4 }, () => posthorn.url);
  await until(() => arrivals.firsts.get('a')?.at(-1) === 4, 'the next event', 30_000);
  t.same(arrivals.firsts.get('a'), [1, 4]);
  t.equal(arrivals.requests, 2);
  t.equal(await posthorn.stop(), 0);
});

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn([...log.args]);
  t.teardown(() => posthorn.kill());
  return posthorn;
}
