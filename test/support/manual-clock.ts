import type { Clock, Timer } from '../../runtime/clock.ts';

/**
 * A clock whose hands the test turns. Timers run by the monotonic time alone, so that a jump of the wall clock moves
 * no timer, as on a real machine.
 */
export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 1_000;
  #sequence = 0;
  readonly #timers = new Set<ManualTimer>();

  /** @param startMs what `now()` says at first, milliseconds since 1970 */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#wallMs = startMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#sequence++, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** How many timers wait; 0 when nothing was left behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Lets `ms` pass: what falls due runs in order of due time, timers that those set included. Between two timers (and
   * before the first and after the last) promises and I/O that are ready get their turn.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await turn();
    for (let next = this.#nextDue(endMs); next !== undefined; next = this.#nextDue(endMs)) {
      this.#timers.delete(next);
      this.#move(Math.max(next.dueMs, this.#monotonicMs));
      next.callback();
      await turn();
    }
    this.#move(endMs);
    await turn();
  }

  /** Sets the wall clock forward (or back, if negative) without any time passing. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }

  #move(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }

  #nextDue(endMs: number): ManualTimer | undefined {
    let next: ManualTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue;
      if (next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  }
}

interface ManualTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
