import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Timer } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { delayMaxMs } from '../decide.ts';
import { fromRetryRecord, type RetryItem } from '../retry.ts';
import { isDelayed } from './delay.ts';
import { type LaneOptions, originOf, reportingOf } from './lane.ts';
import type { Committed } from './owned-partition.ts';
import { LaneReader } from './reader.ts';
import type { TakenRecord } from './taken-record.ts';
import { type WaitingItem, WaitingTopic } from './waiting-topic.ts';

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
  /** By topic: the highest offset that came, and when the front was freed last, on the monotonic clock. */
  readonly #fronts = new Map<string, { readonly newest: number; readonly freedAtMs: number }>();
  /** By topic: whose delivery came last. */
  readonly #uids = new Map<string, string>();
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
      recordsMaxOf: (topic) => this.#recordsMaxOf(topic),
      onCommitted: (committed) => {
        this.#trim(committed);
        this.#freeFronts(committed);
      },
      ...reportingOf(options, group, (topic) => [this.#triggerOf(topic)]),
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
    const { newest, freedAtMs } = this.#fronts.get(taken.topic) ?? unknownFront;
    this.#fronts.set(taken.topic, { newest: Math.max(newest, taken.record.offset), freedAtMs });
    const item = this.#read(taken);
    if (!item) return;
    this.#uids.set(taken.topic, item.triggerUid);
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

  /** Of a trigger at zero a few records are enough: more of them would take the window from the others. */
  #recordsMaxOf(topic: string): number | undefined {
    const { pipeline, window } = this.#options;
    const uid = this.#uids.get(topic);
    if (uid === undefined || pipeline.limits.zeroOf(uid) === null) return window.partitionRecordsMax;
    return Math.min(heldRecordsMax, window.partitionRecordsMax ?? heldRecordsMax);
  }

  #read(taken: TakenRecord): RetryItem | undefined {
    try {
      return fromRetryRecord(taken.record);
    } catch (error) {
      const { pipeline, clock } = this.#options;
      pipeline.unreadable(taken.record, originOf(taken, clock), messageOf(error), taken, 'unreadable');
      return undefined;
    }
  }

  /** When to look at a delivery: at its due time, or at once if its trigger is gone. */
  #dueAtMs(item: RetryItem): number {
    const { registry, clock } = this.#options;
    const trigger = registry.snapshot().triggers.get(item.triggerUid);
    if (!trigger) return 0;
    if (isDelayed(item)) return item.dueAtMs;
    // A due time that no delay explains comes from a clock that jumped.
    return Math.min(item.dueAtMs, clock.now() + delayMaxMs(trigger.delivery));
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
    const { namespace } = this.#options.registry.name;
    return { uid, namespace, name: this.#triggerOf(topic), subscriberUri: null };
  }

  /** The name of the trigger whose retry topic it is. */
  #triggerOf(topic: string): string {
    return topic.slice(this.#options.registry.topics().retryPrefix.length);
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
    this.#reader.resumeHeld();
    const { isFull, heldTopics } = this.#reader;
    const waiting = [...this.#waiting.values()].filter((one) => {
      return (isFull || heldTopics.has(one.topic)) && this.#looksForMore(one);
    });
    const late = this.#late(waiting);
    late.sort((a, b) => b.dueAtMs - a.dueAtMs);
    this.#postpone(late.slice(0, rotateRecords));
    this.#rotateSoon();
  }

  /** Not where nothing is attempted, and where only probes are as soon as there is one that is due. */
  #looksForMore({ first }: WaitingTopic): boolean {
    if (!first) return false;
    const { pipeline, clock } = this.#options;
    const zero = pipeline.limits.zeroOf(first.item.triggerUid);
    return zero === null || (zero === 'open' && first.dueAtMs > clock.now());
  }

  /**
   * What waits long at the front of a topic keeps everything behind it from being trimmed: once that is much, some of
   * what is due late goes to the end of the topic, unchanged.
   */
  #freeFronts(committed: readonly Committed[]): void {
    const nowMs = this.#options.clock.monotonic();
    for (const { topic, offset } of committed) {
      const { newest, freedAtMs } = this.#fronts.get(topic) ?? unknownFront;
      if (newest - offset < frontOffsetsMax || nowMs - freedAtMs < rotateMs) continue;
      this.#fronts.set(topic, { newest, freedAtMs: nowMs });
      const late = this.#late([...this.#waiting.values()].filter((one) => one.topic === topic));
      late.sort((a, b) => a.taken.record.offset - b.taken.record.offset);
      this.#postpone(late.slice(0, rotateRecords));
    }
  }

  /** What is not due soon. */
  #late(waiting: readonly WaitingTopic[]): WaitingItem[] {
    const lateMs = this.#options.clock.now() + rotateDueAfterMs;
    return waiting.flatMap(({ items }) => items.filter((one) => one.dueAtMs > lateMs));
  }

  /** Puts them to the end of their topics. */
  #postpone(items: readonly WaitingItem[]): void {
    const { pipeline, registry } = this.#options;
    const moved = new Set<WaitingItem>();
    for (const one of items) {
      const trigger = registry.snapshot().triggers.get(one.item.triggerUid);
      if (!trigger) continue;
      moved.add(one);
      pipeline.postpone({ ...one.item, trigger }, one.item, one.taken);
    }
    for (const waiting of this.#waiting.values()) {
      if (waiting.items.some((one) => moved.has(one))) waiting.replace(waiting.items.filter((one) => !moved.has(one)));
    }
  }

  /** What was settled for good, and what nobody begins to read at, the log need not keep. */
  #trim(committed: readonly Committed[]): void {
    const { log, clock, logger } = this.#options;
    const nowMs = clock.monotonic();
    for (const { topic, partition, unreadBelow: offset } of committed) {
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

/**
 * The part of a topic that may stand behind what waits at its front: written anew each time that so many records have
 * come, what waits costs little, and the topic holds hardly more than what waits.
 */
const frontOffsetsMax = 10_000;
const unknownFront = { newest: 0, freedAtMs: Number.NEGATIVE_INFINITY };

/** Of a trigger that is paused, or down and only probed: 256 of these may be held before they fill the window. */
const heldRecordsMax = 256;

/** A retry topic is trimmed when this much has settled, or after this time. */
const trimRecords = 1_000;
const trimMs = 60_000;

function split<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
