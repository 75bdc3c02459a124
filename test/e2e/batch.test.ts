import t, { type Test } from 'tap';
import { brokerTopics } from '../../broker/topics.ts';
import { appendNumbered } from '../support/backlog.ts';
import { embeddedUnderTest, type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { seeded } from '../support/random.ts';
import { type Sink, type SinkAnswer, startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const delivery = '{ retry: 3, backoffPolicy: linear, backoffDelay: PT0.05S }';
const { seed, random } = seeded();

interface SentEvent {
  readonly id: string;
  readonly source: string;
  readonly partitionkey?: string;
}

t.test('each event of a batch goes by its own status, and none is lost', async (t) => {
  const log = await embeddedUnderTest(t);
  /** Of each event how often it came. */
  const came = new Map<number, number>();
  const sizes: number[] = [];
  const handler = await startBatchHandler(t, (events) => {
    sizes.push(events.length);
    const results = events.flatMap(({ id, source }) => {
      const [number, attempt] = [Number(id), (came.get(Number(id)) ?? 0) + 1];
      came.set(number, attempt);
      // Of ten events one fails at first, one is not mentioned at first, one is refused, and one fails always.
      const status = { 1: attempt < 3 ? 503 : 200, 2: 422, 3: 500 }[number % 10] ?? 200;
      return number % 10 === 4 && attempt === 1 ? [] : [{ id, source, status }];
    });
    return { body: JSON.stringify({ results }) };
  });
  const posthorn = await started(t, log);
  const annotations = { 'posthorn.dev/batch': '50', 'posthorn.dev/batch-linger': 'PT0.05S' };
  await applyTo(posthorn.adminUrl, triggerYaml('batched', handler.url, { annotations, delivery }));
  await postAll(posthorn.url, numbered(300));
  const count = (name: string) => metric(posthorn.adminUrl, `posthorn_${name}_total`, { trigger: 'batched' });
  await until(async () => (await count('deliveries')) + (await count('dead_letters')) === 300, 'all to end', 60_000);

  const attempts: Readonly<Record<number, number>> = { 1: 3, 3: 4, 4: 2 };
  const other = [...came].filter(([n, count]) => count !== (attempts[n % 10] ?? 1));
  t.same(other, [], 'attempts as its own answers ask for');
  t.equal(await count('deliveries'), 240);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'rejected' }), 30);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'attempts_exhausted' }), 30);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_batch_events_count'), sizes.length);
  t.ok(sizes.every((size) => size <= 50) && sizes.includes(50), sizes.join());
  for (const { headers } of handler.requests) {
    t.match(headers['content-type'], 'application/cloudevents-batch+json');
  }
  t.equal(await posthorn.stop(), 0);
  const opened = await log.open();
  t.teardown(() => opened.close());
  const { deadLetter } = brokerTopics(log.prefix, { namespace: 'default', name: 'default' });
  const letters = (await readTopic(opened, deadLetter)).map(textHeaders);
  const refused = letters.filter((one) => one['posthorn-reason'] === 'status 422').map(({ ce_id }) => Number(ce_id));
  t.same(
    refused.sort((a, b) => a - b),
    numbered(300)
      .map(({ id }) => Number(id))
      .filter((n) => n % 10 === 2),
  );
});

onBothLogs('an ordered batch has one event of a key, and a failed one holds its key', async (t, log) => {
  t.comment(`seed ${seed}`);
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  const perKey = 30;
  /** Of each key the numbers that were acknowledged. */
  const done = new Map(keys.map((key): [string, Set<number>] => [key, new Set()]));
  let wrong = 0;
  let largest = 0;
  const handler = await startBatchHandler(t, (events) => {
    largest = Math.max(largest, events.length);
    if (new Set(events.map(({ partitionkey }) => partitionkey)).size < events.length) wrong++;
    const results = events.map(({ id, source, partitionkey = '' }) => {
      const [number, acknowledged] = [Number(id.split('-')[1]), done.get(partitionkey)];
      if (number > 1 && !acknowledged?.has(number - 1)) wrong++;
      const status = random() < 0.1 ? 503 : 200;
      if (status === 200) acknowledged?.add(number);
      return { id, source, status };
    });
    return { body: JSON.stringify({ results }) };
  });
  const posthorn = await started(t, log);
  const annotations = { 'kafka.eventing.knative.dev/delivery.order': 'ordered', 'posthorn.dev/batch': '10' };
  const patient = '{ retry: 20, backoffPolicy: linear, backoffDelay: PT0.01S }';
  await applyTo(posthorn.adminUrl, triggerYaml('in-order', handler.url, { annotations, delivery: patient }));
  const events = Array.from({ length: perKey }, (_, index) =>
    keys.map((key) => ({ id: `${key}-${index + 1}`, source: '/keyed', partitionkey: key })),
  ).flat();
  await postAll(posthorn.url, events);
  const acknowledged = () => [...done.values()].reduce((sum, { size }) => sum + size, 0);
  let second: PosthornProcess | undefined;
  if (log.kind === 'kafka') {
    await until(() => acknowledged() > events.length / 4, 'a quarter to be done', 60_000);
    second = await started(t, log);
  }
  await until(() => acknowledged() === events.length, 'every event to be done', 120_000);
  t.equal(wrong, 0, 'no key twice in a batch, none before what stands before it');
  t.ok(largest > 3, `${largest} keys in one batch`);
  for (const one of [posthorn, second]) if (one) t.equal(await one.stop(), 0);
});

t.test('SIGKILL in the middle of batches: all arrive, and no more than are in flight are repeated', async (t) => {
  const [events, size, inFlight] = [6_000, 100, 3];
  const log = await embeddedUnderTest(t);
  const came = new Map<string, number>();
  const handler = await startBatchHandler(t, (batch) => {
    for (const { id } of batch) came.set(id, (came.get(id) ?? 0) + 1);
    return { delayMs: 5 };
  });
  const first = await started(t, log);
  const annotations = { 'posthorn.dev/batch': String(size), 'posthorn.dev/max-in-flight': String(inFlight) };
  await applyTo(first.adminUrl, triggerYaml('batched', handler.url, { annotations }));
  await first.stop();
  const opened = await log.open();
  const topic = brokerTopics(log.prefix, { namespace: 'default', name: 'default' }).events;
  await appendNumbered(opened, topic, { first: 1, last: events });
  await opened.close();

  const victim = await started(t, log);
  await until(() => came.size >= events / 3, 'a third to arrive', 60_000);
  await victim.kill();
  const successor = await started(t, log);
  await until(() => came.size === events, 'every event to arrive', 60_000);
  t.equal(await successor.stop(), 0);
  const repeated = [...came.values()].reduce((sum, count) => sum + count - 1, 0);
  t.ok(repeated <= size * inFlight, `${repeated} were repeated`);
});

/** A handler of batches. */
async function startBatchHandler(t: Test, answer: (events: readonly SentEvent[]) => SinkAnswer): Promise<Sink> {
  const sink = await startSink(({ body }) => answer(JSON.parse(body.toString()) as SentEvent[]));
  t.teardown(() => sink.close());
  return sink;
}

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}

function numbered(count: number): SentEvent[] {
  return Array.from({ length: count }, (_, index) => ({ id: String(index + 1), source: '/batch' }));
}

/** Sends the events to the broker in one request. */
async function postAll(url: string, events: readonly SentEvent[]): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: JSON.stringify(events.map((event) => ({ specversion: '1.0', type: 'com.example.batched', ...event }))),
  });
  await response.arrayBuffer();
  if (response.status !== 202) throw new Error(`the batch was answered ${response.status}`);
}
