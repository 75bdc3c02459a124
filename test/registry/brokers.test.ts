import t from 'tap';
import { ApplyRefusedError } from '../../broker/trigger/registry-plan.ts';
import { testEvent as event } from '../support/events.ts';
import { applyTexts, brokerText, openLog, startBrokers, summary, topicSettings, triggerText } from './setup.ts';

t.test('default/default is there from the start, with its topics', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  t.strictSame(
    brokers.list().map(({ name }) => name),
    [{ namespace: 'default', name: 'default' }],
  );
  t.equal(brokers.get('default', 'default')?.topics().events, 'posthorn.default.default');
  t.equal(brokers.get('default', 'default')?.isFresh(), true);
  t.strictSame(await log.listTopics('posthorn'), [
    'posthorn.default.default',
    'posthorn.default.default._dead-letter',
    'posthorn.default.default._triggers',
  ]);
  const events = await log.describeTopic('posthorn.default.default');
  const deadLetters = await log.describeTopic('posthorn.default.default._dead-letter');
  t.match(events, { partitions: 2, retentionMs: topicSettings.eventsRetentionMs });
  t.ok(events.maxMessageBytes > topicSettings.eventMaxBytes);
  t.equal(deadLetters.maxMessageBytes, events.maxMessageBytes + 65_536);
});

t.test('what is applied holds when apply returns, and is there again after a restart', async (t) => {
  const log = await openLog(t);
  const first = await startBrokers(t, log);
  let changes = 0;
  first.get('default', 'default')?.onChange(() => changes++);
  const done = await applyTexts(first, [triggerText('orders', { type: 'order.created' }), triggerText('all')]);
  t.strictSame(summary(done), ['Trigger default/orders created', 'Trigger default/all created']);
  t.equal(changes, 1, 'one call for both');
  const before = first.get('default', 'default')?.snapshot();
  t.equal(before?.triggers.size, 2);
  t.equal(before?.index.match(event({ type: 'order.created' })).length, 2);
  t.equal(before?.index.match(event({ type: 'order.paid' })).length, 1);
  t.match(await log.describeTopic('posthorn.default.default._retry.orders'), { partitions: 1, retentionMs: null });
  await first.close();

  const after = (await startBrokers(t, log)).get('default', 'default')?.snapshot();
  t.strictSame([...(after?.triggers.values() ?? [])], [...(before?.triggers.values() ?? [])]);
});

t.test('a trigger with a group of its own is read from where the events topic ended when it was applied', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  const events = 'posthorn.default.default';
  const append = (count: number) =>
    log.append(
      events,
      1,
      Array.from({ length: count }, () => ({ key: null, value: null, headers: {} })),
    );
  await append(3);
  const annotations = 'posthorn.dev/consumer-group: own';
  await applyTexts(brokers, [triggerText('new', { annotations }), triggerText('moving')]);
  await append(4);
  await applyTexts(brokers, [triggerText('moving', { annotations })]);
  const triggers = brokers.get('default', 'default')?.snapshot().triggers.values() ?? [];
  t.strictSame(Object.fromEntries([...triggers].map(({ name, laneSpans }) => [name, laneSpans])), {
    new: [{ group: 'own', from: { [events]: [0, 3] } }],
    moving: [
      { group: 'shared', from: [] },
      { group: 'own', from: { [events]: [0, 7] } },
    ],
  });
});

t.test('applying the same again changes nothing, applying other content makes a revision', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  await applyTexts(brokers, [triggerText('a')]);
  const first = brokers.get('default', 'default')?.snapshot();
  const [uid = ''] = first?.triggers.keys() ?? [];
  t.strictSame(summary(await applyTexts(brokers, [triggerText('a')])), ['Trigger default/a unchanged']);
  t.equal(brokers.get('default', 'default')?.snapshot(), first);

  const changed = await applyTexts(brokers, [triggerText('a', { uri: 'http://new.example/' })]);
  t.strictSame(summary(changed), ['Trigger default/a configured']);
  const second = brokers.get('default', 'default')?.snapshot();
  t.match(second?.triggers.get(uid), { generation: 2, subscriberUri: 'http://new.example/' });
  t.equal(first?.triggers.get(uid)?.generation, 1, 'the earlier snapshot stays as it was');
  const [range] = await log.ranges('posthorn.default.default._triggers');
  t.equal(range?.end, 2);
});

t.test('with one bad document nothing at all is applied', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const error = await refusal(applyTexts(brokers, [triggerText('good'), triggerText('lost', { broker: 'nowhere' })]));
  t.match(error.problems, [
    {
      file: '2.yaml',
      line: 6,
      column: 11,
      field: 'spec.broker',
      message: /no broker default\/nowhere; make it by applying a Broker/,
    },
  ]);
  t.equal(brokers.get('default', 'default')?.snapshot().triggers.size, 0);
});

t.test('a trigger twice in one apply is refused', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const error = await refusal(applyTexts(brokers, [triggerText('a'), triggerText('a', { uri: 'http://b.example/' })]));
  t.match(error.problems, [{ file: '2.yaml', message: /also in 1\.yaml:4/ }]);
});

t.test('a Broker is made before the triggers of the same apply, whatever their order', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  let added = 0;
  brokers.onChange(() => added++);
  await applyTexts(brokers, [triggerText('a', { broker: 'shop' }), brokerText('shop')]);
  t.equal(added, 1);
  const shop = brokers.get('default', 'shop');
  t.equal(shop?.snapshot().broker?.name, 'shop');
  t.strictSame(
    [...(shop?.snapshot().triggers.values() ?? [])].map(({ name }) => name),
    ['a'],
  );
  t.strictSame(await log.listTopics('posthorn.default.shop'), [
    'posthorn.default.shop',
    'posthorn.default.shop._dead-letter',
    'posthorn.default.shop._retry.a',
    'posthorn.default.shop._triggers',
  ]);

  const again = await startBrokers(t, log);
  t.strictSame(
    again.list().map(({ name }) => name.name),
    ['default', 'shop'],
    'found by its registry',
  );
});

t.test('a registry topic of another prefix is not taken for a broker', async (t) => {
  const log = await openLog(t);
  const spec = { partitions: 1, retentionMs: null, maxMessageBytes: 1_000_000 };
  for (const topic of [
    'posthorn.a.b.c._triggers',
    'posthorn.a._triggers',
    'posthorn.a.b._triggers.x',
    'posthornx.a.b._triggers',
  ]) {
    await log.ensureTopics([topic], spec);
  }
  const brokers = await startBrokers(t, log);
  t.equal(brokers.list().length, 1);
});

t.test('a broker whose Broker manifest is not written yet is not served', async (t) => {
  const log = await openLog(t);
  await log.ensureTopics(['posthorn.default.half._triggers'], {
    partitions: 1,
    retentionMs: null,
    maxMessageBytes: 99_999,
  });
  const brokers = await startBrokers(t, log);
  t.equal(brokers.get('default', 'half'), undefined);
  await applyTexts(brokers, [brokerText('half'), triggerText('a', { broker: 'half' })]);
  t.equal(brokers.get('default', 'half')?.snapshot().triggers.size, 1);
});

t.test('an external topic must exist, is not made, and stays', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  const external = (topic: string) =>
    brokerText('pages', { annotations: `kafka.eventing.knative.dev/external.topic: ${topic}` });
  const missing = await refusal(applyTexts(brokers, [external('eqiad.page_change')]));
  t.match(missing.problems, [
    { line: 6, column: 48, field: /external\.topic/, message: /no topic eqiad\.page_change; make it first/ },
  ]);
  t.equal(brokers.get('default', 'pages'), undefined);

  const spec = { partitions: 3, retentionMs: null, maxMessageBytes: 500_000 };
  await log.ensureTopics(['eqiad.page_change'], spec);
  await log.ensureTopics(['codfw.page_change'], spec);
  await applyTexts(brokers, [external('eqiad.page_change'), triggerText('a', { broker: 'pages' })]);
  t.equal(brokers.get('default', 'pages')?.topics().events, 'eqiad.page_change');
  t.notOk((await log.listTopics('posthorn.default.pages')).includes('posthorn.default.pages'));
  const retries = await log.describeTopic('posthorn.default.pages._retry.a');
  t.equal(retries.maxMessageBytes, 500_000 + 65_536, 'whatever the external topic holds fits the retry topic');

  const other = await refusal(applyTexts(brokers, [external('codfw.page_change')]));
  t.match(other.problems, [{ message: /fixed once set, and broker default\/pages has eqiad\.page_change/ }]);
  const none = await refusal(applyTexts(brokers, [brokerText('pages')]));
  t.match(none.problems, [{ message: /fixed once set/ }]);
});

t.test('several external topics must all exist, and stay as they are, their order included', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  const external = (topics: string) =>
    brokerText('pages', { annotations: `kafka.eventing.knative.dev/external.topic: ${topics}` });
  await log.ensureTopics(['eqiad.pages'], { partitions: 2, retentionMs: null, maxMessageBytes: 100_000 });
  const missing = await refusal(applyTexts(brokers, [external('eqiad.pages,codfw.pages')]));
  t.match(missing.problems, [{ message: /no topic codfw\.pages; make it first/ }]);
  await log.ensureTopics(['codfw.pages'], { partitions: 1, retentionMs: null, maxMessageBytes: 500_000 });
  await log.append('eqiad.pages', 1, [{ key: null, value: null, headers: {} }]);
  await log.append('codfw.pages', 0, [{ key: null, value: null, headers: {} }]);
  const own = triggerText('own', { broker: 'pages', annotations: 'posthorn.dev/consumer-group: own' });
  await applyTexts(brokers, [external('eqiad.pages,codfw.pages'), own]);
  const registry = brokers.get('default', 'pages');
  t.strictSame(registry?.topics().eventTopics, ['eqiad.pages', 'codfw.pages']);
  t.equal(registry?.topics().events, 'eqiad.pages', 'the first is appended to');
  const retries = await log.describeTopic('posthorn.default.pages._retry.own');
  t.equal(retries.maxMessageBytes, 500_000 + 65_536, 'whatever the largest holds fits the retry topic');
  const [trigger] = registry?.snapshot().triggers.values() ?? [];
  const ends = { 'eqiad.pages': [0, 1], 'codfw.pages': [1] };
  t.strictSame(trigger?.laneSpans, [{ group: 'own', from: ends }]);
  t.strictSame(registry?.stored().broker?.startAt, ends, 'what was there before is not read');
  for (const topics of ['eqiad.pages', 'codfw.pages,eqiad.pages']) {
    const other = await refusal(applyTexts(brokers, [external(topics)]));
    t.match(other.problems, [{ message: /fixed once set, and broker default\/pages has eqiad\.pages,codfw\.pages/ }]);
  }
});

t.test('where an external topic is first read from is said once, by the revision that made the broker', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  const append = () => log.append('pages', 0, [{ key: null, value: null, headers: {} }]);
  await log.ensureTopics(['pages'], { partitions: 1, retentionMs: null, maxMessageBytes: 100_000 });
  await append();
  const topic = 'kafka.eventing.knative.dev/external.topic: pages';
  const startAt = (name: string) => brokers.get('default', name)?.stored().broker?.startAt;
  await applyTexts(brokers, [
    brokerText('new', { annotations: topic }),
    brokerText('all', { annotations: `{ ${topic}, posthorn.dev/initial-offset: earliest }` }),
  ]);
  await append();
  await applyTexts(brokers, [brokerText('new', { annotations: `{ ${topic}, posthorn.dev/deduplicate: PT1M }` })]);
  t.equal(brokers.get('default', 'new')?.snapshot().broker?.deduplicateMs, 60_000);
  await applyTexts(brokers, [brokerText('all', { annotations: topic })]);
  t.equal(brokers.get('default', 'all')?.snapshot().broker?.initialOffset, 'latest');
  t.strictSame([startAt('new'), startAt('all'), startAt('default')], [{ pages: [1] }, 'earliest', undefined]);
});

t.test('replies go to a broker that there is', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const trigger = triggerText('a', { annotations: 'posthorn.dev/reply-to: wiki/contents' });
  const { problems } = await refusal(applyTexts(brokers, [trigger]));
  t.match(problems, [
    { line: 6, column: 28, field: /reply-to/, message: /^no broker wiki\/contents; make it by applying/ },
  ]);
  const contents = brokerText('contents').replace('metadata:', 'metadata:\n  namespace: wiki');
  await applyTexts(brokers, [trigger, contents]);
  const [applied] = brokers.get('default', 'default')?.snapshot().triggers.values() ?? [];
  t.strictSame(applied?.replyTo, { namespace: 'wiki', name: 'contents' });
});

t.test('a topic of our own that holds plain records goes on being read so; one of others may change', async (t) => {
  const log = await openLog(t);
  await log.ensureTopics(['outside'], { partitions: 1, retentionMs: null, maxMessageBytes: 99_999 });
  const brokers = await startBrokers(t, log);
  const outside = 'kafka.eventing.knative.dev/external.topic: outside';
  const data = 'posthorn.dev/value-format: data';
  await applyTexts(brokers, [brokerText('own', { annotations: data })]);
  const { problems } = await refusal(applyTexts(brokers, [brokerText('own')]));
  t.match(problems, [
    { field: /value-format/, message: /^must stay data: the topic of broker default\/own holds records/ },
  ]);
  await applyTexts(brokers, [brokerText('theirs', { annotations: `${outside}\n    ${data}` })]);
  await applyTexts(brokers, [brokerText('theirs', { annotations: outside })]);
  t.equal(brokers.get('default', 'theirs')?.snapshot().broker?.valueFormat, 'cloudevent');
});

t.test('default/default takes an external topic only while its own was never used', async (t) => {
  const log = await openLog(t);
  await log.ensureTopics(['outside'], { partitions: 1, retentionMs: null, maxMessageBytes: 99_999 });
  const text = brokerText('default', { annotations: 'kafka.eventing.knative.dev/external.topic: outside' });
  const brokers = await startBrokers(t, log);
  await log.append('posthorn.default.default', 0, [{ key: null, value: null, headers: {} }]);
  const error = await refusal(applyTexts(brokers, [text]));
  t.match(error.problems, [{ message: /already uses its own topic posthorn\.default\.default/ }]);

  const elsewhere = await startBrokers(t, log, { prefix: 'eqiad.posthorn' });
  await applyTexts(elsewhere, [text]);
  t.equal(elsewhere.get('default', 'default')?.topics().events, 'outside');
});

t.test('an owner changes and deletes only what it applied', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  await applyTexts(brokers, [triggerText('a'), triggerText('b')], { owner: 'first' });
  const changed = applyTexts(brokers, [triggerText('a', { uri: 'http://x.example/' })], { owner: 'second' });
  t.match((await refusal(changed)).problems, [{ message: /trigger default\/a belongs to the owner first/ }]);
  await t.rejects(brokers.deleteTrigger({ namespace: 'default', name: 'a', owner: 'second' }), {
    code: 'OWNED_BY_ANOTHER',
    message: /belongs to the owner first.*--owner first/,
  });
  const pruned = await applyTexts(brokers, [triggerText('c')], { owner: 'second', prune: true });
  t.strictSame(summary(pruned), ['Trigger default/c created']);
  t.equal(brokers.get('default', 'default')?.snapshot().triggers.size, 3);
});

t.test("prune deletes the owner's triggers that are not among the documents, in every namespace", async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const shop = `${brokerText('default')}`.replace('name: default', 'name: default\n  namespace: shop');
  const texts = [triggerText('keep'), triggerText('go'), shop, triggerText('go', { namespace: 'shop' })];
  await applyTexts(brokers, texts, { owner: 'dir' });
  const changes = await applyTexts(brokers, [triggerText('keep')], { owner: 'dir', prune: true });
  t.strictSame(summary(changes), [
    'Trigger default/keep unchanged',
    'Trigger default/go deleted',
    'Trigger shop/go deleted',
  ]);
  t.equal(brokers.get('shop', 'default')?.snapshot().triggers.size, 0);
});

t.test('prune with no trigger at all is refused unless it is asked for', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  await applyTexts(brokers, [triggerText('a')]);
  await t.rejects(applyTexts(brokers, [], { prune: true }), { code: 'PRUNE_EMPTY' });
  await t.rejects(applyTexts(brokers, [brokerText('shop')], { prune: true }), { code: 'PRUNE_EMPTY' });
  t.equal(brokers.get('default', 'default')?.snapshot().triggers.size, 1);
  const changes = await applyTexts(brokers, [], { prune: true, allowEmpty: true });
  t.strictSame(summary(changes), ['Trigger default/a deleted']);
});

t.test('a dry run says what would change and changes nothing', async (t) => {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  await applyTexts(brokers, [triggerText('old')]);
  const before = await log.listTopics('');
  const texts = [triggerText('new', { broker: 'shop' }), brokerText('shop')];
  const changes = await applyTexts(brokers, texts, { dryRun: true, prune: true });
  t.strictSame(summary(changes), [
    'Broker default/shop created',
    'Trigger default/new created',
    'Trigger default/old deleted',
  ]);
  t.strictSame(await log.listTopics(''), before);
  t.equal(brokers.get('default', 'default')?.snapshot().triggers.size, 1);
  await brokers.deleteTrigger({ namespace: 'default', name: 'old', owner: 'apply', dryRun: true });
  t.equal(brokers.get('default', 'default')?.snapshot().triggers.size, 1);
});

t.test('a trigger that is deleted and made again has another uid; the old backlog can be discarded', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const snapshot = () => brokers.get('default', 'default')?.snapshot();
  await applyTexts(brokers, [triggerText('a')]);
  const [before] = snapshot()?.triggers.keys() ?? [];
  const request = { namespace: 'default', name: 'a', owner: 'apply', discardBacklog: true };
  t.match(await brokers.deleteTrigger(request), { kind: 'Trigger', name: 'a', action: 'deleted' });
  t.strictSame([...(snapshot()?.discarded ?? [])], [before]);
  await applyTexts(brokers, [triggerText('a')]);
  const [after] = snapshot()?.triggers.keys() ?? [];
  t.not(after, before);
  await t.rejects(brokers.deleteTrigger({ ...request, name: 'b' }), { code: 'TRIGGER_UNKNOWN' });
});

t.test('a trigger does not move to another broker', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  await applyTexts(brokers, [brokerText('shop'), triggerText('a')]);
  const error = await refusal(applyTexts(brokers, [triggerText('a', { broker: 'shop' })]));
  t.match(error.problems, [{ field: 'spec.broker', message: /is one of default; delete it first/ }]);
});

t.test('2,000 triggers in one apply', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const texts = Array.from({ length: 2_000 }, (_, i) => triggerText(`t${i}`, { type: `type.${i}` }));
  await applyTexts(brokers, texts);
  const index = brokers.get('default', 'default')?.snapshot().index;
  t.strictSame(
    index?.match(event({ type: 'type.1234' })).map(({ name }) => name),
    ['t1234'],
  );
});

t.test('an index answers by its own snapshot, before a change and after it', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  const snapshot = () => brokers.get('default', 'default')?.snapshot();
  const created = event({ type: 'order.created' });
  await applyTexts(brokers, [triggerText('a', { type: 'order.created' }), triggerText('b', { type: 'order.created' })]);
  const before = snapshot();
  t.strictSame(before?.index.match(created), [...(before?.triggers.values() ?? [])]);
  await applyTexts(brokers, [triggerText('a', { type: 'order.paid' })]);
  const after = snapshot();
  const [a, b] = before?.index.match(created) ?? [];
  t.equal(a, before?.triggers.get(a?.uid ?? ''));
  t.strictSame(after?.index.match(created), [b]);
  t.strictSame(before?.index.match(created), [a, b]);
});

t.test('after close an apply is refused', async (t) => {
  const brokers = await startBrokers(t, await openLog(t));
  await brokers.close();
  await t.rejects(applyTexts(brokers, [triggerText('a')]), { code: 'LOG_UNAVAILABLE' });
});

async function refusal(applying: Promise<unknown>): Promise<ApplyRefusedError> {
  const error = await applying.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ApplyRefusedError) return error;
  throw error ?? new Error('nothing was refused');
}
