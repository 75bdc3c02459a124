import type { Logger } from 'pino';
import type { Clock } from '../../../runtime/clock.ts';
import { messageOf } from '../../../runtime/errors.ts';

/** An election, or a broker that moves its partitions before it stops, is over sooner: in milliseconds. */
const tellAfterMs = 5_000;

/** While it lasts there is a line at most this often, in milliseconds. */
const tellEveryMs = 30_000;

/**
 * What has not failed for so long, in milliseconds, is not asked for any more: whatever is tried again fails at least
 * every 13.5 s (3 s to connect, 10 s for an answer, 0.5 s between two attempts).
 */
const forgottenAfterMs = 20_000;

/** How many things a line names. */
const namedMax = 6;

interface Failing {
  readonly sinceMs: number;
  lastMs: number;
}

/**
 * The log lines of a time in which Kafka does not do what it is asked: one when it has lasted for a little, one now and
 * then while it lasts, one when it is over. Everything that fails in it reports here and nowhere else, or each
 * partition and each group would have lines of its own.
 */
export class Outage {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** By what is asked: `appending to events[3]`. */
  readonly #failing = new Map<string, Failing>();
  /** When the outage that was told of began and last failed, and when it was last told of. */
  #told: { readonly sinceMs: number; lastMs: number; atMs: number } | null = null;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * An attempt has failed and is made again.
   * @param beganMs when the attempt began, in milliseconds of the monotonic clock
   */
  failed(what: string, error: unknown, beganMs: number = this.#clock.monotonic()): void {
    const nowMs = this.#clock.monotonic();
    this.#forgetOld(nowMs);
    const failing = this.#failing.get(what) ?? { sinceMs: beganMs, lastMs: nowMs };
    failing.lastMs = nowMs;
    this.#failing.set(what, failing);
    if (this.#told === null && nowMs - failing.sinceMs < tellAfterMs) return;
    const sinceMs = this.#told?.sinceMs ?? Math.min(...[...this.#failing.values()].map((one) => one.sinceMs));
    const toldMs = this.#told?.atMs ?? Number.NEGATIVE_INFINITY;
    this.#told = { sinceMs, lastMs: nowMs, atMs: toldMs };
    if (nowMs - toldMs < tellEveryMs) return;
    this.#told.atMs = nowMs;
    const fields = { forMs: Math.round(nowMs - sinceMs), affected: this.#affected(), err: messageOf(error) };
    this.#logger.warn(fields, 'Kafka fails, trying on');
  }

  /** An attempt was successful. */
  worked(what: string): void {
    if (this.#told === null && this.#failing.size === 0) return;
    this.#failing.delete(what);
    this.#forgetOld(this.#clock.monotonic());
    if (this.#failing.size > 0 || this.#told === null) return;
    const { sinceMs, lastMs } = this.#told;
    this.#told = null;
    this.#logger.info({ lastedMs: Math.round(lastMs - sinceMs) }, 'Kafka works again');
  }

  /** No further attempt is made, for a reason that is told elsewhere. */
  gaveUp(what: string): void {
    this.#failing.delete(what);
  }

  #forgetOld(nowMs: number): void {
    for (const [what, { lastMs }] of this.#failing) {
      if (nowMs - lastMs >= forgottenAfterMs) this.#failing.delete(what);
    }
  }

  #affected(): string {
    const names = gathered([...this.#failing.keys()]).sort((a, b) => rankOf(a) - rankOf(b));
    const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : '';
    return `${names.slice(0, namedMax).join(', ')}${more}`;
  }
}

/** What events wait for comes first: everything else is how we come to it. */
function rankOf(what: string): number {
  return what.startsWith('appending ') ? 0 : what.startsWith('reading ') ? 1 : 2;
}

/** The partitions of a topic as one: `reading a[0]`, `reading a[1]`, `reading a[3]` is `reading a[0-1,3]`. */
function gathered(names: readonly string[]): string[] {
  const partitions = new Map<string, number[]>();
  for (const name of names) {
    const [, topic = name, partition] = /^(.*)\[(\d+)\]$/.exec(name) ?? [];
    const numbers = partitions.get(topic) ?? [];
    partitions.set(topic, numbers);
    if (partition !== undefined) numbers.push(Number(partition));
  }
  return [...partitions].map(([topic, numbers]) => (numbers.length === 0 ? topic : `${topic}[${ranges(numbers)}]`));
}

function ranges(numbers: readonly number[]): string {
  const runs: { first: number; last: number }[] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && number === run.last + 1) run.last = number;
    else runs.push({ first: number, last: number });
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join();
}
