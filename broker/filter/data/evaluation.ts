import type { EventData } from './event-data.ts';
import type { Value } from './value.ts';

/**
 * How much work the evaluation of one filter for one event may be. A step is the evaluation of one part of the
 * expression, one character that a regular expression reads in one state, or `charactersPerStep` characters that are
 * compared or copied: at most about 0.1 µs, so that this many are some milliseconds.
 */
export const stepsMax = 50_000;

/** Characters of text that one step reads: so the longest text there may be can be searched once. */
export const charactersPerStep = 32;

/** The filter has no answer for this event, for the reason that its message tells. */
export class UndecidedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UndecidedError';
  }
}

/** What is needed while one expression is evaluated for one event. */
export class Evaluation {
  readonly event: EventData;
  /** The values of the variables of macros, by their places. */
  readonly variables: Value[] = [];
  steps = 0;

  constructor(event: EventData) {
    this.event = event;
  }

  /** Counts steps, before they are made. @throws UndecidedError beyond the bound */
  spend(steps: number): void {
    this.steps += steps;
    if (this.steps > stepsMax) {
      throw new UndecidedError(`the data filter would need more than ${stepsMax} steps for this event`);
    }
  }

  /** Counts the reading of so many characters. @throws UndecidedError beyond the bound */
  spendText(characters: number): void {
    this.spend(Math.ceil(characters / charactersPerStep));
  }
}
