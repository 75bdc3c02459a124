import { TriggerIndex } from '../../broker/filter/trigger-index.ts';
import type { LogRecord } from '../../broker/log/log.ts';
import { brokerTopics } from '../../broker/topics.ts';
import type { Registry, RegistrySnapshot } from '../../broker/trigger/registry.ts';
import type { Broker, Trigger } from '../../broker/trigger/trigger.ts';
import type { Delivery, GivenUp, Hold, Target } from '../../dispatcher/fate.ts';
import type { LaneOptions } from '../../dispatcher/lane/lane.ts';
import type { Pipeline } from '../../dispatcher/pipeline.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { ManualClock } from './manual-clock.ts';
import { ScriptedLog } from './scripted-log.ts';
import { silent } from './silent.ts';

const broker = { namespace: 'default', name: 'default' };

export interface Handled {
  readonly trigger: string;
  readonly id: string;
  readonly attempt: number;
  readonly atMs: number;
  readonly delivery: Delivery;
  readonly hold: Hold;
}

/** What a lane stands between: a log, a registry and a pipeline that do what the test says, and record what is done. */
export class LaneDouble {
  readonly clock = new ManualClock();
  readonly script = new ScriptedLog();
  topics = brokerTopics('posthorn', broker);
  readonly delivered: Handled[] = [];
  readonly spilled: Handled[] = [];
  readonly abandoned: GivenUp[] = [];
  readonly givenUp: (Handled & { readonly category: string; readonly reason: string })[] = [];
  readonly unreadable: LogRecord[] = [];
  /** Of each of them. */
  readonly refusals: { readonly by: string; readonly reason: string; readonly hold: Hold }[] = [];
  schemas: LaneOptions['schemas'] = null;
  readonly postponed: (Handled & { readonly dueAtMs: number })[] = [];
  /** How often requests of revoked records were cut. */
  cuts = 0;
  /** How often the pipeline was told to let go of what it had of revoked records. */
  revokedDrops = 0;
  /** Uids of triggers that the registry knows to be deleted. */
  readonly deleted = new Set<string>();
  readonly #metrics = createMetrics();
  #snapshot: RegistrySnapshot;
  #isFresh = true;
  readonly #freshWaiters: (() => void)[] = [];
  readonly #changeListeners = new Set<() => void>();
  readonly #full = new Set<string>();
  readonly #room = new Map<string, number>();
  readonly #occupied = new Set<string>();
  readonly #open = new Set<string>();
  readonly #paused = new Set<string>();
  readonly #roomWaiters = new Set<() => void>();

  constructor(triggers: readonly Trigger[]) {
    this.#snapshot = snapshotOf(triggers);
  }

  /** What `/metrics` shows. */
  metricsText(): Promise<string> {
    return this.#metrics.registry.metrics();
  }

  /** What every lane is given. */
  get options(): LaneOptions {
    return {
      log: this.script.log,
      registry: this.#registry(),
      pipeline: this.#pipeline(),
      clock: this.clock,
      logger: silent,
      metrics: this.#metrics,
      schemas: this.schemas,
      window: { recordsMax: 1_000, bytesMax: 10_000_000, partitionRecordsMax: 100 },
    };
  }

  /** The broker has these topics, which exist already. */
  setTopics(external: readonly string[]): void {
    this.topics = brokerTopics('posthorn', broker, external);
  }

  /** @param unreadable uids of triggers of which nothing can be read */
  setTriggers(triggers: readonly Trigger[], broker: Broker | null = null, unreadable: readonly string[] = []): void {
    this.#snapshot = { ...snapshotOf(triggers, broker), unreadable: new Set(unreadable) };
    for (const listener of this.#changeListeners) listener();
  }

  setFresh(isFresh: boolean): void {
    this.#isFresh = isFresh;
    if (isFresh) for (const resolve of this.#freshWaiters.splice(0)) resolve();
  }

  /** How many callbacks wait for room. */
  get roomWaiters(): number {
    return this.#roomWaiters.size;
  }

  /** Whether the trigger can take more. */
  setFull(trigger: Trigger, isFull: boolean): void {
    if (isFull) this.#full.add(trigger.uid);
    else this.#full.delete(trigger.uid);
    const waiters = [...this.#roomWaiters];
    this.#roomWaiters.clear();
    for (const callback of waiters) callback();
  }

  /** The trigger takes so many deliveries, and is full then. */
  setRoom(trigger: Trigger, deliveries: number): void {
    this.#room.set(trigger.uid, deliveries);
    this.setFull(trigger, false);
  }

  #takeRoom(uid: string): void {
    const room = this.#room.get(uid);
    if (room === undefined) return;
    this.#room.set(uid, room - 1);
    if (room > 1) return;
    this.#room.delete(uid);
    this.#full.add(uid);
  }

  /** The trigger's breaker is open: what it has room for may be a probe. */
  setOpen(trigger: Trigger): void {
    this.#open.add(trigger.uid);
  }

  /** The trigger is paused: it has no room. */
  setPaused(trigger: Trigger): void {
    this.#paused.add(trigger.uid);
    this.setFull(trigger, true);
  }

  /** The trigger has room, and deliveries of its own that wait. */
  setOccupied(trigger: Trigger): void {
    this.#occupied.add(trigger.uid);
  }

  #isIdle(uid: string): boolean {
    return !this.#full.has(uid) && !this.#occupied.has(uid);
  }

  #registry(): Registry {
    return {
      name: broker,
      snapshot: () => this.#snapshot,
      topics: () => this.topics,
      stored: () => ({ deleted: this.deleted }),
      refresh: () =>
        this.#isFresh ? Promise.resolve() : new Promise<void>((resolve) => this.#freshWaiters.push(resolve)),
      isFresh: () => this.#isFresh,
      onChange: (listener: () => void) => {
        this.#changeListeners.add(listener);
        return () => this.#changeListeners.delete(listener);
      },
      whenFresh: () => new Promise<void>((resolve) => this.#freshWaiters.push(resolve)),
    } as unknown as Registry;
  }

  #pipeline(): Pipeline {
    const handled = (delivery: Delivery, hold: Hold): Handled => ({
      trigger: delivery.trigger.name,
      id: delivery.event.attributes.id,
      attempt: delivery.attempt,
      atMs: this.clock.now(),
      delivery,
      hold,
    });
    return {
      limits: {
        isIdle: ({ uid }: Trigger) => this.#isIdle(uid),
        busiest: () => [],
        zeroOf: (uid: string) => (this.#open.has(uid) ? 'open' : this.#paused.has(uid) ? 'paused' : null),
        of: ({ uid }: Trigger, target: Target['kind'] = 'subscriber') => ({
          // Full is the subscriber; of its sink there is always room.
          hasRoomFor: () => target === 'deadLetterSink' || !this.#full.has(uid),
          isIdle: this.#isIdle(uid),
          isOpen: this.#open.has(uid),
          onceRoom: (_lane: string, callback: () => void) => this.#roomWaiters.add(callback),
          takeOut: () => [],
        }),
      },
      deliver: (delivery: Delivery, hold: Hold) => {
        this.delivered.push(handled(delivery, hold));
        this.#takeRoom(delivery.trigger.uid);
      },
      spill: (delivery: Delivery, hold: Hold) => this.spilled.push(handled(delivery, hold)),
      postpone: (delivery: Delivery, { dueAtMs }: { dueAtMs: number }, hold: Hold) => {
        this.postponed.push({ ...handled(delivery, hold), dueAtMs });
        hold.settle();
      },
      giveUp: (delivery: Delivery, category: string, reason: string, hold: Hold) => {
        this.givenUp.push({ ...handled(delivery, hold), category, reason });
      },
      dropRevoked: () => {
        this.revokedDrops++;
      },
      cutRevoked: () => {
        this.cuts++;
      },
      abandon: (delivery: GivenUp, hold: Hold) => {
        this.abandoned.push(delivery);
        hold.settle();
      },
      unreadable: (record: LogRecord, _origin: unknown, reason: string, hold: Hold, by: string) => {
        this.unreadable.push(record);
        this.refusals.push({ by, reason, hold });
        hold.settle();
      },
    } as unknown as Pipeline;
  }
}

function snapshotOf(triggers: readonly Trigger[], broker: Broker | null = null): RegistrySnapshot {
  return {
    broker,
    triggers: new Map(triggers.map((trigger) => [trigger.uid, trigger])),
    index: new TriggerIndex(triggers),
    unreadable: new Set(),
    discarded: new Set(),
  };
}
