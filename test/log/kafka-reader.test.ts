import t from 'tap';
import type { Cluster } from '../../broker/log/kafka/cluster.ts';
import type { Outage } from '../../broker/log/kafka/outage.ts';
import { Reader } from '../../broker/log/kafka/reader.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A reader of one partition, whose fetch is cut off when the test says so. */
function startReader() {
  const { promise, reject } = Promise.withResolvers<never>();
  const told: string[] = [];
  const outage = {
    failed: (what: string) => told.push(`failed ${what}`),
    worked: (what: string) => told.push(`worked ${what}`),
    gaveUp: (what: string) => told.push(`gave up ${what}`),
  };
  const cluster = { leaderIfKnown: () => 1, toNode: () => promise, forgetTopic() {} };
  const reader = new Reader({
    cluster: cluster as unknown as Cluster,
    assignments: [{ topic: 'events', partition: 0, offset: 0, metadata: '', end: 0 }],
    paused: new Set(),
    handler: { records: () => 0, lost() {} },
    clock: new ManualClock(),
    outage: outage as unknown as Outage,
    hasLease: () => true,
    disturbed: (error) => told.push(error.message),
  });
  reader.start();
  const cutOff = async () => {
    reject(new Error('the connection was dropped'));
    // What follows a rejected fetch.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { reader, told, cutOff };
}

t.test('a fetch that is cut off is a failure of Kafka', async (t) => {
  const { reader, told, cutOff } = startReader();
  await cutOff();
  t.strictSame(told, ['failed reading events[0]']);
  reader.stop();
  t.strictSame(told.slice(1), ['gave up reading events[0]']);
});

t.test('but not where the reader was stopped, which cuts it off', async (t) => {
  const { reader, told, cutOff } = startReader();
  reader.stop();
  await cutOff();
  t.strictSame(told, []);
});
