import { setImmediate as soon } from 'node:timers/promises';
import t from 'tap';
import { Brokers } from '../../broker/log/kafka/brokers.ts';
import { collectGarbage } from '../support/garbage.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { silent } from '../support/silent.ts';

const options = {
  ...{ clientId: 'test', ssl: null, sasl: null },
  ...{ connectTimeoutMs: 10_000, requestTimeoutMs: 30_000 },
};

async function open(): Promise<Brokers> {
  const addresses = (await kafkaBrokers()).map((one) => {
    const [host = '', port = ''] = one.split(':');
    return { host, port: Number(port) };
  });
  const brokers = new Brokers(addresses, options, silent);
  t.teardown(() => brokers.close());
  return brokers;
}

const question = { topics: [], allowAutoTopicCreation: false } as const;

t.test('an answer is not kept by its connection', async (t) => {
  const brokers = await open();
  const answers: WeakRef<object>[] = [];
  for (let i = 0; i < 20; i++) answers.push(new WeakRef(await brokers.sendToAny('Metadata', question)));
  await soon();
  collectGarbage();
  const kept = answers.filter((answer) => answer.deref() !== undefined);
  t.ok(kept.length <= 1, `${kept.length} of 20 are kept`);
});

t.test('a request whose connection is dropped fails at once', async (t) => {
  const brokers = await open();
  await brokers.sendToAny('Metadata', question);
  const asked = brokers.sendToAny('Metadata', question);
  // Once it is on its way: the connection stands.
  await Promise.resolve();
  brokers.reset();
  await t.rejects(asked, /was dropped|Closed connection/);
});
