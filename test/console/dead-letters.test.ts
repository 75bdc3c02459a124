import t from 'tap';
import type { LogRecord, NewRecord } from '../../broker/log/log.ts';
import {
  toDeadLetterRecord,
  toDeadLetterReference,
  toRawRecord,
  toRawReplyRecord,
} from '../../dispatcher/dead-letter.ts';
import type { Failure, GivenUp } from '../../dispatcher/fate.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { serveAdmin } from './setup.ts';

const path = '/api/v1/namespaces/default/brokers/default/dead-letters';
const topic = 'posthorn.default.default._dead-letter';
const origin = { topic: 'posthorn.default.default', partition: 1, offset: 7, appendedAtMs: 1_700_000_000_000 };

const failure: Failure = {
  reason: '503 (3 attempts)',
  attempts: 3,
  firstAttemptAtMs: 1_700_000_001_000,
  lastAttemptAtMs: 1_700_000_004_500,
  status: 503,
  body: Buffer.from('busy'),
};

function givenUp(trigger: string, event = testEvent(), more: Partial<GivenUp> = {}): GivenUp {
  return { ...testDelivery(testTrigger('http://handler.example/', { name: trigger }), event), origin, ...more };
}

async function serve(t: Parameters<typeof serveAdmin>[0], records: readonly NewRecord[]) {
  const { url, log } = await serveAdmin(t);
  for (const [n, record] of records.entries()) {
    await log.append(topic, n % 2, [{ ...record, timestampMs: 1_700_000_010_000 + 1_000 * n }]);
  }
  return async (query = ''): Promise<{ status: number; text: string; body: DeadLetterBody }> => {
    const response = await fetch(`${url}${path}${query}`);
    const text = await response.text();
    return { status: response.status, text, body: JSON.parse(text) };
  };
}

interface DeadLetterBody {
  readonly metadata: { readonly hasMore: boolean };
  readonly items: readonly { readonly trigger: string | null; readonly event: { readonly id: string } | null }[];
}

t.test('a dead letter has its event as it was, why it failed, and its record', async (t) => {
  const data = Buffer.from('{"n":12345678901234567890, "x":1e400}');
  const event = testEvent({ id: 'order-1', subject: 'Zürich', datacontenttype: 'application/json' }, data);
  const read = await serve(t, [toDeadLetterRecord(givenUp('orders', event), failure, 'failed: 500')]);
  const { status, text, body } = await read();
  t.equal(status, 200);
  t.match(text, /"data":\{"n":12345678901234567890, "x":1e400\}/, 'no number is changed');
  t.match(body, { apiVersion: 'posthorn.dev/v1', kind: 'DeadLetterList', metadata: { hasMore: false } });
  t.match(body.items, [
    {
      apiVersion: 'posthorn.dev/v1',
      kind: 'DeadLetter',
      metadata: { name: '0-0', namespace: 'default', creationTimestamp: '2023-11-14T22:13:30.000Z' },
      broker: 'default',
      trigger: 'orders',
      attempts: 3,
      reason: '503 (3 attempts)',
      firstAttempt: '2023-11-14T22:13:21.000Z',
      lastAttempt: '2023-11-14T22:13:24.500Z',
      deadLetterSink: 'failed: 500',
      origin: 'posthorn.default.default/1/7',
      record: {
        topic,
        partition: 0,
        offset: 0,
        key: 'default/orders',
        headers: { ce_id: 'order-1', ce_subject: 'Zürich', 'posthorn-trigger-uid': 'uid-orders' },
      },
      event: {
        specversion: '1.0',
        id: 'order-1',
        source: '/test',
        type: 'com.example.test',
        subject: 'Zürich',
        knativeerrordest: 'http://handler.example/',
        knativeerrorcode: '503',
        knativeerrordata: Buffer.from('busy').toString('base64'),
      },
    },
  ]);
  t.notOk('value' in (body.items[0] as unknown as { record: object }).record, 'the data is not there twice');
});

t.test('what holds no event is shown with what it does hold', async (t) => {
  const foreign: LogRecord = {
    offset: 7,
    timestampMs: 1,
    key: Buffer.from([0xff]),
    value: Buffer.from('not an event'),
    headers: { twice: [Buffer.from('a'), Buffer.from([0xfe])] },
  };
  const never = { ...failure, attempts: 0, firstAttemptAtMs: null, lastAttemptAtMs: null, status: null };
  const read = await serve(t, [
    toRawRecord(foreign, origin, 'the record is not a CloudEvent'),
    toDeadLetterReference(givenUp('orders'), { ...never, reason: 'too large' }, null),
    toRawReplyRecord(givenUp('orders'), failure, Buffer.from([0xff, 0x00]), 'application/cloudevents+json'),
  ]);
  const { body } = await read();
  t.match(body.items, [
    {
      trigger: null,
      attempts: null,
      reason: 'the record is not a CloudEvent',
      firstAttempt: null,
      origin: 'posthorn.default.default/1/7',
      record: { key: { base64: '/w==' }, value: 'not an event', headers: { twice: ['a', { base64: '/g==' }] } },
      event: null,
    },
    { trigger: 'orders', attempts: 0, reason: 'too large', lastAttempt: null, record: { value: null }, event: null },
    { trigger: 'orders', record: { value: { base64: '/wA=' } }, event: null },
  ]);
});

t.test('the newest are shown, of all triggers or of one', async (t) => {
  const letters = Array.from({ length: 30 }, (_, n) => {
    return toDeadLetterRecord(givenUp(n % 3 === 0 ? 'orders' : 'others', testEvent({ id: `e${n}` })), failure, null);
  });
  const read = await serve(t, letters);
  const ids = async (query: string) => (await read(query)).body.items.map(({ event }) => event?.id);
  t.strictSame(await ids(''), letters.map((_, n) => `e${n}`).slice(10), 'twenty unless told');
  t.strictSame(await ids('?limit=2'), ['e28', 'e29']);
  t.strictSame(await ids('?trigger=orders&limit=3'), ['e21', 'e24', 'e27']);
  t.strictSame(await ids('?trigger=order'), [], 'the whole name');
  t.equal((await read('?limit=29')).body.metadata.hasMore, true);
  t.equal((await read('?limit=30')).body.metadata.hasMore, false);
  t.equal((await read('?trigger=orders&limit=10')).body.metadata.hasMore, false);
});

t.test('a request that makes no sense says what would', async (t) => {
  const { url } = await serveAdmin(t);
  for (const [query, detail] of [
    ['?limit=0', 'limit is a whole number, 1 to 1000, not "0"'],
    ['?limit=1001', 'limit is a whole number, 1 to 1000, not "1001"'],
    ['?limit=1.5', 'limit is a whole number, 1 to 1000, not "1.5"'],
    ['?triger=a', 'unknown parameter triger; did you mean trigger?'],
  ] as const) {
    const response = await fetch(`${url}${path}${query}`);
    t.match([response.status, await response.json()], [400, { detail, code: 'BAD_REQUEST' }], query);
  }
  const other = await fetch(`${url}/api/v1/namespaces/default/brokers/none/dead-letters`);
  t.match([other.status, await other.json()], [404, { code: 'BROKER_UNKNOWN', detail: 'no broker default/none' }]);
});
