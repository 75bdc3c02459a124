import { pino } from 'pino';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Log, LogRecord } from '../../broker/log/log.ts';
import { topicSpecs } from '../../broker/topics.ts';
import type { CloudEvent } from '../../event/event.ts';
import { fromRecord } from '../../event/kafka.ts';
import { eventHeaders, startIngress } from './start.ts';

const topic = 'posthorn.default.default';
const settings = { partitions: 8, eventsRetentionMs: null, deadLetterRetentionMs: null, eventMaxBytes: 1_048_576 };

async function startOnEmbeddedLog(t: Test) {
  const log = await openEmbeddedLog({ directory: t.testdir(), logger: pino({ level: 'silent' }) });
  await log.ensureTopics([topic], topicSpecs(settings).events);
  const ingress = await startIngress({ log, topic });
  t.teardown(async () => {
    await ingress.close();
    await log.close();
  });
  return { log, ingress };
}

async function post(url: string, headers: Record<string, string>, body: string | Buffer): Promise<number> {
  const answer = await request(url, { method: 'POST', headers, body });
  await answer.body.dump();
  return answer.statusCode;
}

async function recordsOf(log: Log): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (const { partition, start, end } of await log.ranges(topic)) {
    for (let offset = start; offset < end; ) {
      const read = await log.read(topic, partition, offset, 4_000_000);
      records.push(...read.records);
      offset = read.nextOffset;
    }
  }
  return records;
}

async function eventsOf(log: Log): Promise<CloudEvent[]> {
  return (await recordsOf(log)).map((record) => fromRecord(record));
}

t.test('events of all content modes are in the log as they were sent', async (t) => {
  const { log, ingress } = await startOnEmbeddedLog(t);
  const binary = Buffer.from([0, 255, 10, 0xc3, 0x28]);
  const headers = { ...eventHeaders, 'ce-note': 'gr%C3%BC%C3%9F', 'content-type': 'application/octet-stream' };
  t.equal(await post(ingress.url, headers, binary), 202);
  const structured = '{"specversion":"1.0","id":"2","source":"/tests","type":"test","data":{"n":12345678901234567890}}';
  t.equal(await post(ingress.url, { 'content-type': 'application/cloudevents+json' }, structured), 202);
  const batch =
    '[{"specversion":"1.0","id":"3","source":"/tests","type":"test","data":null},{"specversion":"1.0","id":"4","source":"/tests","type":"test"}]';
  t.equal(await post(ingress.url, { 'content-type': 'application/cloudevents-batch+json' }, batch), 202);
  const byId = new Map((await eventsOf(log)).map((event) => [event.attributes.id, event]));
  t.strictSame(byId.get('1')?.data, binary);
  t.match(byId.get('1')?.attributes, { note: 'grüß', datacontenttype: 'application/octet-stream' });
  t.equal(String(byId.get('2')?.data), '{"n":12345678901234567890}');
  t.equal(String(byId.get('3')?.data), 'null');
  t.equal(byId.get('4')?.data, undefined);
});

t.test('every event that was answered 202 is in the log, and only once', async (t) => {
  const { log, ingress } = await startOnEmbeddedLog(t);
  const accepted: string[] = [];
  const send = async (id: string): Promise<void> => {
    if ((await post(ingress.url, { ...eventHeaders, 'ce-id': id }, id)) === 202) accepted.push(id);
  };
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => send(String(n))));
  t.equal(accepted.length, 1_000);
  const held = (await eventsOf(log)).map((event) => event.attributes.id);
  t.strictSame(held.sort(), accepted.sort());
});

t.test('the events of a key are in the order in which they were accepted', async (t) => {
  const { log, ingress } = await startOnEmbeddedLog(t);
  const keys = Array.from({ length: 12 }, (_, n) => `key-${n}`);
  await Promise.all(
    keys.map(async (key) => {
      for (let n = 0; n < 20; n++) {
        const headers = { ...eventHeaders, 'ce-id': `${key}:${n}`, 'ce-partitionkey': key };
        t.equal(await post(ingress.url, headers, 'x'), 202);
      }
    }),
  );
  const events = await eventsOf(log);
  for (const key of keys) {
    const ids = events.filter((event) => event.attributes.partitionkey === key).map((event) => event.attributes.id);
    t.strictSame(
      ids,
      Array.from({ length: 20 }, (_, n) => `${key}:${n}`),
    );
  }
});

t.test('40 events of 64 KiB at one moment, and 8 of the largest size, are accepted', async (t) => {
  const { log, ingress } = await startOnEmbeddedLog(t);
  const send = (bytes: number) => post(ingress.url, eventHeaders, Buffer.alloc(bytes, 'x'));
  const largest = 1_048_576 - 'specversion1.0id1source/teststypetest'.length;
  const sizes = [...Array<number>(40).fill(65_536), ...Array<number>(8).fill(largest)];
  const statuses = await Promise.all(sizes.map(send));
  t.ok(statuses.every((status) => status === 202));
  const held = (await recordsOf(log)).map((record) => record.value?.length ?? 0);
  t.strictSame(
    held.sort((a, b) => a - b),
    sizes,
  );
});

t.test('the largest event passes with the most that its framing can take', async (t) => {
  const { log, ingress } = await startOnEmbeddedLog(t);
  const extensions = Array.from({ length: 250 }, (_, n) => `"x${n}":"y"`).join(',');
  const key = 'k'.repeat(14_000);
  const frame = (data: string): string =>
    `{"specversion":"1.0","id":"1","source":"/tests","type":"test","partitionkey":"${key}",${extensions},"data":"${data}"}`;
  const attributeBytes =
    'specversion1.0id1source/teststypetestpartitionkeydatacontenttypeapplication/json'.length +
    key.length +
    extensions.replaceAll(/[":,]/g, '').length;
  const headers = { 'content-type': 'application/cloudevents+json' };
  const room = 1_048_576 - attributeBytes - '""'.length;
  t.equal(await post(ingress.url, headers, frame('x'.repeat(room + 1))), 413);
  t.equal(await post(ingress.url, headers, frame('x'.repeat(room))), 202);
  t.equal((await eventsOf(log)).length, 1);
});
