/**
 * When the consumers of the retry lanes may restart, as they must to read other topics. A restart of one lets all
 * members of its group pause, so what changes meanwhile is gathered; and a single new trigger need not wait.
 *
 *   | restarts in the last minute   | 0   | 1   | 2   | 3    | 4 or more |
 *   | the next is so long after one | 0 s | 2 s | 8 s | 16 s | 20 s      |
 *
 * So there are at most 5 in any minute: of continual changes after 0, 2, 10, 26, 46 and 62 seconds.
 */
export class RestartPace {
  /** On the monotonic clock, the last ones, ascending. */
  #restartsMs: number[] = [];

  /** How long the next restart has to wait, in milliseconds. */
  waitMs(nowMs: number): number {
    const recent = this.#restartsMs.filter((atMs) => nowMs - atMs < minuteMs);
    const apart = apartMs[recent.length] ?? longestMs;
    return Math.max(0, (recent.at(-1) ?? nowMs) + apart - nowMs);
  }

  restarted(nowMs: number): void {
    this.#restartsMs = [...this.#restartsMs, nowMs].slice(-5);
  }
}

const minuteMs = 60_000;

/** How long after the one before, by how many there were in the last minute. */
const apartMs = [0, 2_000, 8_000, 16_000];
const longestMs = 20_000;
