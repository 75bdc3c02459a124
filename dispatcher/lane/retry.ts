import TinyQueue from 'tinyqueue';
import type { LogRecord } from '../../broker/log/log.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Timer } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { delayMaxMs } from '../decide.ts';
import { fromRetryRecord, type RetryItem } from '../retry.ts';
import { type LaneOptions, reportingOf } from './lane.ts';
import { LaneReader, type TakenRecord } from './reader.ts';

export interface RetryLaneOptions extends LaneOptions {
  readonly group: string;
}

/**
 * The retry lane: reads the retry topics of many triggers (one partition each) and delivers what is due, in order of
 * due time for each trigger, under the trigger's current settings and without filtering again.
 *
 *   take -> read -> wait until due -> the trigger's limit
 */
export class RetryLane {
  readonly #options: RetryLaneOptions;
  readonly #reader: LaneReader;
  /** By topic. */
  readonly #waiting = new Map<string, TinyQueue<WaitingItem>>();
  /** Topics whose first delivery waits for room at its trigger, or for the registry. */
  readonly #blocked = new Set<string>();
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  readonly #closing = new AbortController();

  constructor(options: RetryLaneOptions) {
    this.#options = options;
    const { log, group, clock, logger, window } = options;
    this.#reader = new LaneReader({
      ...{ log, group, clock, logger, window },
      startAt: 'earliest',
      onRecord: (taken) => this.#receive(taken),
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
    this.#blocked.clear();
    for (const [topic, { data }] of this.#waiting) {
      this.#waiting.set(topic, queueOf(data.map((one) => ({ ...one, dueAtMs: this.#dueAtMs(one.item) }))));
    }
    this.#deliverDue();
  }

  /** Stops reading, lets go of what is not under way, waits for the rest or `signal`, commits. */
  async close(signal: AbortSignal): Promise<void> {
    this.#closing.abort();
    this.#timer?.cancel();
    for (const queue of this.#waiting.values()) for (const { taken } of queue.data) taken.drop();
    this.#waiting.clear();
    await this.#reader.close(signal);
  }

  #receive(taken: TakenRecord): void {
    const item = this.#read(taken);
    if (!item) return;
    const dueAtMs = this.#dueAtMs(item);
    let queue = this.#waiting.get(taken.topic);
    if (!queue) {
      queue = queueOf([]);
      this.#waiting.set(taken.topic, queue);
    }
    queue.push({ item, taken, dueAtMs, offset: taken.record.offset });
    this.#lookAt(dueAtMs);
  }

  /** When to look at a delivery: at its due time, or at once if its trigger is gone. */
  #dueAtMs({ triggerUid, dueAtMs }: RetryItem): number {
    const { registry, clock } = this.#options;
    const trigger = registry.snapshot().triggers.get(triggerUid);
    // A due time that no delay explains comes from a clock that jumped.
    return trigger ? Math.min(dueAtMs, clock.now() + delayMaxMs(trigger.delivery)) : 0;
  }

  #read(taken: TakenRecord): RetryItem | undefined {
    try {
      return fromRetryRecord(taken.record);
    } catch (error) {
      this.#options.pipeline.unreadable(taken.record, originOf(taken), messageOf(error), taken);
      return undefined;
    }
  }

  #deliverDue(): void {
    if (this.#closing.signal.aborted) return;
    const now = this.#options.clock.now();
    for (const [topic, queue] of this.#waiting) {
      while (!this.#blocked.has(topic)) {
        const first = queue.peek();
        if (!first || first.dueAtMs > now || !this.#deliverOne(topic, first)) break;
        queue.pop();
      }
      if (queue.length === 0) this.#waiting.delete(topic);
    }
    this.#schedule();
  }

  /** False if it has to wait; then its topic is blocked until there is a reason to look again. */
  #deliverOne(topic: string, { item, taken }: WaitingItem): boolean {
    const { pipeline, registry } = this.#options;
    const { triggers, unreadable } = registry.snapshot();
    const trigger = triggers.get(item.triggerUid);
    if (trigger) {
      const limit = pipeline.limitOf(trigger);
      if (!limit.hasRoom) {
        this.#block(topic);
        limit.onceRoom(() => this.#unblock(topic));
        return false;
      }
      pipeline.deliver({ ...item, trigger }, taken);
      return true;
    }
    if (!registry.isFresh()) {
      this.#block(topic);
      // It rejects only when this lane or the registry closes.
      registry.whenFresh(this.#closing.signal).then(
        () => this.#unblock(topic),
        () => {},
      );
      return false;
    }
    if (unreadable.has(item.triggerUid)) {
      // Another version of Posthorn knows how to deliver it: it waits for that one, or for a revision.
      this.#block(topic);
      return false;
    }
    pipeline.abandon({ ...item, trigger: this.#goneTrigger(topic, item.triggerUid) }, taken);
    return true;
  }

  #goneTrigger(topic: string, uid: string): Pick<Trigger, 'uid' | 'namespace' | 'name'> & { subscriberUri: null } {
    const { registry } = this.#options;
    const name = topic.slice(registry.topics().retryPrefix.length);
    return { uid, namespace: registry.name.namespace, name, subscriberUri: null };
  }

  #block(topic: string): void {
    this.#blocked.add(topic);
  }

  #unblock(topic: string): void {
    this.#blocked.delete(topic);
    this.#deliverDue();
  }

  #schedule(): void {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const [topic, queue] of this.#waiting) {
      if (!this.#blocked.has(topic)) earliestMs = Math.min(earliestMs, queue.peek()?.dueAtMs ?? earliestMs);
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

/** Due times are wall-clock times: after the clock has been set, the lane goes by it this soon. */
const lookAgainMs = 1_000;

function queueOf(items: WaitingItem[]): TinyQueue<WaitingItem> {
  return new TinyQueue(items, (a, b) => a.dueAtMs - b.dueAtMs || a.offset - b.offset);
}

interface WaitingItem {
  readonly item: RetryItem;
  readonly taken: TakenRecord;
  readonly dueAtMs: number;
  readonly offset: number;
}

function originOf({ topic, partition, record }: { topic: string; partition: number; record: LogRecord }) {
  return { topic, partition, offset: record.offset, appendedAtMs: record.timestampMs };
}
