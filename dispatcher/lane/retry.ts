import TinyQueue from 'tinyqueue';
import type { TopicCommit } from '../../broker/log/log.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Timer } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { delayMaxMs } from '../decide.ts';
import { fromRetryRecord, type RetryItem } from '../retry.ts';
import { type LaneOptions, originOf, reportingOf } from './lane.ts';
import { LaneReader, type TakenRecord } from './reader.ts';

export interface RetryLaneOptions extends LaneOptions {
  readonly group: string;
}

/**
 * The retry lane: reads the retry topics of many triggers (one partition each) and delivers what is due, in order of
 * due time for each trigger, under the trigger's current settings and without filtering again.
 *
 *   take -> read -> wait until due -> the trigger's limit
 *                   └─ the window is full: what is due late goes to the end of its topic
 */
export class RetryLane {
  readonly #options: RetryLaneOptions;
  readonly #reader: LaneReader;
  /** By topic and by what is called: where the subscriber is down, its dead letter sink may be well. */
  readonly #waiting = new Map<string, WaitingTopic>();
  /** Offsets below which the topics were trimmed, and when. */
  readonly #trimmed = new Map<string, { readonly offset: number; readonly atMs: number }>();
  /** Uids that the registry did not know even when it had been read anew. */
  readonly #unknown = new Set<string>();
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #rotateTimer: Timer | undefined;
  #isDelivering = false;
  /** Wall clock minus monotonic clock, when last looked. */
  #wallMs: number;
  readonly #closing = new AbortController();

  constructor(options: RetryLaneOptions) {
    this.#options = options;
    const { log, group, clock, logger, window } = options;
    this.#wallMs = clock.now() - clock.monotonic();
    this.#reader = new LaneReader({
      ...{ log, group, clock, logger, window },
      startAt: 'earliest',
      onRecord: (taken) => this.#receive(taken),
      onRevoked: () => this.#dropRevoked(),
      onHeld: () => this.#rotateSoon(),
      onCommitted: (commits) => this.#trim(commits),
      ...reportingOf(options, group),
    });
  }

  /** @throws LogUnavailableError, UnknownTopicError */
  start(topics: readonly string[]): Promise<void> {
    return this.#reader.start(topics);
  }

  /** Reads these topics from now on. @throws as `start` */
  changeTopics(topics: readonly string[]): Promise<void> {
    return this.#reader.changeTopics(topics);
  }

  positions(): ReturnType<LaneReader['positions']> {
    return this.#reader.positions();
  }

  /** Looks again at what waits: triggers have changed, and what a deleted one left need not wait any longer. */
  refresh(): void {
    this.#unknown.clear();
    for (const waiting of this.#waiting.values()) {
      waiting.isBlocked = false;
      waiting.replace(waiting.items.map((one) => ({ ...one, dueAtMs: this.#dueAtMs(one.item) })));
    }
    this.#deliverDue();
  }

  /** Stops reading, lets go of what is not under way, waits for the rest or `signal`, commits. */
  async close(signal: AbortSignal): Promise<void> {
    this.#closing.abort();
    this.#timer?.cancel();
    this.#rotateTimer?.cancel();
    for (const { items } of this.#waiting.values()) for (const { taken } of items) taken.drop();
    this.#waiting.clear();
    await this.#reader.close(signal);
  }

  #receive(taken: TakenRecord): void {
    const item = this.#read(taken);
    if (!item) return;
    const dueAtMs = this.#dueAtMs(item);
    const key = `${item.target.kind} ${taken.topic}`;
    let waiting = this.#waiting.get(key);
    if (!waiting) {
      waiting = new WaitingTopic(taken.topic, (topic) => this.#unblock(topic));
      this.#waiting.set(key, waiting);
    }
    waiting.push({ item, taken, dueAtMs });
    if (!waiting.isBlocked) this.#lookAt(dueAtMs);
  }

  #read(taken: TakenRecord): RetryItem | undefined {
    try {
      return fromRetryRecord(taken.record);
    } catch (error) {
      const { pipeline, clock } = this.#options;
      pipeline.unreadable(taken.record, originOf(taken, clock), messageOf(error), taken);
      return undefined;
    }
  }

  /** When to look at a delivery: at its due time, or at once if its trigger is gone. */
  #dueAtMs({ triggerUid, dueAtMs }: RetryItem): number {
    const { registry, clock } = this.#options;
    const trigger = registry.snapshot().triggers.get(triggerUid);
    // A due time that no delay explains comes from a clock that jumped.
    return trigger ? Math.min(dueAtMs, clock.now() + delayMaxMs(trigger.delivery)) : 0;
  }

  #deliverDue(): void {
    // A delivery that begins at once tells that there is room, from within.
    if (this.#isDelivering || this.#closing.signal.aborted) return;
    this.#followClock();
    this.#isDelivering = true;
    const nowMs = this.#options.clock.now();
    for (const [key, waiting] of this.#waiting) {
      while (!waiting.isBlocked) {
        const first = waiting.first;
        if (!first || first.dueAtMs > nowMs || !this.#deliverOne(waiting, first, nowMs)) break;
      }
      if (waiting.items.length === 0) this.#waiting.delete(key);
    }
    this.#isDelivering = false;
    this.#schedule();
  }

  /** Delivers what is due, mostly the first. False if it has to wait; then it is blocked until there is a reason. */
  #deliverOne(waiting: WaitingTopic, first: WaitingItem, nowMs: number): boolean {
    const { pipeline, registry } = this.#options;
    const { triggers, unreadable } = registry.snapshot();
    const { item, taken } = first;
    const trigger = triggers.get(item.triggerUid);
    if (trigger) {
      const limit = pipeline.limits.of(trigger, item.target.kind);
      if (limit.hasRoomFor('retry')) {
        // It may be a probe, which is more likely to fail than others: one that has more attempts left is taken.
        const chosen = limit.isOpen ? waiting.fewestAttempts(first, nowMs) : first;
        waiting.remove(chosen);
        pipeline.deliver({ ...chosen.item, trigger }, chosen.taken, 'retry');
        return true;
      }
      waiting.isBlocked = true;
      limit.onceRoom('retry', waiting.unblock);
      return false;
    }
    if (registry.stored().deleted.has(item.triggerUid) || this.#unknown.has(item.triggerUid)) {
      waiting.remove(first);
      pipeline.abandon({ ...item, trigger: this.#goneTrigger(waiting.topic, item.triggerUid) }, taken);
      return true;
    }
    waiting.isBlocked = true;
    // Another version of Posthorn knows how to deliver what this one can't read; or a revision will tell.
    if (!unreadable.has(item.triggerUid)) this.#readRegistryFor(item.triggerUid, waiting);
    return false;
  }

  /** A trigger that was made a moment ago, by another process, may not be known here yet. */
  #readRegistryFor(uid: string, waiting: WaitingTopic): void {
    this.#options.registry.refresh(this.#closing.signal).then(
      () => {
        this.#unknown.add(uid);
        waiting.unblock();
      },
      // It rejects only when this lane or the registry closes.
      () => {},
    );
  }

  #goneTrigger(topic: string, uid: string): Pick<Trigger, 'uid' | 'namespace' | 'name'> & { subscriberUri: null } {
    const { registry } = this.#options;
    const name = topic.slice(registry.topics().retryPrefix.length);
    return { uid, namespace: registry.name.namespace, name, subscriberUri: null };
  }

  #unblock(waiting: WaitingTopic): void {
    waiting.isBlocked = false;
    this.#deliverDue();
  }

  #dropRevoked(): void {
    for (const waiting of this.#waiting.values()) {
      const [kept, revoked] = split(waiting.items, ({ taken }) => !taken.isRevoked);
      for (const { taken } of revoked) taken.drop();
      waiting.replace(kept);
    }
    this.#options.pipeline.dropRevoked();
  }

  #rotateSoon(): void {
    this.#rotateTimer ??= this.#options.clock.setTimer(() => {
      this.#rotateTimer = undefined;
      this.#rotate();
    }, rotateMs);
  }

  /**
   * The window, or a trigger's part of it, is full, so what is due soon may stand behind it unseen: some of what is due
   * late makes room and goes to the end of its topic, unchanged.
   */
  #rotate(): void {
    if (this.#closing.signal.aborted || !this.#reader.isHeld) return;
    const { clock, pipeline, registry } = this.#options;
    const lateMs = clock.now() + rotateDueAfterMs;
    const late = [...this.#waiting.values()].flatMap((waiting) =>
      waiting.items.filter((one) => one.dueAtMs > lateMs).map((one) => ({ one, waiting })),
    );
    late.sort((a, b) => b.one.dueAtMs - a.one.dueAtMs);
    const moved = new Set<WaitingItem>();
    for (const { one } of late.slice(0, rotateRecords)) {
      const trigger = registry.snapshot().triggers.get(one.item.triggerUid);
      if (!trigger) continue;
      moved.add(one);
      pipeline.postpone({ ...one.item, trigger }, one.item, one.taken);
    }
    for (const waiting of new Set(late.map((one) => one.waiting))) {
      waiting.replace(waiting.items.filter((one) => !moved.has(one)));
    }
    this.#rotateSoon();
  }

  /** What is below the committed position was settled for good: the log need not keep it. */
  #trim(commits: readonly TopicCommit[]): void {
    const { log, clock, logger } = this.#options;
    const nowMs = clock.monotonic();
    for (const { topic, partition, offset } of commits) {
      const last = this.#trimmed.get(topic) ?? { offset: 0, atMs: Number.NEGATIVE_INFINITY };
      const isWorth = offset - last.offset >= trimRecords || nowMs - last.atMs >= trimMs;
      if (offset <= last.offset || !isWorth) continue;
      this.#trimmed.set(topic, { offset, atMs: nowMs });
      log.trim(topic, partition, offset).catch((error: unknown) => {
        logger.debug({ topic, error: messageOf(error) }, 'retry topic not trimmed');
      });
    }
  }

  /** Due times are wall-clock times: when that was set back, they are far off, and brought near again. */
  #followClock(): void {
    const { clock } = this.#options;
    const wallMs = clock.now() - clock.monotonic();
    const wasSetBack = wallMs < this.#wallMs - lookAgainMs;
    this.#wallMs = wallMs;
    if (!wasSetBack) return;
    for (const waiting of this.#waiting.values()) {
      waiting.replace(waiting.items.map((one) => ({ ...one, dueAtMs: this.#dueAtMs(one.item) })));
    }
  }

  #schedule(): void {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting.values()) {
      if (!waiting.isBlocked) earliestMs = Math.min(earliestMs, waiting.first?.dueAtMs ?? earliestMs);
    }
    this.#timer?.cancel();
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#lookAt(earliestMs);
  }

  /** Sees to it that what is due at this time is looked at then. */
  #lookAt(timeMs: number): void {
    if (timeMs >= this.#timerAtMs || this.#closing.signal.aborted) return;
    this.#timer?.cancel();
    this.#timerAtMs = timeMs;
    const delayMs = Math.min(Math.max(0, timeMs - this.#options.clock.now()), lookAgainMs);
    this.#timer = this.#options.clock.setTimer(() => this.#deliverDue(), delayMs);
  }
}

/** After the wall clock has been set, the lane goes by it this soon. */
const lookAgainMs = 1_000;

/**
 * 100 records a second: a full part of a trigger (12,288) goes by in two minutes. Faster finds what is due sooner, and
 * writes the same records to the log again and again for as long as the window is full.
 */
const rotateMs = 1_000;
const rotateRecords = 100;
/** What is due within a minute stays: it would hardly have gone round. */
const rotateDueAfterMs = 60_000;

/** A retry topic is trimmed when this much has settled, or after this time. */
const trimRecords = 1_000;
const trimMs = 60_000;

interface WaitingItem {
  readonly item: RetryItem;
  readonly taken: TakenRecord;
  readonly dueAtMs: number;
}

/** What waits of one trigger, in order of due time. */
class WaitingTopic {
  readonly topic: string;
  /** Whether the first waits for room at its trigger, or for the registry. */
  isBlocked = false;
  /** One function for as long as the topic has anything that waits, so that whoever is to call it has it once. */
  readonly unblock: () => void;
  #queue = queueOf([]);

  constructor(topic: string, onUnblock: (waiting: WaitingTopic) => void) {
    this.topic = topic;
    this.unblock = () => onUnblock(this);
  }

  /** In no order. */
  get items(): readonly WaitingItem[] {
    return this.#queue.data;
  }

  get first(): WaitingItem | undefined {
    return this.#queue.peek();
  }

  push(item: WaitingItem): void {
    this.#queue.push(item);
  }

  /** Of the same trigger and due, the one with the fewest attempts; of several the first. */
  fewestAttempts(first: WaitingItem, nowMs: number): WaitingItem {
    let best = first;
    for (const one of this.items) {
      if (one.dueAtMs > nowMs || one.item.triggerUid !== first.item.triggerUid) continue;
      const fewer = one.item.attempt - best.item.attempt;
      if (fewer < 0 || (fewer === 0 && orderOf(one, best) < 0)) best = one;
    }
    return best;
  }

  remove(item: WaitingItem): void {
    if (item === this.#queue.peek()) this.#queue.pop();
    else this.replace(this.items.filter((one) => one !== item));
  }

  replace(items: WaitingItem[]): void {
    this.#queue = queueOf(items);
  }
}

function queueOf(items: WaitingItem[]): TinyQueue<WaitingItem> {
  return new TinyQueue(items, orderOf);
}

/** Negative where the first is to go out before the other. */
function orderOf(a: WaitingItem, b: WaitingItem): number {
  return a.dueAtMs - b.dueAtMs || a.taken.record.offset - b.taken.record.offset;
}

function split<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
