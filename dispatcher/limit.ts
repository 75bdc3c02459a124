import type { AttemptRate, Trigger } from '../broker/trigger/trigger.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { PauseReason } from '../runtime/tallies.ts';
import type { Health } from './decide.ts';
import { Capacity } from './limit/capacity.ts';
import { Gathering } from './limit/gathering.ts';
import { ProbeTimes } from './limit/probe-times.ts';
import { Rate } from './limit/rate.ts';
import { Turn } from './limit/turn.ts';
import { type LaneKind, type Waiting, WaitingQueue } from './limit/waiting-queue.ts';
import type { Permit } from './permits.ts';

/**
 * How much of a trigger is under way at once, how fast it may go, and how much may wait for it, in this process. One
 * for each trigger uid, shared by all lanes, so that they count together.
 *
 *   lanes ── add ──▶ waiting ── slots (capacity), rate ──▶ deliver ── turn.ended(health) ──▶ capacity
 *                       └─── one at a time as a probe, while the breaker is open ──┘
 *
 * Of a trigger that wants batches several go in one turn: a slot is one request, the rate counts its events, and what
 * waits goes once there is a batch of it. A probe is a batch of one.
 *
 * At zero nothing begins: while the trigger is paused, and, but for the probes, while its breaker is open. Then each
 * lane may put a few deliveries in, so that the probe is the one with the fewest attempts of all that waits.
 */
export class TriggerLimit {
  readonly #options: LimitOptions;
  readonly #waiting = new WaitingQueue();
  readonly #capacity: Capacity;
  readonly #probes = new ProbeTimes();
  readonly #gathering: Gathering;
  readonly #roomWaiters = new Map<() => void, LaneKind>();
  readonly #onEnded = (turn: Turn, health: Health, retryAfterMs: number): void =>
    this.#turnEnded(turn, health, retryAfterMs);
  #settings: LimitSettings;
  #rate: Rate | null;
  /** The subscriber has said under this revision that it is gone. */
  #isGone = false;
  /** The next probe of an open breaker: its time runs, or it may begin, or it is under way. */
  #probe: 'scheduled' | 'due' | 'underWay' = 'scheduled';
  #probeAtMs = 0;
  #probeTimer: Timer | undefined;
  #rateTimer: Timer | undefined;
  /** Turns that have begun and not ended. */
  #underWay = 0;
  /** How many may be under way at once, while any may begin. */
  #slots: number;
  /** Whether nothing may begin, whatever waits. */
  #isHeld = false;
  /** Whether what waits may begin now, as far as there are slots. */
  #mayBegin = false;
  #isBeginning = false;
  #isReleased = false;
  #isClosed = false;

  constructor(settings: LimitSettings, options: LimitOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#rate = settings.rate && new Rate(settings.rate);
    this.#capacity = new Capacity(settings.maxInFlight);
    this.#slots = settings.maxInFlight;
    this.#gathering = new Gathering(settings.batch, this.#waiting, { ...options, onReady: () => this.#follow() });
    if (settings.paused) this.#options.onChange({ kind: 'paused' });
    this.#follow();
  }

  /** Deliveries that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  get inFlight(): number {
    return this.#underWay;
  }

  /** Why nothing of the trigger is attempted: `posthorn.dev/paused`, its subscriber is gone, or its permit; null: it is. */
  get pausedBy(): PauseReason | null {
    if (this.#settings.paused) return 'annotation';
    return this.#isGone ? 'gone' : (this.#settings.heldBy ?? null);
  }

  /** Whether the subscriber is down, so that nothing but probes is attempted. */
  get isOpen(): boolean {
    return this.#capacity.state === 'open';
  }

  /** Attempts that may be under way at once. */
  get concurrency(): number {
    return this.pausedBy === null ? this.#capacity.atOnce : 0;
  }

  /** Whether the lane may put more in. */
  hasRoomFor(lane: LaneKind): boolean {
    if (this.pausedBy !== null) return false;
    if (this.isOpen) return this.#waiting.countOf(lane, candidatesMax) < candidatesMax;
    return this.#waiting.size < this.#options.waitingEventsMax;
  }

  /** Whether a delivery that came now would begin at once, or wait for others only: the trigger has nothing to do. */
  get isIdle(): boolean {
    const isNoneReady = this.#waiting.size === 0 || !this.#mayBegin;
    return isNoneReady && !this.#isHeld && this.#underWay < this.#slots;
  }

  /** How many of the lane wait for their turn. */
  waitingOf(lane: LaneKind): number {
    return this.#waiting.countOf(lane);
  }

  /** The trigger has changed, or may have. A new revision of one whose breaker is open is probed at once. */
  update(settings: LimitSettings): void {
    const before = this.#settings;
    const pausedBefore = this.pausedBy;
    this.#settings = settings;
    this.#capacity.max = settings.maxInFlight;
    if (!isSameRate(before.rate, settings.rate)) this.#rate = settings.rate && new Rate(settings.rate);
    if (before.generation !== settings.generation) {
      this.#isGone = false;
      this.#gathering.settings = settings.batch;
      this.#probes.reset();
      if (this.isOpen) this.#probeAt(this.#options.clock.monotonic());
    }
    this.#tellPause(pausedBefore);
    this.#follow();
  }

  /** The trigger was deleted: what waits goes on at once, for it is not attempted any more. */
  release(): void {
    this.#isReleased = true;
    this.#settings = { ...this.#settings, rate: null, paused: false, heldBy: null };
    this.#gathering.settings = null;
    this.#rate = null;
    this.#isGone = false;
    this.#capacity.reset();
    this.#follow();
  }

  /** Puts a delivery in: it goes on in its turn. */
  add(waiting: Waiting): void {
    const { isOn } = this.#gathering;
    this.#waiting.add({ waiting, sinceMs: isOn ? this.#options.clock.monotonic() : 0 });
    if (isOn) this.#follow();
    else {
      this.#beginWaiting();
      this.#tryProbe();
    }
  }

  /** Takes out those that have not begun and that `isTaken` says. */
  takeOut(isTaken: (waiting: Waiting) => boolean): Waiting[] {
    const taken = this.#waiting.takeOut(isTaken);
    if (taken.length > 0) this.#follow();
    return taken;
  }

  /** The subscriber has refused a batch of so many bytes for its size: from now on they are smaller. */
  tooLarge(bytes: number): void {
    this.#gathering.tooLarge(bytes);
  }

  /**
   * Calls back once, when there is room for the lane. Those who wait are called in turn, so that no lane takes every
   * place that becomes free. The same function is kept once.
   */
  onceRoom(lane: LaneKind, callback: () => void): void {
    this.#roomWaiters.set(callback, lane);
  }

  /** Nothing begins any more, and no timer is left; what is under way goes on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#isHeld = true;
    this.#mayBegin = false;
    this.#probeTimer?.cancel();
    this.#rateTimer?.cancel();
    this.#gathering.close();
    this.#roomWaiters.clear();
  }

  /** Begins with what waits, in its order, as far as there are slots. */
  #beginWaiting(): void {
    // From within a beginning: a lane was told of room, and has put in more. The loop below goes on with it.
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    try {
      while (this.#mayBegin && this.#underWay < this.#slots) {
        const waiting = this.#waiting.takeFirst();
        if (waiting === undefined) break;
        this.#begin(waiting, false);
      }
    } finally {
      this.#isBeginning = false;
    }
  }

  #begin(waiting: Waiting, isProbe: boolean): void {
    this.#underWay++;
    const turn = new Turn(this.#capacity.begin(), isProbe, this.#settings.generation, this.#onEnded);
    const others = this.#gathering.take(waiting, isProbe);
    if (this.#rate) this.#rate.take(this.#options.clock.monotonic(), 1 + (others?.length ?? 0));
    if (this.#rate || others) this.#follow();
    else this.#tellRoom();
    void this.#options.deliver(waiting, turn, others).then(this.#onDelivered);
  }

  readonly #onDelivered = (): void => {
    this.#underWay--;
    this.#beginWaiting();
  };

  #turnEnded(turn: Turn, health: Health, retryAfterMs: number): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonic();
    if (retryAfterMs > 0) this.#probes.leaveAlone(nowMs, retryAfterMs);
    else if (health === 'well' && !this.isOpen) this.#probes.answered();
    if (turn.isProbe) this.#probeEnded(turn, health, nowMs);
    else this.#attemptEnded(turn, health, nowMs);
    if (health === 'gone') this.#gone(turn);
  }

  #attemptEnded({ ticket }: Turn, health: Health, nowMs: number): void {
    const { slots, state } = this.#capacity;
    const saysNothing = health === 'gone' || health === 'unknown';
    // What a deleted trigger still has under way must not hold up what is given up after it.
    if (saysNothing || this.#isReleased) this.#capacity.left(ticket);
    else {
      const why = this.#capacity.ended(ticket, health === 'failing', nowMs);
      if (why !== null) this.#opened(why, nowMs);
    }
    if (this.isOpen && this.#probe === 'scheduled') this.#probeAt(this.#probeAtMs);
    if (state === 'ramping' && this.#capacity.state === 'closed') this.#closed();
    if (this.#capacity.slots !== slots) this.#follow();
  }

  #probeEnded({ ticket }: Turn, health: Health, nowMs: number): void {
    this.#capacity.left(ticket);
    if (!this.isOpen) return;
    this.#probe = 'scheduled';
    switch (health) {
      case 'well':
        this.#probes.answered();
        this.#capacity.restart();
        this.#tell({ kind: 'ramping' });
        if (this.#capacity.state === 'closed') this.#closed();
        this.#follow();
        return;
      case 'failing':
        this.#probeAt(this.#probes.next(nowMs, this.#options.random()));
        return;
      // It came to no attempt, or one that says nothing: another record is the probe.
      case 'gone':
      case 'unknown':
        this.#probeAt(nowMs);
    }
  }

  #opened(why: string, nowMs: number): void {
    this.#probe = 'scheduled';
    this.#probeAt(this.#probes.next(nowMs, this.#options.random()));
    this.#tell({ kind: 'opened', why, probeInMs: this.#probeAtMs - nowMs });
  }

  #closed(): void {
    this.#probes.reset();
    this.#tell({ kind: 'closed', concurrency: this.#capacity.atOnce });
  }

  /** The subscriber is gone, unless another revision has come since the attempt began. */
  #gone({ generation }: Turn): void {
    if (generation !== this.#settings.generation || this.#isReleased) return;
    const pausedBefore = this.pausedBy;
    this.#isGone = true;
    this.#tellPause(pausedBefore);
    this.#follow();
  }

  #tellPause(before: PauseReason | null): void {
    const now = this.pausedBy;
    if (now === before) return;
    if (now !== null) this.#tell(now === 'annotation' ? { kind: 'paused' } : { kind: now });
    else {
      this.#tell({ kind: 'resumed' });
      if (this.isOpen) this.#probeAt(this.#options.clock.monotonic());
    }
  }

  #tell(change: LimitChange): void {
    if (!this.#isReleased && !this.#isClosed) this.#options.onChange(change);
  }

  /** The next probe may begin at this time, or when the subscriber has asked for no sooner. */
  #probeAt(timeMs: number): void {
    if (this.#probe === 'underWay' || this.#isClosed) return;
    this.#probe = 'scheduled';
    this.#probeAtMs = this.#probes.notBefore(timeMs);
    this.#probeTimer?.cancel();
    const due = (): void => {
      this.#probe = 'due';
      this.#tryProbe();
    };
    const delayMs = Math.max(0, this.#probeAtMs - this.#options.clock.monotonic());
    this.#probeTimer = this.#options.clock.setTimer(due, Math.ceil(delayMs));
  }

  /** Where a probe is due and nothing waits, the next delivery to come is the probe. */
  #tryProbe(): void {
    if (!this.isOpen || this.#probe !== 'due' || this.pausedBy !== null || this.#isClosed) return;
    const waitMs = this.#rate?.waitMs(this.#options.clock.monotonic()) ?? 0;
    if (waitMs > 0) {
      this.#followIn(waitMs);
      return;
    }
    const waiting = this.#waiting.takeFewestAttempts();
    if (!waiting) return;
    this.#probe = 'underWay';
    this.#begin(waiting, true);
  }

  /** Looks what may begin now, and begins. */
  #follow(): void {
    if (this.#isClosed) return;
    const waitMs = this.#rate?.waitMs(this.#options.clock.monotonic()) ?? 0;
    this.#isHeld = this.pausedBy !== null || this.isOpen || waitMs > 0;
    this.#mayBegin = !this.#isHeld && this.#gathering.isReady();
    const { slots } = this.#capacity;
    if (slots > 0) this.#slots = slots;
    this.#beginWaiting();
    if (waitMs > 0) this.#followIn(waitMs);
    this.#tryProbe();
    this.#tellRoom();
  }

  #followIn(waitMs: number): void {
    this.#rateTimer?.cancel();
    this.#rateTimer = this.#options.clock.setTimer(() => this.#follow(), Math.ceil(waitMs));
  }

  #tellRoom(): void {
    for (const [callback, lane] of this.#roomWaiters) {
      if (!this.hasRoomFor(lane)) continue;
      this.#roomWaiters.delete(callback);
      callback();
    }
  }
}

/**
 * While the breaker is open a lane may have this many deliveries in: enough that it always has one where a probe is
 * due, few enough that the others of the lane are not held up with them.
 */
const candidatesMax = 4;

/** What of a trigger its limit goes by. */
export type LimitSettings = Pick<Trigger, 'maxInFlight' | 'batch' | 'rate' | 'paused' | 'generation'> &
  Partial<Pick<Permit, 'heldBy'>>;

export interface LimitOptions {
  /** Deliveries that may wait for their turn. */
  readonly waitingEventsMax: number;
  readonly clock: Clock;
  /** In [0, 1), for the jitter of probes. */
  readonly random: () => number;
  /**
   * Does what is to be done with a delivery whose turn has come, and ends the turn. Must not throw.
   * @param others that go with it in one request; null where the trigger wants no batches
   */
  readonly deliver: (waiting: Waiting, turn: Turn, others: readonly Waiting[] | null) => Promise<void>;
  readonly onChange: (change: LimitChange) => void;
}

/** A change of state, as it is told to people. */
export type LimitChange =
  | { readonly kind: 'opened'; readonly why: string; readonly probeInMs: number }
  | { readonly kind: 'ramping' }
  | { readonly kind: 'closed'; readonly concurrency: number }
  | { readonly kind: 'paused' }
  | { readonly kind: Exclude<PauseReason, 'annotation'> }
  | { readonly kind: 'resumed' };

function isSameRate(one: AttemptRate | null, other: AttemptRate | null): boolean {
  return one?.attempts === other?.attempts && one?.perMs === other?.perMs;
}
