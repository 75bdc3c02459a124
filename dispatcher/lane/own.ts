import { sift } from '../../broker/filter/data/sift.ts';
import { compile, type Predicate } from '../../broker/filter/match.ts';
import type { PartitionOffset, TopicOffsets, TopicPartition } from '../../broker/log/log.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Timer } from '../../runtime/clock.ts';
import { delayMaxMs } from '../decide.ts';
import type { Delivery, Hold } from '../fate.ts';
import { delay, isEarly } from './delay.ts';
import { type DecodedRecord, firstDelivery, Intake } from './intake.ts';
import { KeyQueues } from './key-queues.ts';
import { type LaneOptions, reportingOf } from './lane.ts';
import { LaneReader } from './reader.ts';
import type { TakenRecord } from './taken-record.ts';
import { giveUpUndecided } from './undecided.ts';

export interface OwnLaneOptions extends LaneOptions {
  readonly triggerUid: string;
  readonly group: string;
  readonly topics: readonly string[];
  readonly startAt: TopicOffsets;
  /** Whether the events of a key go out one after the other. */
  readonly isOrdered: boolean;
}

/**
 * The lane of a trigger that has its own consumer group.
 *
 *   take -> decode -> match (while the registry is fresh) -> sift -> queue -> the trigger's limit
 *                                                                    │  ▲          │
 *                                                      ordered: one a key  └─ due ─┘ failed: again in its place
 *
 * It never spills: what the trigger can't take stays in the topic. Of an ordered trigger the events of a key go out
 * one after the other, and one that fails is tried again in its place and holds its key until it is delivered or dead.
 * An event whose `deliverat` is still to come goes to the retry topic, and its key goes on: it has no order.
 */
export class OwnLane {
  readonly #options: OwnLaneOptions;
  readonly #reader: LaneReader;
  readonly #intake: Intake;
  readonly #queues = new KeyQueues<QueuedDelivery>();
  /** Deliveries that failed and wait in their place until they are due. */
  readonly #failed = new Map<QueuedDelivery, Timer>();
  #filter: { readonly trigger: Trigger; readonly passes: Predicate } | undefined;
  /** By topic and partition number: what is at or above belongs to another lane. */
  #ends: ReadonlyMap<string, readonly PartitionOffset[]> = new Map();
  #isPlacing = false;
  #isClosed = false;
  /** One function, so that a limit calls it once however often it was asked to. */
  readonly #placeAgain = (): void => this.#place();

  constructor(options: OwnLaneOptions) {
    this.#options = options;
    const { log, group, startAt, clock, logger, window } = options;
    this.#intake = new Intake(options, (events) => this.#match(events));
    this.#reader = new LaneReader({
      ...{ log, group, startAt, clock, logger, window },
      onRecord: (taken) => this.#intake.receive(taken),
      onRevoked: () => this.#dropRevoked(),
      ...reportingOf(options, group, () => this.#triggerNames()),
    });
  }

  /** @throws LogUnavailableError, UnknownTopicError */
  start(): Promise<void> {
    return this.#reader.start(this.#options.topics);
  }

  positions(): ReturnType<LaneReader['positions']> {
    return this.#reader.positions();
  }

  /** Another lane serves the trigger from these offsets on, by topic; what is below is still served here. */
  endAt(ends: ReadonlyMap<string, readonly PartitionOffset[]>): void {
    this.#ends = ends;
  }

  /** Whether everything below the ends that were given is settled, of the partitions that are owned here. */
  get isAtEnd(): boolean {
    return this.#reader.positions().every((at) => at.position >= (this.#endOf(at) ?? 0));
  }

  #endOf({ topic, partition }: TopicPartition): number | undefined {
    return this.#ends.get(topic)?.find((end) => end.partition === partition)?.offset;
  }

  /** The trigger is deleted: what was matched for it and is not under way is given up. */
  abandon(): void {
    for (const { delivery, taken } of this.#takeOut(() => true)) this.#options.pipeline.abandon(delivery, taken);
  }

  /** Stops reading, lets go of what is not under way, waits for the rest or `signal`, commits. */
  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true;
    this.#intake.close();
    for (const { taken } of this.#takeOut(() => true)) taken.drop();
    await this.#reader.close(signal);
  }

  #triggerNames(): string[] {
    const trigger = this.#options.registry.snapshot().triggers.get(this.#options.triggerUid);
    return trigger ? [trigger.name] : [];
  }

  #match(events: readonly DecodedRecord[]): void {
    const trigger = this.#options.registry.snapshot().triggers.get(this.#options.triggerUid);
    if (trigger && this.#filter?.trigger !== trigger) this.#filter = { trigger, passes: compile(trigger.filters) };
    for (const decoded of events) {
      const { taken } = decoded;
      const isOthers = taken.record.offset >= (this.#endOf(taken) ?? Number.POSITIVE_INFINITY);
      // Not settled: the trigger may be this group's again from here on, and this process not know it yet.
      if (isOthers) taken.drop();
      else if (!trigger || !this.#filter?.passes(decoded.event)) taken.settle();
      else this.#sift(decoded, trigger);
    }
    this.#place();
  }

  /** Asks the data filter of the trigger, whose other filters the event passes. */
  #sift(decoded: DecodedRecord, trigger: Trigger): void {
    const { passed, undecided } = sift([trigger], decoded.event);
    for (const one of undecided) giveUpUndecided(this.#options, decoded, one, decoded.taken);
    if (undecided.length > 0) return;
    if (passed.length === 0) decoded.taken.settle();
    else if (isEarly(decoded, this.#options.clock)) delay(this.#options, decoded, trigger, decoded.taken);
    else this.#queues.push(this.#queued(decoded, trigger));
  }

  #queued(decoded: DecodedRecord, trigger: Trigger): QueuedDelivery {
    const { taken } = decoded;
    const queued: QueuedDelivery = {
      key: this.#options.isOrdered ? keyOf(decoded) : null,
      taken,
      hold: this.#options.isOrdered ? this.#orderedHold(taken, () => queued) : taken,
      delivery: firstDelivery(decoded, trigger),
    };
    return queued;
  }

  /** The hold of a delivery that holds its key. */
  #orderedHold(taken: TakenRecord, self: () => QueuedDelivery): Hold {
    return {
      get isRevoked() {
        return taken.isRevoked;
      },
      settle: (...bounds) => {
        taken.settle(...bounds);
        this.#keyDone(self());
      },
      drop: () => {
        taken.drop();
        this.#keyDone(self());
      },
      retryInPlace: (delivery, atMs) => this.#retryInPlace(self(), delivery, atMs),
    };
  }

  #keyDone({ key }: QueuedDelivery): void {
    this.#queues.done(key);
    this.#place();
  }

  #retryInPlace(queued: QueuedDelivery, delivery: Delivery, atMs: number): void {
    queued.delivery = delivery;
    if (this.#isClosed || queued.taken.isRevoked) {
      queued.hold.drop();
      return;
    }
    const { clock } = this.#options;
    const delayMs = Math.min(Math.max(0, atMs - clock.now()), delayMaxMs(delivery.trigger.delivery));
    const again = (): void => {
      this.#failed.delete(queued);
      this.#queues.putBack(queued);
      this.#place();
    };
    this.#failed.set(queued, clock.setTimer(again, delayMs));
  }

  /** Puts deliveries into the trigger's limit until it has no room. */
  #place(): void {
    // A delivery that begins or ends at once calls back from within its placing.
    if (this.#isPlacing) return;
    this.#isPlacing = true;
    const { pipeline } = this.#options;
    while (!this.#isClosed) {
      const queued = this.#queues.first;
      if (!queued) break;
      const limit = pipeline.limits.of(queued.delivery.trigger);
      if (!limit.hasRoomFor('own')) {
        limit.onceRoom('own', this.#placeAgain);
        break;
      }
      this.#queues.shift();
      pipeline.deliver(queued.delivery, queued.hold, 'own');
    }
    this.#isPlacing = false;
  }

  #dropRevoked(): void {
    this.#intake.dropRevoked();
    for (const { taken } of this.#takeOut(({ taken }) => taken.isRevoked)) taken.drop();
    this.#options.pipeline.dropRevoked();
    this.#place();
    // What its new owner delivers after it must not be overtaken by what is in flight here.
    if (this.#options.isOrdered) this.#options.pipeline.cutRevoked();
  }

  /** Takes out what is not under way. */
  #takeOut(isTaken: (queued: QueuedDelivery) => boolean): QueuedDelivery[] {
    const taken = this.#queues.remove(isTaken);
    for (const [queued, timer] of this.#failed) {
      if (!isTaken(queued)) continue;
      timer.cancel();
      this.#failed.delete(queued);
      this.#queues.done(queued.key);
      taken.push(queued);
    }
    return taken;
  }
}

interface QueuedDelivery {
  readonly key: string | null;
  readonly taken: TakenRecord;
  /** What the pipeline is given: of an ordered trigger it ends the turn of the key as well. */
  readonly hold: Hold;
  delivery: Delivery;
}

/** Of what has the same key the order is kept: the event's `partitionkey`, or the record's key, or the partition. */
function keyOf({ event, taken: { topic, partition, record } }: DecodedRecord): string {
  const key = event.attributes.partitionkey ?? record.key?.toString('utf8');
  return key === undefined ? `partition ${topic}/${partition}` : `key ${key}`;
}
