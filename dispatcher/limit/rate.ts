import type { AttemptRate } from '../../broker/trigger/trigger.ts';

/**
 * Spaces attempts evenly in time, and lets as many go at once as fit into `burstMs` at that rate, at least one. In any
 * time of length t no more than t * rate + burst begin. Pure: who calls it says what time it is.
 *
 * | rate    | one attempt each | at once after a pause |
 * |---------|------------------|-----------------------|
 * | 10/m    | 6 s              | 1                     |
 * | 50/s    | 20 ms            | 5                     |
 * | 5,000/s | 0.2 ms           | 500                   |
 */
export class Rate {
  readonly #spacingMs: number;
  readonly #aheadMs: number;
  /** When the next attempt would begin if none had ever been late or in a burst. */
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor({ attempts, perMs }: AttemptRate) {
    this.#spacingMs = perMs / attempts;
    this.#aheadMs = (Math.max(1, Math.floor(burstMs / this.#spacingMs)) - 1) * this.#spacingMs;
  }

  /** How long the next attempt has to wait, in milliseconds; 0: it may begin. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#nextMs - this.#aheadMs - nowMs);
  }

  /** An attempt begins. @param events that go with it: each counts */
  take(nowMs: number, events = 1): void {
    this.#nextMs = Math.max(this.#nextMs, nowMs) + events * this.#spacingMs;
  }
}

/** Timers of a busy process are late by some 10 ms: without a burst the rate would never be reached. */
const burstMs = 100;
