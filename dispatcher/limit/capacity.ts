import { FailureWindow } from './failure-window.ts';

/**
 * How many attempts may be under way at once: at first as many as are allowed, fewer while attempts fail, none once the
 * subscriber is down. Pure: who calls it says what time it is.
 *
 *   closed ── 5 failures in a row, or half of at least 10 in 10 s ──▶ open: none
 *     ▲                                                                │ a probe succeeds
 *     └── the most is reached, or part of a round fails ── ramping ◀───┘ 1, 2, 4, 8 ...
 *
 * A round is as many attempts as may be under way. After a cut it counts those that began since, so what was in flight
 * then cuts no second time. Of a round in which the share f failed and s = 1 - f succeeded:
 *
 *   closed:  times 1 + s/8 - f, at least a half    | all well: +12 % | 1 in 9 failed: as it was | 1 in 4: -16 % |
 *   ramping: times 2 if none failed
 *
 * So events that fail for a reason of their own, up to one in nine, don't slow the others down for good.
 */
export class Capacity {
  #max: number;
  #atOnce: number;
  #state: CapacityState = 'closed';
  #window = new FailureWindow();
  /** Attempts that have begun; the number of each is its ticket. */
  #begun = 0;
  #underWay = 0;
  /** The first ticket since the last probe that succeeded: what began before is late, and tells of another time. */
  #firstTicket = 0;
  /** Attempts under way that began before `#firstTicket`. */
  #late = 0;
  #round = { firstTicket: 0, succeeded: 0, failed: 0 };

  constructor(max: number) {
    this.#max = max;
    this.#atOnce = max;
  }

  get state(): CapacityState {
    return this.#state;
  }

  /** Attempts that may be under way at once; 0 while it is open. */
  get atOnce(): number {
    return this.#atOnce;
  }

  /**
   * As `atOnce`, and beside them those that hang since before the last probe, so that these don't take the place of
   * what can be delivered by now; but never more than the most in all.
   */
  get slots(): number {
    return this.#atOnce === 0 ? 0 : Math.min(this.#max, this.#atOnce + this.#late);
  }

  /** The most that may be under way at once. */
  set max(max: number) {
    if (this.#state === 'closed' && this.#atOnce === this.#max) this.#atOnce = max;
    this.#max = max;
    this.#setAtOnce(Math.min(this.#atOnce, max));
  }

  /** An attempt begins. @returns its ticket, for `ended` or `left` */
  begin(): number {
    this.#underWay++;
    return this.#begun++;
  }

  /**
   * An attempt has ended that says how the subscriber is.
   * @returns in words why no more are made from now on; null otherwise
   */
  ended(ticket: number, isFailure: boolean, nowMs: number): string | null {
    this.left(ticket);
    if (this.#state === 'open' || ticket < this.#firstTicket) return null;
    this.#window.add(isFailure, nowMs);
    const why = isFailure ? this.#window.verdict(nowMs) : null;
    if (why === null) this.#count(ticket, isFailure);
    else {
      this.#state = 'open';
      this.#atOnce = 0;
    }
    return why;
  }

  /** An attempt has ended that says nothing. */
  left(ticket: number): void {
    this.#underWay--;
    if (ticket < this.#firstTicket) this.#late--;
  }

  /** A probe has succeeded: one at a time from now on, and more with each round. */
  restart(): void {
    this.#window = new FailureWindow();
    this.#firstTicket = this.#begun;
    this.#late = this.#underWay;
    this.#round = { firstTicket: this.#begun, succeeded: 0, failed: 0 };
    this.#state = 'ramping';
    this.#setAtOnce(1);
  }

  /** As at first. */
  reset(): void {
    this.#window = new FailureWindow();
    this.#round = { firstTicket: this.#begun, succeeded: 0, failed: 0 };
    this.#state = 'closed';
    this.#atOnce = this.#max;
  }

  #count(ticket: number, isFailure: boolean): void {
    const round = this.#round;
    if (ticket < round.firstTicket) return;
    if (isFailure) round.failed++;
    else round.succeeded++;
    const ended = round.succeeded + round.failed;
    if (ended < this.#atOnce) return;
    const failed = round.failed / ended;
    const isRamping = this.#state === 'ramping' && failed === 0;
    // More than half failed: it is as good as down, and no ramp-up that has come to its end.
    if (!isRamping && failed <= 1 / 2) this.#state = 'closed';
    const factor = isRamping ? 2 : Math.max(1 / 2, 1 + (1 - failed) / 8 - failed);
    const next = this.#atOnce * factor;
    this.#round = { firstTicket: factor < 1 ? this.#begun : round.firstTicket, succeeded: 0, failed: 0 };
    this.#setAtOnce(factor > 1 ? Math.ceil(next) : Math.floor(next));
  }

  #setAtOnce(atOnce: number): void {
    if (this.#state === 'open') return;
    this.#atOnce = Math.min(Math.max(1, atOnce), this.#max);
    if (this.#atOnce === this.#max) this.#state = 'closed';
  }
}

/** Closed as a circuit is: deliveries flow. */
export type CapacityState = 'closed' | 'open' | 'ramping';
