import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import t from 'tap';
import { claimPorts } from '../../examples/lib/ports.ts';
import { Processes } from '../../examples/lib/processes.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { kafkaUnderTest } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { readTopic, textHeaders } from '../support/topics.ts';
import { metric } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const folder = path.resolve(import.meta.dirname, '../../examples/kafka-topics');

t.test('a plain Kafka topic in and out: revision-create in, page_content_change out, keyed by page', async (t) => {
  const log = await kafkaUnderTest();
  const named = (topic: string): string => `${log.prefix}.${topic}`;
  const revisions = ['eqiad', 'codfw'].map((dc) => named(`${dc}.mediawiki.revision-create`));
  const contents = named('eqiad.mediawiki.page_content_change.v1');
  const wiki = await startSink(({ path: asked }) => ({ body: JSON.stringify({ source: `the text at ${asked}` }) }));
  t.teardown(() => wiki.close());
  const [port = 0] = await claimPorts([{ owner: 'enrich.mjs', port: 0, choice: '' }]);
  const lines: string[] = [];
  const processes = new Processes();
  t.teardown(() => processes.stop());
  processes.start({
    command: process.execPath,
    args: [path.join(folder, 'handlers/enrich.mjs')],
    env: { ...process.env, WIKI_API: wiki.url, PORT: String(port) },
    stopSignal: 'SIGTERM',
    onLine: (line) => void lines.push(line),
    onEnd: (how) => void lines.push(how),
  });

  const kafka = new Kafka({ brokers: await kafkaBrokers(), logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const topics = [...revisions, contents].map((topic) => ({ topic, numPartitions: 2 }));
  await admin.createTopics({ topics, waitForLeaders: false });
  await until(async () => (await admin.listTopics()).includes(contents), 'the topics are there');
  await admin.disconnect();

  const posthorn = await startPosthorn([...log.args, '--triggers', triggersOn(port, log.prefix)]);
  t.teardown(() => posthorn.kill());
  const producer = kafka.producer();
  await producer.connect();
  const files = readdirSync(path.join(folder, 'events')).sort();
  for (const [n, file] of files.entries()) {
    const value = readFileSync(path.join(folder, 'events', file));
    const { page_id } = JSON.parse(value.toString()) as { page_id: number };
    const messages = [{ key: JSON.stringify({ wiki_id: 'examplewiki', page_id }), value }];
    await producer.send({ topic: revisions[n] ?? '', messages });
  }
  await producer.send({ topic: revisions[0] ?? '', messages: [{ value: 'no JSON' }] });
  await producer.disconnect();

  const opened = await log.open();
  t.teardown(() => opened.close());
  await until(async () => (await readTopic(opened, contents)).length === 2, 'both revisions, enriched');
  const written = (await readTopic(opened, contents)).map(({ key, value, headers }) => {
    t.strictSame(textHeaders({ headers } as never), { 'content-type': 'application/json', 'posthorn-hops': '1' });
    const change = JSON.parse(String(value)) as { meta: { stream: string; id: string }; revision: unknown };
    return { key: String(key), id: change.meta.id, stream: change.meta.stream, revision: change.revision };
  });
  const revisionOf = (rev_id: number) => ({
    rev_id,
    content_slots: { main: { content_body: `the text at /revision/${rev_id}` } },
  });
  const idOf = (rev: number): string => `00000000-0000-0000-0000-00000000${rev}-content`;
  const stream = 'mediawiki.page_content_change.v1';
  t.strictSame(
    written.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    [
      { key: '{"wiki_id":"examplewiki","page_id":11}', id: idOf(1001), stream, revision: revisionOf(1001) },
      { key: '{"wiki_id":"examplewiki","page_id":12}', id: idOf(1002), stream, revision: revisionOf(1002) },
    ],
  );
  const unreadable = () => metric(posthorn.adminUrl, 'posthorn_dead_letters_total', { reason: 'unreadable' });
  // The shared group and that of the ordered trigger both read it.
  await until(async () => (await unreadable()) === 2, 'what is no JSON is a dead letter');
  t.match(lines.sort(), ['enriched revision 1001 of Zürich', 'enriched revision 1002 of Post_horn']);
  t.equal(await posthorn.stop(), 0);

  /** The example's triggers, on the topics and the port of this test. */
  function triggersOn(port: number, prefix: string): string {
    const copy = mkdtempSync(path.join(tmpdir(), 'kafka-topics-'));
    t.teardown(() => rmSync(copy, { recursive: true, force: true }));
    cpSync(path.join(folder, 'triggers'), copy, { recursive: true });
    for (const name of readdirSync(copy)) {
      const text = readFileSync(path.join(copy, name), 'utf8');
      const moved = text
        .replaceAll(/(eqiad|codfw)\.mediawiki/g, `${prefix}.$1.mediawiki`)
        .replace(':9021/', `:${port}/`);
      writeFileSync(path.join(copy, name), moved);
    }
    return copy;
  }
});
