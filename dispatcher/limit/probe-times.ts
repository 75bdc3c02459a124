/**
 * When the next probe of an open breaker is due. Pure: who calls it says what time it is.
 *
 * | probe | 1   | 2   | 3   | 4   | 5    | ... | 9       | 10 and on |
 * |-------|-----|-----|-----|-----|------|-----|---------|-----------|
 * | after | 1 s | 2 s | 4 s | 8 s | 16 s | ... | 4.3 min | 5 min     |
 *
 * each varied by a fifth at random, so that many processes don't probe at once, but never longer than 5 minutes.
 */
export class ProbeTimes {
  #made = 0;
  #noSoonerThanMs = Number.NEGATIVE_INFINITY;

  /** The time of the next probe. @param random in [0, 1) */
  next(nowMs: number, random: number): number {
    const intervalMs = Math.min(firstMs * 2 ** this.#made, longestMs);
    this.#made = Math.min(this.#made + 1, 30);
    const variedMs = Math.min(intervalMs * (0.8 + 0.4 * random), longestMs);
    return this.notBefore(nowMs + variedMs);
  }

  /** That time, or when the subscriber has asked for no sooner (Retry-After), then. */
  notBefore(timeMs: number): number {
    return Math.max(timeMs, this.#noSoonerThanMs);
  }

  /** The subscriber has asked to be left alone for so long; more than 5 minutes are not heard. */
  leaveAlone(nowMs: number, forMs: number): void {
    this.#noSoonerThanMs = Math.max(this.#noSoonerThanMs, nowMs + Math.min(forMs, longestMs));
  }

  /** The subscriber has answered well: what it asked for before counts no more. */
  answered(): void {
    this.#noSoonerThanMs = Number.NEGATIVE_INFINITY;
  }

  /** The intervals begin anew. */
  reset(): void {
    this.#made = 0;
    this.answered();
  }
}

const firstMs = 1_000;
const longestMs = 300_000;
