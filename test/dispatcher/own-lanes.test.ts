import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Commit, Log } from '../../broker/log/log.ts';
import { spansAfter, withServed } from '../../broker/trigger/lane-spans.ts';
import type { LaneSpan, Trigger } from '../../broker/trigger/trigger.ts';
import { OwnLanes } from '../../dispatcher/own-lanes.ts';
import { toRecord } from '../../event/kafka.ts';
import { systemClock } from '../../runtime/clock.ts';
import { testEvent, testTrigger } from '../support/events.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { silent } from '../support/silent.ts';
import { readTopic } from '../support/topics.ts';
import { until } from '../support/until.ts';

/** How long after a change every process knows of it. */
const knownAfterMs = 3_000;

t.test('a trigger that went to a group of its own and back at once is served what came between', async (t) => {
  const stage = await startStage(t, ['shared', 'own', 'shared']);
  await stage.append('e1', 'e2');
  const lanes = stage.newProcess();
  await lanes.bringUp();
  await stage.untilDelivered('e1', 'e2');
  await stage.clock.advance(knownAfterMs);
  await lanes.bringUp();
  stage.settle('e1');
  await stage.untilCommitted(1);
  await lanes.bringUp();
  t.same(await stage.told(), [], 'e2 is under way');
  stage.settle('e2');
  await stage.untilCommitted(2);
  await lanes.bringUp();
  t.match(await stage.told(), [{ op: 'handed-back', uid: stage.uid, laneSpans: 3 }]);
  stage.becomes(withServed(stage.spans, 3));
  await lanes.bringUp();
  t.same(lanes.lanes, []);
  t.same(await stage.committed(), [], 'the group is deleted');
});

t.test('a process that begins in the middle of it serves the rest, and nothing once all is served', async (t) => {
  const stage = await startStage(t, ['own']);
  await stage.append('e0', 'e1');
  const killed = stage.newProcess();
  await killed.bringUp();
  await stage.untilDelivered('e0', 'e1');
  stage.settle('e0');
  await stage.moves('shared');
  await stage.untilCommitted(1);
  await killed.close(AbortSignal.abort());
  stage.delivered.length = 0;

  const lanes = stage.newProcess();
  await lanes.bringUp();
  await stage.untilDelivered('e1');
  stage.settle('e1');
  stage.becomes(withServed(stage.spans, 2));
  await lanes.bringUp();
  await stage.commitAsOwn(2);
  const late = stage.newProcess();
  await late.bringUp();
  t.same(late.lanes, []);
  t.same(await stage.committed(), [], 'of a group that nobody came to delete');
});

t.test('an end that a broker says too low does not end it', async (t) => {
  const stage = await startStage(t, ['own']);
  await stage.append('e1');
  stage.becomes(spansAfter(stage.spans, 'shared', [2]));
  const lanes = stage.newProcess();
  await lanes.bringUp();
  await stage.untilDelivered('e1');
  await stage.clock.advance(knownAfterMs);
  await lanes.bringUp();
  stage.settle('e1');
  await stage.untilCommitted(1);
  await lanes.bringUp();
  t.same(await stage.told(), []);
  await stage.append('e2');
  await stage.untilDelivered('e2');
});

t.test('a lane that began on other topics of its broker begins anew', async (t) => {
  const stage = await startStage(t, ['own']);
  const lanes = stage.newProcess();
  await lanes.bringUp();
  stage.setTopics(['external']);
  await lanes.bringUp();
  t.same(lanes.lanes[0]?.topics, ['external']);
  await stage.append('e1');
  await stage.untilDelivered('e1');
});

t.test('a trigger is served by the group that its last revision names, though that can not be read', async (t) => {
  const stage = await startStage(t, ['own']);
  await stage.append('e1');
  stage.becomes(spansAfter(stage.spans, 'shared', [1]), 'own');
  const lanes = stage.newProcess();
  await lanes.bringUp();
  await stage.untilDelivered('e1');
  await stage.clock.advance(knownAfterMs);
  await lanes.bringUp();
  stage.settle('e1');
  await stage.untilCommitted(1);
  await lanes.bringUp();
  t.equal((await stage.told()).length, 1, 'and that it is handed back');
});

t.test('a process that owns no partition says nothing before the others have served theirs', async (t) => {
  const stage = await startStage(t, ['own', 'shared']);
  await stage.append('e1');
  const [owner, idle] = [stage.newProcess(), stage.newProcess()];
  await owner.bringUp();
  await stage.untilDelivered('e1');
  await idle.bringUp();
  await stage.clock.advance(knownAfterMs);
  await idle.bringUp();
  t.same(idle.lanes[0]?.lane.positions(), []);
  t.same(await stage.told(), []);
  stage.settle('e1');
  await stage.untilCommitted(1);
  await idle.bringUp();
  t.equal((await stage.told()).length, 1);
});

t.test('nothing is left out by a trigger that moves again before it has been handed back', async (t) => {
  for (const last of [[], ['shared']] as const) {
    const stage = await startStage(t, ['own', 'shared']);
    await stage.append('slow');
    const lanes = stage.newProcess();
    await lanes.bringUp();
    await stage.untilDelivered('slow');
    await stage.clock.advance(knownAfterMs);
    await lanes.bringUp();
    await stage.append('left alone');
    // It reads beyond its end by now, and does not know yet that the trigger is its own again.
    await until(() => stage.offered.has('left alone'), 'it to be read');
    await stage.moves('own', ...last);
    await stage.append('again its own');
    stage.settle('slow');
    await lanes.bringUp();
    await stage.untilDelivered('slow', 'left alone', 'again its own');
    t.same(await stage.told(), []);
  }
});

/** A trigger on an embedded log, which these groups have had one after the other, before any event. */
async function startStage(t: Test, groups: readonly LaneSpan['group'][]): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-test-'));
  const log = await openEmbeddedLog({ directory, clock: systemClock, logger: silent });
  t.teardown(async () => {
    await log.close();
    await rm(directory, { recursive: true });
  });
  const stage = new Stage(log);
  const spec = { partitions: 1, retentionMs: null, maxMessageBytes: 1_048_576 };
  const topics = [stage.topics.events, stage.topics.triggers, 'external'];
  for (const topic of topics) await log.ensureTopics([topic], spec);
  await stage.moves(...groups);
  return stage;
}

class Stage extends LaneDouble {
  /** Ids of the events that a lane was offered. */
  readonly offered = new Set<string>();
  readonly #log: Log;
  #trigger: Trigger;
  #isMade = false;

  constructor(log: Log) {
    const trigger = testTrigger('http://127.0.0.1:1', { name: 'one' });
    super([trigger]);
    this.#log = log;
    this.#trigger = trigger;
  }

  get uid(): string {
    return this.#trigger.uid;
  }

  get spans(): readonly LaneSpan[] {
    return this.#trigger.laneSpans;
  }

  newProcess(): OwnLanes {
    return new OwnLanes({ ...this.options, log: this.#watched(), onDue: () => {} });
  }

  /** @param lane as the last revision says that could be read */
  becomes(laneSpans: readonly LaneSpan[], lane: Trigger['lane'] = laneSpans.at(-1)?.group ?? 'shared'): void {
    this.#trigger = { ...this.#trigger, laneSpans, lane };
    this.setTriggers([this.#trigger]);
  }

  /** From the end of the log on these groups have the trigger, one after the other. */
  async moves(...groups: readonly LaneSpan['group'][]): Promise<void> {
    const [end] = await this.#log.ends(this.topics.events);
    const from = [end?.offset ?? 0];
    for (const group of groups) {
      this.becomes(spansAfter(this.#isMade ? this.spans : null, group, from));
      this.#isMade = true;
    }
  }

  async append(...ids: readonly string[]): Promise<void> {
    const records = ids.map((id) => toRecord(testEvent({ id })));
    await this.#log.append(this.topics.eventTopics[0] ?? '', 0, records);
  }

  async untilDelivered(...ids: readonly string[]): Promise<void> {
    const delivered = () => [...new Set(this.delivered.map(({ id }) => id))];
    await until(() => ids.every((id) => delivered().includes(id)), `${ids} to be delivered`);
  }

  settle(id: string): void {
    this.delivered.findLast((one) => one.id === id)?.hold.settle();
  }

  async untilCommitted(offset: number): Promise<void> {
    const isCommitted = async (): Promise<boolean> => {
      await this.clock.advance(100);
      return (await this.committed()).some((commit) => commit.offset === offset);
    };
    await until(isCommitted, `${offset} to be committed`);
  }

  /** What a process has left behind that was killed before it could delete the group. */
  async commitAsOwn(offset: number): Promise<void> {
    const [group, topic] = [this.topics.ownGroup(this.#trigger), this.topics.events];
    const handler = { assigned: () => {}, records: () => 0, lost: () => {}, disturbed: () => {} };
    const consumer = await this.#log.consume({ group, topics: [topic], startAt: [offset], handler });
    await consumer.close();
  }

  committed(): Promise<readonly Commit[]> {
    return this.#log.committed(this.topics.ownGroup(this.#trigger), this.topics.events);
  }

  /** What was written to the registry. */
  async told(): Promise<unknown[]> {
    const records = await readTopic(this.#log, this.topics.triggers);
    return records.map(({ value }) => JSON.parse(String(value)));
  }

  #watched(): Log {
    const consume: Log['consume'] = (options) => {
      const { handler } = options;
      const records: typeof handler.records = (batch) => {
        const taken = handler.records(batch);
        for (const { headers } of batch.records.slice(0, taken)) this.offered.add(String(headers.ce_id));
        return taken;
      };
      const watched = {
        assigned: handler.assigned.bind(handler),
        lost: handler.lost.bind(handler),
        disturbed: handler.disturbed.bind(handler),
      };
      return this.#log.consume({ ...options, handler: { ...watched, records } });
    };
    return new Proxy(this.#log, {
      get(log, name) {
        const value = name === 'consume' ? consume : Reflect.get(log, name);
        return typeof value === 'function' ? value.bind(log) : value;
      },
    });
  }
}
