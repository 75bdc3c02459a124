import t from 'tap';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import { createDeliverer } from '../../dispatcher/deliver.ts';
import { fromRecord } from '../../event/kafka.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openSocket, startIngress } from '../ingress/start.ts';
import { testDelivery, testTrigger } from '../support/events.ts';
import { startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';
import { binaryCases, type HttpCase } from './http-binary-cases.ts';
import { jsonCases } from './http-json-cases.ts';
import { assertSame, receive } from './receiver.ts';

const cases = [...binaryCases, ...jsonCases];

t.ok(cases.length >= 150, `${cases.length} requests`);
t.equal(
  new Set(cases.map(({ section, name }) => `${section}: ${name}`)).size,
  cases.length,
  'each has a name of its own',
);

/** Posts it as it is, byte for byte, on a connection of its own. */
async function send(port: number, { headers, body }: HttpCase): Promise<{ status: number; text: string }> {
  const { socket, write, received, isClosed } = await openSocket(port);
  // Whoever offers to upgrade says more in its connection header.
  const connection = headers.some((line) => line.startsWith('connection:')) ? [] : ['connection: close'];
  const lines = [
    'POST / HTTP/1.1',
    'host: posthorn',
    ...connection,
    `content-length: ${body.length}`,
    ...headers,
    '',
    '',
  ];
  write(Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body]));
  await until(() => isClosed() || received().includes('\r\n\r\n'), 'the answer');
  if (connection.length > 0) await until(isClosed, 'the end of the answer');
  socket.destroy();
  const [, status = '', text = ''] = /^HTTP\/1\.1 (\d+).*?\r\n\r\n(.*)$/s.exec(received()) ?? [];
  return { status: Number(status), text: Buffer.from(text, 'latin1').toString() };
}

t.test('requests written from the specifications are accepted or refused', async (t) => {
  const ingress = await startIngress();
  t.teardown(ingress.close);
  const sink = await startSink();
  t.teardown(() => sink.close());
  const deliverer = createDeliverer({ clock: systemClock, responseBytesMax: 1_000 });
  t.teardown(() => deliverer.close());
  const triggers = (['binary', 'json'] as const).map((format) =>
    testTrigger(sink.url, { delivery: { ...defaultDelivery, format } }),
  );

  for (const one of cases) {
    await t.test(`${one.section}: ${one.name}`, async (t) => {
      const before = ingress.log.appends.length;
      const { status, text } = await send(ingress.port, one);
      const records = ingress.log.appends.slice(before).flatMap((append) => append.records);
      const { expected } = one;
      if (!('events' in expected)) {
        t.equal(status, expected.status, text);
        const problem = JSON.parse(text) as { attribute?: string };
        if (expected.status === 400) t.equal(problem.attribute ?? null, expected.attribute, text);
        t.equal(records.length, 0, 'nothing is appended');
        return;
      }
      t.equal(status, 202, text);
      t.equal(records.length, expected.events.length);
      for (const [at, wanted] of expected.events.entries()) {
        const record = records[at];
        if (record === undefined) return;
        const event = fromRecord(record);
        t.same({ ...event.attributes }, wanted.attributes);
        t.same(event.data ?? null, wanted.data);
        for (const trigger of triggers) {
          await deliverer.attempt(testDelivery(trigger, event), sink.url, 1);
          const request = sink.requests.pop();
          const received = receive(request?.rawHeaders ?? [], request?.body ?? Buffer.alloc(0));
          t.doesNotThrow(() => assertSame(received, wanted, { posthornhops: '1' }), trigger.delivery.format);
        }
      }
    });
  }
});
