import t, { type Test } from 'tap';
import { defaultDelivery, type Trigger } from '../../broker/trigger/trigger.ts';
import { OwnLane } from '../../dispatcher/lane/own.ts';
import { SharedLane } from '../../dispatcher/lane/shared.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord } from '../support/scripted-log.ts';

const startAt: number[] = [];
const filter = { dataFilter: 'data.n > 1' };
const filtering = testTrigger('http://127.0.0.1:1', { name: 'filtering', ...filter });
const withSink = testTrigger('http://127.0.0.1:1', {
  name: 'filtering',
  ...filter,
  delivery: { ...defaultDelivery, deadLetterSinkUri: 'http://127.0.0.1:2' },
});
const all = testTrigger('http://127.0.0.1:1', { name: 'all' });

type Kind = 'shared' | 'own' | 'ordered';

/** A lane of each kind that serves `trigger`; the shared one serves the others as well. */
async function startLane(kind: Kind, trigger: Trigger, others: readonly Trigger[] = []) {
  const double = new LaneDouble([trigger, ...others]);
  const { script, topics, options } = double;
  const topic = topics.events;
  const lane =
    kind === 'shared'
      ? new SharedLane({ ...options, group: topics.sharedGroup, topics: [topic], startAt: 'earliest' })
      : new OwnLane({
          ...{ ...options, group: topics.ownGroup(trigger), topics: [topic], startAt },
          ...{ triggerUid: trigger.uid, isOrdered: kind === 'ordered' },
        });
  await lane.start();
  script.assign([{ topic }]);
  let offset = 0;
  return Object.assign(double, {
    offer: (id: string, json: string, attributes: Record<string, string> = {}) => {
      const event = testEvent(
        { id, datacontenttype: 'application/json', partitionkey: 'a', ...attributes },
        Buffer.from(json),
      );
      script.offer([asLogRecord(toRecord(event), offset)], { topic });
      offset += 1;
    },
    names: () => double.delivered.map(({ trigger, id }) => `${trigger} ${id}`),
    position: async () => {
      await double.clock.advance(100);
      return script.commits.at(-1)?.[0]?.offset;
    },
  });
}

function onEachLane(name: string, test: (t: Test, kind: Kind) => Promise<void>): void {
  for (const kind of ['shared', 'own', 'ordered'] as const) t.test(`${name} (${kind})`, (t) => test(t, kind));
}

onEachLane('what the data filter lets through is delivered, the rest settles', async (t, kind) => {
  const { offer, names, delivered, givenUp, position } = await startLane(kind, filtering);
  offer('1', '{"n": 1}');
  offer('2', '{}');
  t.equal(await position(), 2);
  offer('3', '{"n": 2}');
  t.strictSame(names(), ['filtering 3']);
  t.equal(await position(), 2);
  delivered[0]?.hold.settle();
  t.equal(await position(), 3);
  t.strictSame(givenUp, []);
});

onEachLane('what has no answer is given up with the reason, and holds up nothing', async (t, kind) => {
  const { offer, names, givenUp, position } = await startLane(kind, filtering);
  offer('1', '{"n"');
  t.equal(await position(), 0, 'it is not settled before that is durable');
  t.match(givenUp, [
    {
      ...{ trigger: 'filtering', id: '1', attempt: 1, category: 'data_filter' },
      reason: /^the data filter of trigger default\/filtering has no answer: the data is not the JSON that .* says: /,
    },
  ]);
  offer('2', '{"n": 2}');
  t.strictSame(names(), ['filtering 2'], 'of the same key');
  givenUp[0]?.hold.settle();
  t.equal(await position(), 1);
});

onEachLane('what has no answer goes to the dead letter sink by way of the retry topic', async (t, kind) => {
  const double = await startLane(kind, withSink);
  double.offer('1', '{"n"');
  t.equal(await double.position(), 1);
  t.strictSame(double.givenUp, []);
  const [postponed] = double.postponed;
  t.equal(double.postponed.length, 1);
  t.equal(postponed?.dueAtMs, postponed?.atMs);
  t.match(postponed?.delivery, {
    attempt: 1,
    target: {
      kind: 'deadLetterSink',
      failure: { attempts: 0, status: null, reason: /has no answer: the data is not/ },
    },
  });
  t.match(
    await double.metricsText(),
    /^posthorn_dead_letters_total\{[^}]*trigger="filtering"[^}]*reason="data_filter"[^}]*\} 1$/m,
  );
});

onEachLane('an early event is filtered before it waits', async (t, kind) => {
  const { offer, postponed, givenUp, position } = await startLane(kind, filtering);
  const deliverat = '2100-01-01T00:00:00Z';
  offer('1', '{"n": 1}', { deliverat });
  offer('2', '{"n": 2}', { deliverat });
  offer('3', '{"n"', { deliverat });
  givenUp[0]?.hold.settle();
  t.equal(await position(), 3);
  t.strictSame(
    postponed.map(({ id }) => id),
    ['2'],
  );
  t.strictSame(
    givenUp.map(({ id }) => id),
    ['3'],
  );
});

t.test('an event that one trigger can not filter goes to the others, and settles when they have it', async (t) => {
  const { offer, names, delivered, givenUp, position } = await startLane('shared', filtering, [all]);
  offer('1', '{"n"');
  t.strictSame(names(), ['all 1']);
  t.equal(givenUp.length, 1);
  delivered[0]?.hold.settle();
  t.equal(await position(), 0);
  givenUp[0]?.hold.settle();
  t.equal(await position(), 1);
});

onEachLane('a revision of the trigger filters what comes after it', async (t, kind) => {
  const double = await startLane(kind, filtering);
  double.offer('1', '{"n": 1}');
  double.setTriggers([{ ...filtering, generation: 2, dataFilter: 'data.n == 1' }]);
  double.offer('2', '{"n": 1}');
  t.strictSame(double.names(), ['filtering 2']);
});
