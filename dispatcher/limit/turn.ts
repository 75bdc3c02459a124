import type { Health } from '../decide.ts';

/** The turn of a delivery, or of those that go in one batch: one request, or none. It ends once. */
export class Turn {
  readonly ticket: number;
  readonly isProbe: boolean;
  /** The revision of the trigger that was in force when the turn came. */
  readonly generation: number;
  readonly #onEnded: (turn: Turn, health: Health, retryAfterMs: number) => void;
  #isEnded = false;

  constructor(
    ticket: number,
    isProbe: boolean,
    generation: number,
    onEnded: (turn: Turn, health: Health, retryAfterMs: number) => void,
  ) {
    this.ticket = ticket;
    this.isProbe = isProbe;
    this.generation = generation;
    this.#onEnded = onEnded;
  }

  /**
   * The attempt has ended, if there was one. Idempotent: the first says it.
   * @param retryAfterMs how long the subscriber wants to be left alone; 0: it did not say
   */
  ended(health: Health, retryAfterMs = 0): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnded(this, health, retryAfterMs);
  }
}
