import fc from 'fast-check';
import { Pool } from 'undici';
import type { Log, NewRecord } from '../../broker/log/log.ts';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import { bodyOf } from '../../dispatcher/batch/body.ts';
import { createDeliverer, type Deliverer } from '../../dispatcher/deliver.ts';
import type { Delivery } from '../../dispatcher/fate.ts';
import type { CloudEvent } from '../../event/event.ts';
import { fromRecord } from '../../event/kafka.ts';
import { systemClock } from '../../runtime/clock.ts';
import { anyEvent } from '../event/arbitrary.ts';
import { startIngress } from '../ingress/start.ts';
import { testDelivery, testTrigger } from '../support/events.ts';
import { onBothLogs } from '../support/logs.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { startSink } from '../support/sink.ts';
import type { ExpectedEvent } from './cases.ts';
import { assertSame, receive, receiveBatch } from './receiver.ts';
import { type Sent, sendBatch, sendBinary, sendStructured } from './sender.ts';

/** Events of one round, which go through at the same time. */
const roundEvents = 50;

const modes = ['binary', 'structured', 'batch', 'binary record', 'structured record'] as const;

const round = fc.array(
  fc.record({ event: anyEvent, modeIn: fc.constantFrom(...modes), modeOut: fc.nat(2), style: fc.nat(29) }),
  { minLength: roundEvents, maxLength: roundEvents },
);

onBothLogs(
  'any valid event, in any mode in and any mode out, has equal attributes and equal data',
  async (t, underTest) => {
    const log = await underTest.open();
    t.teardown(() => log.close());
    const topic = `${underTest.prefix}.events`;
    await log.ensureTopics([topic], { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 });
    const ingress = await startIngress({ log, topic });
    t.teardown(ingress.close);
    const sink = await startSink();
    t.teardown(() => sink.close());
    const pool = new Pool(ingress.origin, { connections: 10 });
    t.teardown(() => pool.close());
    const deliverer = createDeliverer({ clock: systemClock, responseBytesMax: 1_000 });
    t.teardown(() => deliverer.close());
    const triggers = (['binary', 'json'] as const).map((format) =>
      testTrigger(sink.url, { delivery: { ...defaultDelivery, format } }),
    );
    let offset = 0;

    const post = async ({ headers, body }: Sent): Promise<void> => {
      const answer = await pool.request({ method: 'POST', path: '/', headers, body });
      const text = await answer.body.text();
      if (answer.statusCode !== 202) throw new Error(`${answer.statusCode} ${text}: ${headers.join(' ')} ${body}`);
    };

    /** What is in the topic behind what was there before. */
    const readOn = async (): Promise<CloudEvent[]> => {
      const events: CloudEvent[] = [];
      for (;;) {
        const { records, nextOffset } = await log.read(topic, 0, offset, 1_048_576);
        if (records.length === 0) return events;
        events.push(...records.map(fromRecord));
        offset = nextOffset;
      }
    };

    const { failed, seed, counterexamplePath, errorInstance } = await fc.check(
      fc.asyncProperty(round, async (cases) => {
        const numbered = cases.map((one, at) => ({
          ...one,
          event: withId(one.event, `${at} ${one.event.attributes.id}`),
        }));
        const sent: Sent[] = [];
        const of = (mode: (typeof modes)[number]) => numbered.filter(({ modeIn }) => modeIn === mode);
        for (const { event, style } of of('binary')) sent.push(sendBinary(event, style));
        for (const { event, style } of of('structured')) sent.push(sendStructured(event, style));
        sent.push(
          sendBatch(
            of('batch').map(({ event }) => event),
            cases[0]?.style ?? 0,
          ),
        );
        const records = [...of('binary record'), ...of('structured record')].map(({ event, modeIn, style }) =>
          modeIn === 'binary record' ? binaryRecord(event) : structuredRecord(event, style),
        );
        await Promise.all([...sent.map(post), append(log, topic, records)]);

        const said = new Map([...sent, ...records].flatMap((one) => one.said).map((one) => [one.attributes.id, one]));
        if (said.size !== roundEvents) throw new Error(`${said.size} ids`);
        const events = await readOn();
        const batch: Delivery[] = [];
        await Promise.all(
          events.map(async (event, at) => {
            const trigger = triggers[((numbered[at]?.modeOut ?? 0) + at) % 3];
            if (trigger) await deliverer.attempt(testDelivery(trigger, event), sink.url, 1);
            else batch.push(testDelivery(testTrigger(sink.url), event));
          }),
        );
        await deliverBatch(deliverer, batch, `${sink.url}/batch`);
        const requests = sink.requests.splice(0);
        const got = requests.flatMap(({ path, rawHeaders, body }) =>
          path === '/batch' ? receiveBatch(rawHeaders, body) : [receive(rawHeaders, body)],
        );
        for (const received of got) {
          const wanted = said.get(received.attributes.id ?? '');
          if (wanted === undefined) throw new Error(`not sent, or received twice: ${received.attributes.id}`);
          said.delete(wanted.attributes.id);
          assertSame(received, wanted, { posthornhops: '1' });
        }
        if (said.size > 0) throw new Error(`not received: ${[...said.keys()].join()}`);
      }),
      { numRuns: propertyRuns(400, 20_000) / roundEvents, endOnFailure: true },
    );
    // Of the round only what is wrong: all of it is pages long.
    t.notOk(failed, `seed ${seed}, path ${counterexamplePath}: ${errorInstance}`);
  },
);

async function deliverBatch(deliverer: Deliverer, batch: readonly Delivery[], url: string): Promise<void> {
  const [first, ...others] = batch;
  if (first === undefined) return;
  const hold = { isRevoked: false, settle: () => {}, drop: () => {} };
  const body = bodyOf(batch.map((delivery) => ({ lane: 'shared', hold, delivery })));
  await deliverer.attemptBatch({ deliveries: [first, ...others], body }, url);
}

function withId({ attributes, data }: CloudEvent, id: string): CloudEvent {
  return { attributes: { ...attributes, id }, data };
}

interface SentRecord extends NewRecord {
  readonly said: readonly ExpectedEvent[];
}

async function append(log: Log, topic: string, records: readonly SentRecord[]): Promise<void> {
  if (records.length > 0) await log.append(topic, 0, records);
}

/** CloudEvents Kafka binding 1.0.2, section 3.2. */
function binaryRecord(event: CloudEvent): SentRecord {
  const { datacontenttype, ...attributes } = event.attributes;
  const isEvent = datacontenttype?.toLowerCase().startsWith('application/cloudevents');
  if (isEvent) return structuredRecord(event, 0);
  const headers = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce_${name}`, value ?? '']));
  if (datacontenttype !== undefined) headers['content-type'] = datacontenttype;
  const said = [{ attributes: event.attributes as Record<string, string>, data: event.data ?? null }];
  return { key: null, value: event.data ?? null, headers, said };
}

/** The same, section 3.3. */
function structuredRecord(event: CloudEvent, style: number): SentRecord {
  const { headers, body, said } = sendStructured(event, style);
  return { key: Buffer.from('a key'), value: body, headers: { 'content-type': headers[1] ?? '' }, said };
}
