import type { Logger } from 'pino';
import { isOutage, RecordTooLargeError } from '../broker/log/errors.ts';
import type { Gatherer } from '../broker/log/gather.ts';
import type { NewRecord } from '../broker/log/log.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';

/** Appends that are repeated until the log has them: what a delivery's settling waits for. */
export class DurableAppender {
  readonly #gatherer: Gatherer;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;

  /** @param signal ends the repeating, at shutdown: what is not in the log then is not settled */
  constructor(gatherer: Gatherer, clock: Clock, logger: Logger, signal: AbortSignal) {
    this.#gatherer = gatherer;
    this.#clock = clock;
    this.#logger = logger;
    this.#signal = signal;
  }

  /**
   * Resolves once the record is durable. An unknown outcome is repeated, so the record may be in twice.
   *
   * @throws RecordTooLargeError, which no repeating mends; the reason of the signal when that aborts
   */
  async append(topic: string, record: NewRecord, partition?: number): Promise<void> {
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, longestDelayMs)) {
      try {
        return await this.#gatherer.append(topic, record, partition);
      } catch (error) {
        if (error instanceof RecordTooLargeError) throw error;
        const level = isOutage(error) ? 'debug' : 'warn';
        this.#logger[level]({ topic, error: messageOf(error), delayMs }, 'append failed, is repeated');
      }
      await sleep(this.#clock, delayMs, this.#signal);
      this.#signal.throwIfAborted();
    }
  }
}

/** | repeat 1: 100 ms | 2: 200 ms | 3: 400 ms | ... | from 6 on: 5 s | */
const firstDelayMs = 100;
const longestDelayMs = 5_000;
