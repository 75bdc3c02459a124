import type { Health } from '../../dispatcher/decide.ts';
import type { Turn } from '../../dispatcher/limit/turn.ts';
import type { LaneKind, Waiting } from '../../dispatcher/limit/waiting-queue.ts';
import { type LimitChange, type LimitSettings, TriggerLimit } from '../../dispatcher/limit.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { ManualClock } from '../support/manual-clock.ts';

const trigger = testTrigger('http://127.0.0.1:1/');

/** An attempt under way, until the test ends it. */
export interface Attempt {
  readonly id: string;
  readonly attempt: number;
  readonly atMs: number;
  readonly isProbe: boolean;
  /** As it began: how many might be under way at once, and how many were, with it. */
  readonly concurrency: number;
  readonly inFlight: number;
  /** All that go in the request, where the trigger wants batches. */
  readonly batch: readonly string[] | null;
  end(health?: Health, retryAfterMs?: number): Promise<void>;
}

export interface LimitSetup {
  readonly settings?: Partial<LimitSettings>;
  readonly waitingEventsMax?: number;
  readonly random?: () => number;
}

interface AddOptions {
  readonly lane?: LaneKind;
  readonly attempt?: number;
  /** Of its data. */
  readonly bytes?: number;
}

/** A limit whose attempts the test ends, on a clock that it turns. */
export function startLimit({ settings = {}, waitingEventsMax = 1_024, random = () => 0.5 }: LimitSetup = {}) {
  const clock = new ManualClock();
  const changes: LimitChange[] = [];
  const attempts: Attempt[] = [];
  const underWay = new Set<Attempt>();
  let current: LimitSettings = { maxInFlight: 256, batch: null, rate: null, paused: false, generation: 1, ...settings };
  const idOf = ({ delivery }: Waiting): string => delivery.event.attributes.id;
  const deliver = (waiting: Waiting, turn: Turn, others: readonly Waiting[] | null): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const one: Attempt = {
      ...{ id: idOf(waiting), attempt: waiting.delivery.attempt, isProbe: turn.isProbe, atMs: clock.monotonic() },
      ...{ concurrency: limit.concurrency, inFlight: limit.inFlight },
      batch: others && [waiting, ...others].map(idOf),
      async end(health = 'well', retryAfterMs = 0) {
        underWay.delete(one);
        turn.ended(health, retryAfterMs);
        resolve();
        await clock.advance(0);
      },
    };
    attempts.push(one);
    underWay.add(one);
    return promise;
  };
  const limit = new TriggerLimit(current, {
    ...{ waitingEventsMax, clock, random },
    deliver,
    onChange: (change) => void changes.push(change),
  });
  return {
    ...{ limit, clock, changes, attempts, underWay },
    /** A delivery comes in. */
    add(id: string, { lane = 'shared', attempt = 1, bytes = 0 }: AddOptions = {}): void {
      const hold = { isRevoked: false, settle: () => {}, drop: () => {} };
      const data = bytes === 0 ? undefined : Buffer.alloc(bytes, '1');
      const event = testEvent({ id, datacontenttype: 'application/json' }, data);
      limit.add({ lane, hold, delivery: testDelivery(trigger, event, { attempt }) });
    },
    update(more: Partial<LimitSettings>): void {
      current = { ...current, ...more };
      limit.update(current);
    },
    /** Ends the attempts that are under way now, in the order in which they began. */
    async endAll(health: Health = 'well', retryAfterMs = 0): Promise<void> {
      for (const attempt of [...underWay]) await attempt.end(health, retryAfterMs);
    },
  };
}

/** Five failures in a row: the breaker opens. */
export async function openBreaker({ add, attempts }: ReturnType<typeof startLimit>): Promise<void> {
  for (let count = 0; count < 5; count++) {
    add(`failure ${count}`);
    await attempts.at(-1)?.end('failing');
  }
}
