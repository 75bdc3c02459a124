import { sift } from '../../broker/filter/data/sift.ts';
import type { StartAt } from '../../broker/log/log.ts';
import { groupAt } from '../../broker/trigger/lane-spans.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { Delivery, Hold } from '../fate.ts';
import type { TriggerLimit } from '../limit.ts';
import type { RepeatBound } from '../repeat-bound.ts';
import { delay, isEarly } from './delay.ts';
import { type DecodedRecord, firstDelivery, Intake } from './intake.ts';
import { type LaneOptions, reportingOf } from './lane.ts';
import { LaneReader, type TakenRecord } from './reader.ts';
import { Spills } from './spills.ts';
import { giveUpUndecided } from './undecided.ts';

export interface SharedLaneOptions extends LaneOptions {
  readonly group: string;
  readonly topics: readonly string[];
  readonly startAt: StartAt;
}

/**
 * The shared lane: one group reads the events topics once for all triggers.
 *
 *   take -> decode -> match (while the registry is fresh) -> sift -> place: the trigger's limit, or its retry topic
 *
 * Deliveries are placed in the order of the log. A trigger that can't take more holds the lane back, or fills the
 * window with what waits for its turn; once another trigger has been idle for 50 ms and would wait, the deliveries of
 * the busy one go to its retry topic, those included that wait for their turn, until it is idle itself. Those of an
 * event whose `deliverat` is still to come go there at once.
 */
export class SharedLane {
  readonly #options: SharedLaneOptions;
  readonly #reader: LaneReader;
  readonly #intake: Intake;
  readonly #matched = new MatchedRecords();
  /** Uids of triggers whose deliveries go to their retry topic until they are idle. */
  readonly #spilling = new Set<string>();
  readonly #spills: Spills;
  /** The trigger that the lane waits for since no more of it may be on the way to its retry topic. */
  #stalledBy: string | undefined;
  /** On the monotonic clock: since when a delivery is held although others could go on. */
  #heldSinceMs: number | undefined;
  #holdTimer: Timer | undefined;
  #isPlacing = false;
  /** Whether the reader is held back since enough waits to be placed. */
  #isAhead = false;
  /** One function, so that a limit calls it once however often it was asked to. */
  readonly #placeAgain = (): void => this.#place();
  readonly #closing = new AbortController();

  constructor(options: SharedLaneOptions) {
    this.#options = options;
    const { log, group, startAt, clock, logger, window } = options;
    this.#spills = new Spills(window);
    // An event that a trigger might want, of which nothing can be read, is not settled as if nobody wanted it.
    const knowsAll = () => options.registry.snapshot().unreadable.size === 0;
    this.#intake = new Intake(options, (events) => this.#match(events), knowsAll);
    this.#reader = new LaneReader({
      ...{ log, group, startAt, clock, logger, window },
      wantsMore: () => this.#wantsMore(),
      onRecord: (taken) => this.#intake.receive(taken),
      onRevoked: () => this.#dropRevoked(),
      onHeld: () => this.#lookAgain(),
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

  /** Stops reading, lets go of what was not placed, waits for the rest or `signal`, commits. */
  async close(signal: AbortSignal): Promise<void> {
    this.#closing.abort();
    this.#holdTimer?.cancel();
    this.#intake.close();
    this.#matched.dropAll();
    await this.#reader.close(signal);
  }

  #match(events: readonly DecodedRecord[]): void {
    const { index } = this.#options.registry.snapshot();
    for (const decoded of events) {
      const { taken } = decoded;
      const triggers = index.match(decoded.event).filter(({ laneSpans }) => {
        return groupAt(laneSpans, taken, taken.record.offset) === 'shared';
      });
      this.#sift(decoded, triggers);
    }
    this.#place();
  }

  /** Asks the data filters of the triggers whose other filters it passes. */
  #sift(decoded: DecodedRecord, triggers: readonly Trigger[]): void {
    const { passed, undecided } = sift(triggers, decoded.event);
    const deliveries = passed.length + undecided.length;
    if (deliveries === 0) {
      decoded.taken.settle();
      return;
    }
    const hold = shareHold(decoded.taken, deliveries);
    for (const one of undecided) giveUpUndecided(this.#options, decoded, one, hold);
    if (isEarly(decoded, this.#options.clock)) {
      for (const trigger of passed) delay(this.#options, decoded, trigger, hold);
    } else if (passed.length > 0) {
      this.#matched.push(decoded, passed, hold);
    }
  }

  #triggerNames(): string[] {
    const { triggers } = this.#options.registry.snapshot();
    return [...triggers.values()].filter(({ lane }) => lane === 'shared').map(({ name }) => name);
  }

  /** Places deliveries until one must wait. */
  #place(): void {
    // A delivery that begins at once tells that there is room, from within its placing.
    if (this.#isPlacing) return;
    this.#isPlacing = true;
    for (let next = this.#matched.next(); next; next = this.#matched.next()) {
      if (this.#closing.signal.aborted || !this.#placeNext(next)) break;
    }
    this.#isPlacing = false;
    if (this.#isAhead && this.#wantsMore()) this.#reader.resumeHeld();
  }

  /** Who reads on finds work for other triggers. Where there are none, what waits to be placed is only memory. */
  #wantsMore(): boolean {
    const isAlone = this.#options.registry.snapshot().triggers.size === 1;
    this.#isAhead = isAlone && this.#matched.size >= (this.#isAhead ? aheadRecords / 2 : aheadRecords);
    return !this.#isAhead;
  }

  /** Takes the next that waits, which is one of this trigger, to where it goes on; false where it has to wait. */
  #placeNext(trigger: Trigger): boolean {
    const { pipeline } = this.#options;
    const limit = pipeline.limits.of(trigger);
    if (limit.isIdle) this.#spilling.delete(trigger.uid);
    if (this.#spilling.has(trigger.uid)) return this.#spillNext(trigger);
    if (limit.hasRoomFor('shared')) {
      this.#heldSinceMs = undefined;
      const { delivery, hold } = this.#matched.take(trigger);
      pipeline.deliver(delivery, hold, 'shared');
      return true;
    }
    if (this.#mustGiveWay(trigger)) {
      this.#spillWaiting(trigger.uid, limit);
      return this.#spillNext(trigger);
    }
    limit.onceRoom('shared', this.#placeAgain);
    this.#lookAgain();
    return false;
  }

  /** False where too much of the trigger is on its way to its retry topic already: then the lane waits. */
  #spillNext(trigger: Trigger): boolean {
    const { pipeline } = this.#options;
    if (!this.#spills.hasRoomFor(trigger.uid)) {
      this.#tellStall(trigger);
      this.#lookAgain();
      return false;
    }
    this.#stalledBy = undefined;
    const { delivery, hold } = this.#matched.take(trigger);
    pipeline.spill(delivery, this.#spills.holdOf(delivery, hold));
    return true;
  }

  /** From now on the trigger's deliveries go to its retry topic, first those that wait for their turn. */
  #spillWaiting(uid: string, limit: TriggerLimit): void {
    this.#spilling.add(uid);
    if (!this.#spills.hasRoomFor(uid)) return;
    for (const { delivery, hold } of limit.takeOut(({ lane }) => lane === 'shared')) {
      this.#options.pipeline.spill(delivery, this.#spills.holdOf(delivery, hold));
    }
  }

  #tellStall({ uid, name }: Trigger): void {
    if (this.#stalledBy === uid) return;
    this.#stalledBy = uid;
    const { logger, metrics, registry, group } = this.#options;
    metrics.trigger(`${registry.name.namespace}/${registry.name.name}`, name).laneStalled();
    logger.warn(
      { group, trigger: name },
      'the retry topic of a busy trigger could not be written for so long that other triggers wait for it',
    );
  }

  /** The window may be full of what waits for its turn, with nothing to be placed: the busiest triggers give way. */
  #relieveWindow(): void {
    if (!this.#reader.isHeld || this.#matched.next() || this.#closing.signal.aborted) return;
    this.#lookAgain();
    if (!this.#mustGiveWay()) return;
    let tooMany = this.#reader.unsettled - this.#options.window.recordsMax / 2;
    for (const { uid, limit, waiting } of this.#options.pipeline.limits.busiest('shared')) {
      this.#spillWaiting(uid, limit);
      tooMany -= waiting;
      if (tooMany <= 0) return;
    }
  }

  /**
   * Others may get room meanwhile, and nobody but this timer looks at them. It goes on when the hold is over, as a busy
   * trigger begins one with each delivery, and then looks at the next hold when that is due.
   */
  #lookAgain(): void {
    if (this.#holdTimer !== undefined) return;
    const { clock } = this.#options;
    const heldMs = this.#heldSinceMs === undefined ? 0 : clock.monotonic() - this.#heldSinceMs;
    // One that is over already, as where nothing can be left to a retry topic, is looked at as often as any.
    this.#holdTimer = clock.setTimer(this.#look, heldMs < holdMs ? Math.max(1, holdMs - heldMs) : holdMs);
  }

  readonly #look = (): void => {
    this.#holdTimer = undefined;
    this.#place();
    this.#relieveWindow();
  };

  /** Whether others have been waiting for so long that this busy trigger, or whichever is busy, has to give way. */
  #mustGiveWay(busy?: Trigger): boolean {
    if (!this.#doOthersWait(busy)) {
      this.#heldSinceMs = undefined;
      return false;
    }
    const nowMs = this.#options.clock.monotonic();
    this.#heldSinceMs ??= nowMs;
    return nowMs - this.#heldSinceMs >= holdMs;
  }

  /**
   * Whether a delivery of an idle trigger stands behind the held one, or may, where the window ends. A trigger that
   * still has deliveries of its own waiting loses nothing by it.
   */
  #doOthersWait(busy?: Trigger): boolean {
    const { pipeline, registry } = this.#options;
    const triggers = this.#reader.isHeld ? registry.snapshot().triggers : this.#matched.triggers;
    // It is asked for each delivery, and most triggers are alone.
    if (triggers.size === 1 && busy !== undefined && triggers.has(busy.uid)) return false;
    for (const trigger of triggers.values()) {
      if (trigger.uid !== busy?.uid && trigger.lane === 'shared' && pipeline.limits.isIdle(trigger)) return true;
    }
    return false;
  }

  #dropRevoked(): void {
    this.#intake.dropRevoked();
    this.#matched.dropRevoked();
    this.#options.pipeline.dropRevoked();
  }
}

/** Of a trigger that is alone: at 50,000 deliveries a second what is read for the next 40 ms. */
const aheadRecords = 2_048;

/** How long a busy trigger may hold back others that have room: the design's 50 ms. */
const holdMs = 50;

interface Placeable {
  readonly delivery: Delivery;
  readonly hold: Hold;
}

interface MatchedRecord {
  readonly decoded: DecodedRecord;
  readonly triggers: readonly Trigger[];
  readonly hold: Hold;
}

/** Deliveries that wait to be placed, in the order of the log. */
class MatchedRecords {
  #records: MatchedRecord[] = [];
  /** Index of the first record that waits, and of its first trigger that waits. */
  #record = 0;
  #trigger = 0;
  /** By uid: how many deliveries wait. */
  readonly #waiting = new Map<string, number>();
  readonly #triggers = new Map<string, Trigger>();

  /** @param hold that the deliveries to the triggers share */
  push(decoded: DecodedRecord, triggers: readonly Trigger[], hold: Hold): void {
    this.#add({ decoded, triggers, hold }, 0);
  }

  /** @param placed how many of its deliveries don't wait any more */
  #add(record: MatchedRecord, placed: number): void {
    this.#records.push(record);
    for (const [index, trigger] of record.triggers.entries()) {
      if (index < placed) continue;
      const waiting = this.#waiting.get(trigger.uid) ?? 0;
      if (waiting === 0) this.#triggers.set(trigger.uid, trigger);
      this.#waiting.set(trigger.uid, waiting + 1);
    }
  }

  /** Records of which a delivery waits. */
  get size(): number {
    return this.#records.length - this.#record;
  }

  /** The trigger of the delivery that is next. */
  next(): Trigger | undefined {
    return this.#records[this.#record]?.triggers[this.#trigger];
  }

  /** Removes the delivery that is next, which is to this trigger. */
  take(trigger: Trigger): Placeable {
    const record = this.#records[this.#record];
    if (record === undefined || record.triggers[this.#trigger] !== trigger) throw new Error('it is not the next');
    const waiting = this.#waiting.get(trigger.uid) ?? 0;
    if (waiting > 1) this.#waiting.set(trigger.uid, waiting - 1);
    else {
      this.#waiting.delete(trigger.uid);
      this.#triggers.delete(trigger.uid);
    }
    this.#trigger++;
    if (this.#trigger === record.triggers.length) this.#nextRecord();
    return { hold: record.hold, delivery: firstDelivery(record.decoded, trigger) };
  }

  #nextRecord(): void {
    this.#trigger = 0;
    this.#record++;
    // Compacts now and then: removing at the front of a long array each time would cost its length.
    if (this.#record < 1_024 && this.#record < this.#records.length) return;
    this.#records = this.#records.slice(this.#record);
    this.#record = 0;
  }

  /** By uid: the triggers of the deliveries that wait. */
  get triggers(): ReadonlyMap<string, Trigger> {
    return this.#triggers;
  }

  dropAll(): void {
    this.#keep(() => false);
  }

  /** Drops the records that are another's by now. */
  dropRevoked(): void {
    this.#keep(({ decoded }) => !decoded.taken.isRevoked);
  }

  #keep(isKept: (record: MatchedRecord) => boolean): void {
    const waiting = this.#records.slice(this.#record);
    const [first] = waiting;
    // Of the first record some deliveries may be placed already.
    const placed = first && isKept(first) ? this.#trigger : 0;
    this.#records = [];
    this.#record = 0;
    this.#trigger = 0;
    this.#waiting.clear();
    this.#triggers.clear();
    for (const record of waiting) {
      if (!isKept(record)) record.decoded.taken.drop();
      else this.#add(record, record === first ? placed : 0);
    }
    this.#trigger = placed;
  }
}

/** The record settles when all its deliveries have, and is dropped when one of them is. */
function shareHold(taken: TakenRecord, deliveries: number): Hold {
  if (deliveries === 1) return taken;
  let open = deliveries;
  const settledFor: RepeatBound[] = [];
  return {
    get isRevoked() {
      return taken.isRevoked;
    },
    settle(...bounds) {
      open--;
      settledFor.push(...bounds);
      if (open === 0) taken.settle(...settledFor);
    },
    drop: () => taken.drop(),
  };
}
