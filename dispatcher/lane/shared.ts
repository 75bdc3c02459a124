import { sift } from '../../broker/filter/data/sift.ts';
import type { StartAt } from '../../broker/log/log.ts';
import { groupAt } from '../../broker/trigger/lane-spans.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { Hold } from '../fate.ts';
import type { TriggerLimit } from '../limit.ts';
import type { RepeatBound } from '../repeat-bound.ts';
import { delay, isEarly } from './delay.ts';
import { type DecodedRecord, Intake } from './intake.ts';
import { type LaneOptions, reportingOf } from './lane.ts';
import { MatchedRecords } from './matched-records.ts';
import { LaneReader } from './reader.ts';
import { Spills } from './spills.ts';
import type { TakenRecord } from './taken-record.ts';
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
 * window with what waits for its turn. Where idle ones wait for it, or may, the deliveries of the busy one go to its
 * retry topic, those included that wait for their turn, until it is idle itself: once the lane has stood still for
 * 50 ms, or has moved on too slowly (see Patience). Those of an event whose `deliverat` is still to come go there at
 * once.
 */
export class SharedLane {
  readonly #options: SharedLaneOptions;
  readonly #reader: LaneReader;
  readonly #intake: Intake;
  readonly #matched = new MatchedRecords();
  /** Uids of triggers whose deliveries go to their retry topic until they are idle. */
  readonly #spilling = new Set<string>();
  readonly #spills: Spills;
  /** The trigger that the lane waits for since no more of it may be on the way to its retry topic; since when. */
  #stall: { readonly uid: string; readonly sinceMs: number; isTold: boolean } | undefined;
  /** On the monotonic clock: since when nothing was placed, while something is held or the window is full. */
  #heldSinceMs: number | undefined;
  #holdTimer: Timer | undefined;
  /** On the monotonic clock: when it is due. */
  #lookDueMs = 0;
  /** Whether the last look came late, and is not one. */
  #wasLate = false;
  #isPlacing = false;
  /** Since when a trigger gave way last, by its uid, on the monotonic clock. */
  readonly #gaveWay = new Map<string, number>();
  /** Records taken from the log, and how many they were when a stretch of looking at the lane began. */
  #taken = 0;
  #stretch: { readonly sinceMs: number; readonly taken: number } | undefined;
  /** When the lane was looked at last. */
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Whether the lane went on too slowly in the last stretch. */
  #isSlow = false;
  /** The reader is held back since so much waits to be placed; null: it is not. */
  #aheadOf: number | null = null;
  /** One function, so that a limit calls it once however often it was asked to. */
  readonly #placeAgain = (): void => this.#place();
  readonly #closing = new AbortController();

  constructor(options: SharedLaneOptions) {
    this.#options = options;
    const { log, group, startAt, clock, logger, window } = options;
    this.#spills = new Spills(window, this.#placeAgain);
    // An event that a trigger might want, of which nothing can be read, is not settled as if nobody wanted it.
    const knowsAll = () => options.registry.snapshot().unreadable.size === 0;
    this.#intake = new Intake(options, (events) => this.#match(events), knowsAll);
    this.#reader = new LaneReader({
      ...{ log, group, startAt, clock, logger, window },
      wantsMore: () => this.#wantsMore(),
      onRecord: (taken) => {
        this.#taken++;
        this.#intake.receive(taken);
      },
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
      this.#matched.push({ decoded, triggers: passed, hold, sinceMs: this.#options.clock.monotonic() });
    }
  }

  #triggerNames(): string[] {
    const { triggers } = this.#options.registry.snapshot();
    return [...triggers.values()].filter(({ lane }) => lane === 'shared').map(({ name }) => name);
  }

  /**
   * Places deliveries until one must wait.
   * @param isLook whether it is to be asked if others have waited for too long
   */
  #place(isLook = false): void {
    // A delivery that begins at once tells that there is room, from within its placing.
    if (this.#isPlacing) return;
    this.#isPlacing = true;
    for (let next = this.#matched.next(); next; next = this.#matched.next()) {
      if (this.#closing.signal.aborted || !this.#placeNext(next, isLook)) break;
    }
    this.#isPlacing = false;
    this.#readOn();
  }

  /** Who reads on finds work for other triggers, but what waits to be placed is memory. */
  #wantsMore(): boolean {
    const isAlone = this.#options.registry.snapshot().triggers.size === 1;
    const most = isAlone ? aheadRecords.alone : aheadRecords.besideOthers;
    this.#aheadOf = this.#matched.size >= (this.#aheadOf === most ? most / 2 : most) ? most : null;
    return this.#aheadOf === null;
  }

  #readOn(): void {
    if (this.#aheadOf !== null && this.#wantsMore()) this.#reader.resumeHeld();
  }

  /** Takes the next that waits, which is one of this trigger, to where it goes on; false where it has to wait. */
  #placeNext(trigger: Trigger, isLook: boolean): boolean {
    const { pipeline, clock } = this.#options;
    const limit = pipeline.limits.of(trigger);
    if (limit.isIdle) this.#spilling.delete(trigger.uid);
    if (this.#spilling.has(trigger.uid)) return this.#spillNext(trigger);
    if (limit.hasRoomFor('shared')) {
      this.#heldSinceMs = undefined;
      const { delivery, hold } = this.#matched.take(trigger);
      pipeline.deliver(delivery, hold, 'shared');
      return true;
    }
    this.#heldSinceMs ??= clock.monotonic();
    if (isLook && this.#mustGiveWay(trigger)) {
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
    this.#stall = undefined;
    const { delivery, hold } = this.#matched.take(trigger);
    pipeline.spill(delivery, this.#spills.holdOf(delivery, hold));
    return true;
  }

  /** From now on the trigger's deliveries go to its retry topic, first those that wait for their turn. */
  #spillWaiting(uid: string, limit: TriggerLimit): void {
    this.#spilling.add(uid);
    const nowMs = this.#options.clock.monotonic();
    for (const [one, atMs] of this.#gaveWay) if (nowMs - atMs >= againMs) this.#gaveWay.delete(one);
    this.#gaveWay.set(uid, nowMs);
    if (!this.#spills.hasRoomFor(uid)) return;
    for (const { delivery, hold } of limit.takeOut(({ lane }) => lane === 'shared')) {
      this.#options.pipeline.spill(delivery, this.#spills.holdOf(delivery, hold));
    }
  }

  /** For less than a look it is worth no word: appends take their time. */
  #tellStall({ uid, name }: Trigger): void {
    const { logger, metrics, registry, group, clock } = this.#options;
    const nowMs = clock.monotonic();
    if (this.#stall?.uid !== uid) this.#stall = { uid, sinceMs: nowMs, isTold: false };
    if (this.#stall.isTold || nowMs - this.#stall.sinceMs < lookMs) return;
    this.#stall.isTold = true;
    metrics.trigger(`${registry.name.namespace}/${registry.name.name}`, name).laneStalled();
    logger.warn(
      { group, trigger: name },
      'the retry topic of a busy trigger could not be written for so long that other triggers wait for it',
    );
  }

  /** The window may be full of what waits for its turn, with nothing to be placed: the busiest triggers give way. */
  #relieveWindow(): void {
    if (!this.#reader.isHeld || this.#matched.next() || this.#closing.signal.aborted) return;
    this.#heldSinceMs ??= this.#options.clock.monotonic();
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
    this.#lookIn(heldMs < lookMs ? Math.max(1, lookMs - heldMs) : lookMs);
  }

  #lookIn(delayMs: number): void {
    const { clock } = this.#options;
    this.#lookDueMs = clock.monotonic() + delayMs;
    this.#holdTimer = clock.setTimer(this.#look, delayMs);
  }

  readonly #look = (): void => {
    // Not the subscriber was slow but this process was busy, and answers may be there that were not read yet.
    this.#wasLate = !this.#wasLate && this.#options.clock.monotonic() - this.#lookDueMs > lateMs;
    if (this.#wasLate) {
      this.#lookIn(1);
      return;
    }
    this.#holdTimer = undefined;
    this.#measure();
    this.#place(true);
    this.#relieveWindow();
  };

  #measure(): void {
    const nowMs = this.#options.clock.monotonic();
    // Between two looks nothing may be held for a moment, while what was resumed is fetched.
    if (nowMs - this.#lookedMs > stretchGapMs) this.#stretch = undefined;
    this.#lookedMs = nowMs;
    this.#stretch ??= { sinceMs: nowMs, taken: this.#taken };
    const { sinceMs, taken } = this.#stretch;
    const isOver = nowMs - sinceMs >= patienceOfUnknown.movesMs;
    this.#isSlow = isOver && this.#taken - taken < aheadRecords.besideOthers;
    if (isOver && !this.#isSlow) this.#stretch = undefined;
  }

  /** Whether others have been waiting for so long that this busy trigger, or whichever is busy, has to give way. */
  #mustGiveWay(busy?: Trigger): boolean {
    const nowMs = this.#options.clock.monotonic();
    const standsMs = nowMs - (this.#heldSinceMs ?? nowMs);
    const waitedMs = nowMs - (this.#matched.sinceMs ?? nowMs);
    const gaveWayMs = (busy && this.#gaveWay.get(busy.uid)) ?? Number.NEGATIVE_INFINITY;
    const isAgain = nowMs - gaveWayMs < againMs;
    const { standsMs: knownMs } = patienceOfKnown;
    const isOver = standsMs >= knownMs || waitedMs >= (isAgain ? knownMs : patienceOfKnown.movesMs);
    if (isOver && this.#isAnyIdle(this.#matched.triggers, busy)) return true;
    // Behind what is read ahead there may be an event for any of them.
    if (!this.#reader.isHeld) return false;
    const mayWait = isAgain ? isOver : standsMs >= patienceOfUnknown.standsMs || this.#isSlow;
    return mayWait && this.#isAnyIdle(this.#options.registry.snapshot().triggers, busy);
  }

  /** Whether one of them, other than the busy one, has nothing to do. One that still has deliveries loses nothing. */
  #isAnyIdle(triggers: ReadonlyMap<string, Trigger>, busy?: Trigger): boolean {
    const { limits } = this.#options.pipeline;
    for (const trigger of triggers.values()) {
      if (trigger.uid !== busy?.uid && trigger.lane === 'shared' && limits.isIdle(trigger)) return true;
    }
    return false;
  }

  #dropRevoked(): void {
    this.#intake.dropRevoked();
    this.#matched.dropRevoked();
    this.#options.pipeline.dropRevoked();
    this.#heldSinceMs = undefined;
    this.#readOn();
  }
}

/**
 * Events that may wait to be placed, 6 to 9 KB each with all that is made of them. Of a trigger that is alone: at 50,000
 * deliveries a second what is read for the next 40 ms. Beside others: so far it is seen if one of them has to wait.
 */
const aheadRecords = { alone: 2_048, besideOthers: 4_096 } as const;

/** How long a busy trigger may hold back others that have room, in milliseconds. */
interface Patience {
  /** Where nothing was placed meanwhile. */
  readonly standsMs: number;
  /** Where the lane moves on. */
  readonly movesMs: number;
}

/**
 * Others of which a delivery is seen to wait: the design's 50 ms; where the lane moves on, what is held first may have
 * waited for a second.
 */
const patienceOfKnown: Patience = { standsMs: 50, movesMs: 1_000 };

/**
 * Others of which one may stand behind all that is read ahead: where the lane moves on it has to take as many records in
 * so long as are read ahead, which is 1,400 a second.
 *
 * To give way means to copy all that comes of the busy trigger to its retry topic until it is idle, which is twice the
 * work: a backlog should not come to that because its subscriber, or the machine, paused for a moment, or because this
 * process has just started, when it delivers 2,000 a second. Who is faster than that has gone by soon.
 */
const patienceOfUnknown: Patience = { standsMs: 1_000, movesMs: 3_000 };

/**
 * Who gave way in this time does so again as soon as others have waited for 50 ms. It may be idle for a moment while what
 * it left to its retry topic waits in another process.
 */
const againMs = 30_000;

/** A lane that stands still is looked at so often, in milliseconds. */
const lookMs = patienceOfKnown.standsMs;

/** Where nothing was looked at for so long, in milliseconds, a new stretch begins. */
const stretchGapMs = 1_000;

/** A look that comes so late says nothing about subscribers. */
const lateMs = 10;

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
