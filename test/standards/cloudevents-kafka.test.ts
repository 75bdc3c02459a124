import t from 'tap';
import { EventError } from '../../event/errors.ts';
import { fromRecord, toRecord } from '../../event/kafka.ts';
import { onBothLogs } from '../support/logs.ts';
import { readTopic } from '../support/topics.ts';
import { type KafkaCase, kafkaCases } from './kafka-cases.ts';

t.ok(kafkaCases.length >= 60, `${kafkaCases.length} records`);
t.equal(new Set(kafkaCases.map(nameOf)).size, kafkaCases.length, 'each has a name of its own');

function nameOf({ section, name }: KafkaCase): string {
  return `${section}: ${name}`;
}

onBothLogs('records written from the specifications are read or refused', async (t, underTest) => {
  const log = await underTest.open();
  t.teardown(() => log.close());
  const topic = `${underTest.prefix}.records`;
  await log.ensureTopics([topic], { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 });
  await log.append(
    topic,
    0,
    kafkaCases.map(({ record }) => record),
  );
  const records = await readTopic(log, topic);
  t.equal(records.length, kafkaCases.length);

  for (const [at, one] of kafkaCases.entries()) {
    await t.test(nameOf(one), async (t) => {
      const record = records[at];
      if (record === undefined) throw new Error('the record is not in the topic');
      const { expected } = one;
      if (!('events' in expected)) {
        const error = refusalOf(() => fromRecord(record));
        t.match(error, { status: expected.status, attribute: expected.attribute }, error?.message ?? 'it was read');
        return;
      }
      const event = fromRecord(record);
      const [wanted] = expected.events;
      t.same({ ...event.attributes }, wanted?.attributes);
      t.same(event.data ?? null, wanted?.data);

      // What is written is in binary mode (Kafka 3.2): each attribute one header, the data the value.
      const { key, headers, value } = toRecord(event);
      const { datacontenttype, ...others } = event.attributes;
      t.equal(key?.toString(), others.partitionkey, 'Kafka 3.1: the partitionkey is the key');
      const ce = Object.fromEntries(Object.entries(others).map(([name, text]) => [`ce_${name}`, text]));
      t.same(headers, datacontenttype === undefined ? ce : { ...ce, 'content-type': datacontenttype });
      t.same(value, wanted?.data);
    });
  }
});

function refusalOf(run: () => unknown): EventError | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof EventError) return error;
    throw error;
  }
  return undefined;
}
