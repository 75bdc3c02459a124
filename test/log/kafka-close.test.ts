import t from 'tap';
import { Cluster } from '../../broker/log/kafka/cluster.ts';
import { Outage } from '../../broker/log/kafka/outage.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silent } from '../support/silent.ts';

t.test('a question that is asked again and again ends when the log closes', async (t) => {
  const connection = { clientId: 'test', connectTimeoutMs: 1_000, requestTimeoutMs: 1_000, ssl: null, sasl: null };
  const outage = new Outage(systemClock, silent);
  const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], connection, systemClock, silent, outage);
  const beganMs = performance.now();
  const asking = cluster.ask('asking', () => cluster.metadata(['_']));
  await Promise.all([
    t.rejects(asking, { code: 'LOG_UNAVAILABLE', message: 'the log is closed' }),
    new Promise((resolve) => setImmediate(resolve)).then(() => cluster.close()),
  ]);
  t.ok(performance.now() - beganMs < 10_000, 'not after its 30 s');
});
