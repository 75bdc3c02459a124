import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../broker/log/log.ts';
import { brokerYaml, externalTopic } from '../support/brokers.ts';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

onBothLogs(
  'posthorn serve --schemas: at the ingress, on a topic of others, and while the schema changes',
  async (t, log) => {
    const topic = `ext.${log.prefix}.orders`;
    const directory = await mkdtemp(join(tmpdir(), 'posthorn-schemas-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const write = (schema: unknown) => writeFile(join(directory, 'order.json'), JSON.stringify(schema));
    await write({ required: ['id'] });
    const opened: Log = await log.open();
    await opened.ensureTopics([topic], { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 });
    const record = (value: string) => ({ key: Buffer.from('k'), value: Buffer.from(value), headers: {} });
    await opened.append(topic, 0, [record('{"id":1}'), record('{"no":1}'), record('{"id":2}')]);
    await opened.close();
    const [sink, registry] = [await startSink(), await startSink(() => ({ body: '{"required": ["total"]}' }))];
    t.teardown(() => Promise.all([sink.close(), registry.close()]));
    const posthorn = await startPosthorn([...log.args, '--schemas', directory, '--schema-registry', registry.url]);
    t.teardown(() => posthorn.kill());
    const type = 'dev.knative.kafka.event';
    const annotations = {
      ...{ [externalTopic]: topic, 'posthorn.dev/initial-offset': 'earliest', 'posthorn.dev/validate-topic': 'true' },
      'posthorn.dev/type-schemas': JSON.stringify({ [type]: 'order.json' }),
    };
    const trigger = triggerYaml('all', sink.url).replace('broker: default', 'broker: shop');
    await applyTo(posthorn.adminUrl, brokerYaml('shop', annotations), trigger);
    await until(() => sink.requests.length === 2, 'those that are right');
    t.strictSame(sink.requests.map(({ body }) => body.toString()).sort(), ['{"id":1}', '{"id":2}']);
    t.equal(await metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'schema' }), 1);

    const post = async (body: string, more: Record<string, string> = {}): Promise<number> => {
      const ce = { 'ce-specversion': '1.0', 'ce-id': body, 'ce-source': '/t', 'ce-type': type };
      const headers = { ...ce, ...more, 'content-type': 'application/json' };
      const answer = await fetch(`${posthorn.url}/default/shop`, { method: 'POST', headers, body });
      await answer.text();
      return answer.status;
    };
    t.strictSame([await post('{"id":3}'), await post('{}')], [202, 422]);
    const fetched = { 'ce-type': 'other', 'ce-dataschema': `${registry.url}/invoice.json` };
    t.strictSame([await post('{"total":1}', fetched), await post('{"id":1}', fetched)], [202, 422]);
    t.strictSame(
      registry.requests.map(({ path }) => path),
      ['/invoice.json'],
      'asked of the registry, once',
    );
    await write({ required: ['number'] });
    await until(async () => (await post('{"id":4}')) === 422, 'the new schema holds');
    await writeFile(join(directory, 'order.json'), '{');
    await until(async () => (await metric(posthorn.adminUrl, 'posthorn_schema_problems')) === 1, 'it is broken');
    t.strictSame([await post('{"id":5}'), await post('{"number":5}')], [422, 202]);
    t.equal(await posthorn.stop(), 0);

    const after = await log.open();
    const [letter] = await readTopic(after, `${log.prefix}.default.shop._dead-letter`);
    // Others may follow: accepted by the first schema, and read from the topic when the second was in force.
    t.equal(`${letter?.key} ${letter?.value}`, 'k {"no":1}');
    t.match(textHeaders(letter), { 'posthorn-reason': /order\.json": the data must have the property "id"$/ });
    await after.close();
  },
);
