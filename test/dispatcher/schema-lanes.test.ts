import t, { type Test } from 'tap';
import type { Found } from '../../broker/schema/schemas.ts';
import { brokerFromManifest } from '../../broker/trigger/manifest.ts';
import { OwnLane } from '../../dispatcher/lane/own.ts';
import { SharedLane } from '../../dispatcher/lane/shared.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { asLogRecord } from '../support/scripted-log.ts';

const trigger = testTrigger('http://127.0.0.1:1', { name: 'all' });
const broker = (onTopic: boolean) =>
  brokerFromManifest(
    {
      apiVersion: 'eventing.knative.dev/v1',
      kind: 'Broker',
      metadata: { name: 'default', annotations: { 'posthorn.dev/validate-topic': String(onTopic) } },
    },
    'default',
  );

/** Wants data without `x`. */
const schema: Found = {
  kind: 'schema',
  schema: {
    uri: 'schemas:///a',
    violations: (data) => ('x' in (data as object) ? [{ pointer: '/x', detail: 'is too much' }] : []),
  },
};
const away: Found = { kind: 'unavailable', reason: 'the registry is away' };

type Kind = 'shared' | 'ordered';

async function startLane(kind: Kind, onTopic = true) {
  const double = new LaneDouble([trigger]);
  double.setTriggers([trigger], broker(onTopic));
  const state = { found: schema as Found | Promise<Found>, asked: 0 };
  double.schemas = {
    find: () => {
      state.asked++;
      return state.found;
    },
  };
  const { script, topics, options } = double;
  const topic = topics.events;
  const lane =
    kind === 'shared'
      ? new SharedLane({ ...options, group: topics.sharedGroup, topics: [topic], startAt: 'earliest' })
      : new OwnLane({
          ...{
            ...options,
            group: topics.ownGroup(trigger),
            topics: [topic],
            startAt: [],
          },
          ...{ triggerUid: trigger.uid, isOrdered: true },
        });
  await lane.start();
  script.assign([{ topic }]);
  let offset = 0;
  return Object.assign(double, {
    lane,
    state,
    offer: (id: string, json: string, dataschema: string | null = 'schemas:///a') => {
      const named = dataschema === null ? {} : { dataschema };
      const event = testEvent({ id, datacontenttype: 'application/json', ...named }, Buffer.from(json));
      script.offer([asLogRecord(toRecord(event), offset)], { topic });
      offset++;
    },
    /** Ids in the order of their deliveries, each acknowledged. */
    ids: () => {
      for (const { hold } of double.delivered) hold.settle();
      return double.delivered.map(({ id }) => id);
    },
    waiting: async () => /lanes_waiting_for_schema\{[^}]*\} (\d)/.exec(await double.metricsText())?.[1] ?? '0',
  });
}

function onEachLane(name: string, test: (t: Test, kind: Kind) => Promise<void>): void {
  for (const kind of ['shared', 'ordered'] as const) t.test(`${name} (${kind})`, (t) => test(t, kind));
}

onEachLane(
  'an event of the topic that violates its schema is dead-lettered raw, and the rest goes on',
  async (t, kind) => {
    const { offer, ids, refusals, clock } = await startLane(kind);
    offer('1', '{}');
    offer('2', '{"x": 1}');
    offer('3', '{}');
    await clock.advance(0);
    t.match(refusals, [{ by: 'schema', reason: /^the data violates the schema "schemas:\/\/\/a": \/x is too much$/ }]);
    ids();
    await clock.advance(0);
    t.strictSame(ids(), ['1', '3']);
  },
);

t.test('without posthorn.dev/validate-topic nothing of a topic is judged', async (t) => {
  const { offer, ids, state } = await startLane('shared', false);
  offer('1', '{"x": 1}');
  t.strictSame([ids(), state.asked], [['1'], 0]);
});

onEachLane(
  'while a schema is not to be had the topic waits in its order: nothing is delivered or dead-lettered',
  async (t, kind) => {
    const { offer, ids, state, refusals, clock, waiting, script } = await startLane(kind);
    state.found = away;
    offer('1', '{"x": 1}');
    offer('2', '{}');
    offer('3', '{}', null);
    await clock.advance(10_500);
    t.strictSame([ids(), refusals, await waiting()], [[], [], '1']);
    t.equal(state.asked, 11, 'once a second');
    t.strictSame(script.commits.at(-1)?.[0]?.offset ?? 0, 0);
    state.found = schema;
    await clock.advance(1_000);
    ids();
    await clock.advance(1_000);
    t.strictSame(ids(), ['2', '3']);
    t.equal(refusals.length, 1);
    t.equal(await waiting(), '0');
  },
);

t.test('a schema that is being fetched is waited for, without a word', async (t) => {
  const { offer, ids, state, clock, waiting } = await startLane('shared');
  const { promise, resolve } = Promise.withResolvers<Found>();
  state.found = promise;
  offer('1', '{}');
  offer('2', '{}', null);
  await clock.advance(5_000);
  t.strictSame([ids(), state.asked, await waiting()], [[], 1, '0']);
  resolve(schema);
  await clock.advance(0);
  t.strictSame([ids(), state.asked], [['1', '2'], 1]);
});

t.test(
  'what is another process’s by now is let go of while it waits, and a lane that closes waits no more',
  async (t) => {
    const { offer, ids, state, clock, lane, script, topics, waiting } = await startLane('shared');
    state.found = away;
    offer('1', '{}');
    await clock.advance(100);
    script.assign([]);
    state.found = schema;
    await clock.advance(2_000);
    t.strictSame(ids(), []);
    script.assign([{ topic: topics.events }]);
    state.found = away;
    offer('2', '{}');
    await clock.advance(100);
    await lane.close(AbortSignal.abort());
    t.equal(await waiting(), '0');
    t.equal(clock.pending, 0);
  },
);
