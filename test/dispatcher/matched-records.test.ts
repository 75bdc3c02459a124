import { setImmediate as soon } from 'node:timers/promises';
import t from 'tap';
import { type MatchedRecord, MatchedRecords } from '../../dispatcher/lane/matched-records.ts';
import type { TakenRecord } from '../../dispatcher/lane/taken-record.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { collectGarbage } from '../support/garbage.ts';

const triggers = [testTrigger('http://one', { name: 'one' }), testTrigger('http://two', { name: 'two' })] as const;

function matched(id: string): MatchedRecord {
  const record = { offset: 0, timestampMs: 0, key: null, value: null, headers: {} };
  const taken: TakenRecord = { topic: 'events', partition: 0, record, isRevoked: false, settle() {}, drop() {} };
  const { origin } = testDelivery(triggers[0]);
  return { decoded: { taken, event: testEvent({ id }), origin }, triggers, hold: taken, sinceMs: 0 };
}

t.test('a record whose deliveries are placed is not kept, though others wait', async (t) => {
  const records = new MatchedRecords();
  const pushed: WeakRef<object>[] = [];
  for (let n = 0; n < 5; n++) {
    const one = matched(String(n));
    pushed.push(new WeakRef(one.decoded));
    records.push(one);
  }
  for (const trigger of [...triggers, ...triggers, triggers[0]]) records.take(trigger);
  await soon();
  collectGarbage();
  t.strictSame(
    pushed.map((one) => one.deref() !== undefined),
    [false, false, true, true, true],
  );
  t.equal(records.size, 3);
  t.equal(records.take(triggers[1]).delivery.event.attributes.id, '2', 'the one that is placed in part goes on');
});
