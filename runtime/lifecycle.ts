import { constants } from 'node:os';
import type { Logger } from 'pino';
import { type Clock, systemClock } from './clock.ts';

/** What was opened, to be released last in, first out. */
export class Releasers {
  readonly #logger: Logger;
  readonly #entries: { readonly name: string; readonly release: () => Promise<void> | void }[] = [];
  #released: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param name what is released, for the log line should that fail */
  add(name: string, release: () => Promise<void> | void): void {
    this.#entries.push({ name, release });
  }

  /** Releases everything, one after the other. What fails is logged and keeps nothing else. Idempotent; never rejects. */
  release(): Promise<void> {
    this.#released ??= this.#releaseAll();
    return this.#released;
  }

  async #releaseAll(): Promise<void> {
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry.release();
      } catch (err) {
        this.#logger.error({ err, resource: entry.name }, 'a resource was not released cleanly');
      }
    }
  }
}

/** The time that closing may take, all parts together: it runs from the first of them. */
export class ClosingTime {
  readonly #limitMs: () => number;
  readonly #clock: Clock;
  #beganMs: number | undefined;

  /** @param limitMs how long closing may take in all, asked anew for each part */
  constructor(limitMs: () => number, clock: Clock) {
    this.#limitMs = limitMs;
    this.#clock = clock;
  }

  /** Gives `close` a signal that aborts when the time is up. */
  async within(close: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const nowMs = this.#clock.monotonic();
    this.#beganMs ??= nowMs;
    const up = new AbortController();
    const timer = this.#clock.setTimer(() => up.abort(), Math.max(0, this.#beganMs + this.#limitMs() - nowMs));
    try {
      await close(up.signal);
    } finally {
      timer.cancel();
    }
  }
}

export interface Shutdown {
  /** Aborts at the first signal; the reason is the signal's name. */
  readonly signal: AbortSignal;
  /** Takes the handlers off. Idempotent. */
  dispose(): void;
}

/**
 * A signal that comes so soon after the first is the same wish: at Ctrl-C the terminal sends one to every process in
 * front, and npm passes its own on. In milliseconds; milliseconds apart as a rule, and nobody presses twice so fast
 * who would not press again.
 */
const repeatMs = 500;

const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Ends a process in two steps: the first SIGTERM, SIGINT (Ctrl-C) or SIGHUP asks it to stop, a second one (500 ms later
 * or more) ends it at once, with 128 + the signal's number (SIGINT: 130, SIGTERM: 143).
 */
export function onStopSignals(
  exit: (code: number) => void = process.exit,
  clock: Pick<Clock, 'monotonic'> = systemClock,
): Shutdown {
  const controller = new AbortController();
  let firstMs = 0;
  const handle = (signal: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      firstMs = clock.monotonic();
      controller.abort(signal);
    } else if (clock.monotonic() - firstMs >= repeatMs) exit(128 + constants.signals[signal]);
  };
  for (const name of stopSignals) process.on(name, handle);
  return {
    signal: controller.signal,
    dispose() {
      for (const name of stopSignals) process.off(name, handle);
    },
  };
}
