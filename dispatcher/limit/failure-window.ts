/**
 * What the last attempts came to, and whether it is so bad that no more should be made: 5 failures in a row, or half
 * of at least 10 attempts that ended in the last 10 seconds. Pure: who calls it says what time it is.
 */
export class FailureWindow {
  #failuresInRow = 0;
  readonly #seconds = Array.from({ length: windowSeconds }, () => ({ second: Number.NaN, ended: 0, failed: 0 }));

  /** An attempt has ended. */
  add(isFailure: boolean, nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    const bucket = this.#seconds[second % windowSeconds];
    if (!bucket) return;
    if (bucket.second !== second) {
      bucket.second = second;
      bucket.ended = 0;
      bucket.failed = 0;
    }
    bucket.ended++;
    if (isFailure) {
      bucket.failed++;
      this.#failuresInRow++;
    } else this.#failuresInRow = 0;
  }

  /** Why no more attempts should be made, in words; null if all is well enough. */
  verdict(nowMs: number): string | null {
    if (this.#failuresInRow >= inRowMax) return `${this.#failuresInRow} failures in a row`;
    const first = Math.floor(nowMs / 1_000) - windowSeconds + 1;
    let ended = 0;
    let failed = 0;
    for (const bucket of this.#seconds) {
      if (!(bucket.second >= first)) continue;
      ended += bucket.ended;
      failed += bucket.failed;
    }
    if (ended < endedMin || failed * 2 < ended) return null;
    return `${failed} failures in the ${ended} attempts of the last ${windowSeconds} s`;
  }
}

const inRowMax = 5;
const endedMin = 10;

/** Long enough for a trigger of one event a second, short enough that an outage is not hidden by the good time before. */
const windowSeconds = 10;
