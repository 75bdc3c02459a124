import { pino } from 'pino';
import type { Gatherer } from '../../broker/log/gather.ts';
import type { NewRecord } from '../../broker/log/log.ts';
import { brokerTopics } from '../../broker/topics.ts';
import type { Registry, RegistrySnapshot } from '../../broker/trigger/registry.ts';
import type { Broker, Trigger } from '../../broker/trigger/trigger.ts';
import { DurableAppender } from '../../dispatcher/append.ts';
import type { Batch } from '../../dispatcher/batch/body.ts';
import type { Deliverer } from '../../dispatcher/deliver.ts';
import { type Delivery, type Hold, type Outcome, RevokedError } from '../../dispatcher/fate.ts';
import { allPermitted } from '../../dispatcher/permits.ts';
import { Pipeline, type PipelineOptions } from '../../dispatcher/pipeline.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from '../support/silent.ts';

const name = { namespace: 'default', name: 'default' };
export const topics = brokerTopics('posthorn', name);

export function answered(status: number, headers: string[] = [], body = ''): Outcome {
  return { kind: 'answered', status, headers, body: Buffer.from(body), truncated: false };
}

/** What has become of the record that a delivery came from. */
export interface Held {
  state: 'held' | 'settled' | 'dropped';
  isRevoked: boolean;
}

/** A pipeline whose subscribers and log do what the test says. */
export function startPipeline(
  triggers: readonly Trigger[],
  { waitingEventsMax = 10, permits = allPermitted, schemas = null as PipelineOptions['schemas'] } = {},
) {
  const clock = new ManualClock();
  const cut = new AbortController();
  const appended: { topic: string; record: NewRecord }[] = [];
  const attempts: { url: string; delivery: Delivery; hops: number }[] = [];
  const batches: Batch[] = [];
  /** What a batch is answered; absent: as a single event. */
  let answerBatch: ((batch: Batch) => Outcome | Promise<Outcome>) | undefined;
  const lines: Record<string, unknown>[] = [];
  /** Of other brokers, by `namespace/name`. */
  const others = new Map<string, Registry>();
  const answers = new Map<string, Outcome | Promise<Outcome>>();
  /** By URL: what makes the answer of each attempt. */
  const answering = new Map<string, () => Promise<Outcome>>();
  let refuse: (topic: string, record: NewRecord) => Error | undefined = () => undefined;
  const byUid = new Map(triggers.map((trigger) => [trigger.uid, trigger]));
  const snapshot = {
    broker: null as Broker | null,
    triggers: byUid,
    unreadable: new Set(),
    discarded: new Set<string>(),
  };
  const gatherer = {
    append: async (topic: string, record: NewRecord) => {
      const error = refuse(topic, record);
      if (error) throw error;
      appended.push({ topic, record });
    },
  } as unknown as Gatherer;
  /** Requests that are cut where they are revoked. */
  const cuts = new Set<() => void>();
  const answer = (outcome: Outcome | Promise<Outcome>, isRevoked?: () => boolean): Promise<Outcome> => {
    const aborted = new Promise<never>((_, reject) => {
      cut.signal.addEventListener('abort', () => reject(cut.signal.reason));
      if (isRevoked) cuts.add(() => isRevoked() && reject(new RevokedError()));
    });
    return Promise.race([outcome, aborted]);
  };
  const deliverer: Deliverer = {
    attempt: async (delivery, url, hops) => {
      attempts.push({ url, delivery, hops });
      return answer(answering.get(url)?.() ?? answers.get(url) ?? answered(200));
    },
    attemptBatch: async (batch, url, isRevoked) => {
      batches.push(batch);
      return answer(answerBatch?.(batch) ?? answers.get(url) ?? answered(200), isRevoked);
    },
    cut: () => {},
    cutRevoked: () => {
      for (const one of cuts) one();
    },
    close: async () => {},
  };
  const metrics = createMetrics();
  const pipeline = new Pipeline({
    broker: 'default/default',
    registry: {
      name,
      snapshot: () => snapshot as unknown as RegistrySnapshot,
      topics: () => topics,
    } as unknown as Registry,
    schemas,
    registryOf: (other) => others.get(`${other.namespace}/${other.name}`),
    topics: () => topics,
    deliverer,
    appender: new DurableAppender(gatherer, clock, silent, cut.signal),
    clock,
    logger: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    metrics,
    waitingEventsMax,
    permits,
    signal: cut.signal,
  });
  return {
    ...{ pipeline, clock, cut, appended, attempts, batches, answers, others, snapshot, lines, metrics },
    answerEach(url: string, by: () => Promise<Outcome>): void {
      answering.set(url, by);
    },
    answerBatches(by: typeof answerBatch): void {
      answerBatch = by;
    },
    refuse(when: typeof refuse): void {
      refuse = when;
    },
    /** Delivers and tells what became of the record that it came from. */
    run(delivery: Delivery, more: Partial<Hold> = {}): Held {
      const held: Held = { state: 'held', isRevoked: false };
      const hold: Hold = {
        ...more,
        get isRevoked() {
          return held.isRevoked;
        },
        settle: () => {
          held.state = 'settled';
        },
        drop: () => {
          held.state = 'dropped';
        },
      };
      pipeline.deliver(delivery, hold, 'shared');
      return held;
    },
  };
}
