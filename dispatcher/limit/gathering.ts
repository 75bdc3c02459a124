import type { BatchSettings } from '../../broker/trigger/trigger.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { batchBytes, memberOf } from '../batch/body.ts';
import type { Entry, Waiting, WaitingQueue } from './waiting-queue.ts';

/**
 * Puts together what goes out in one request, of a trigger that wants batches.
 *
 *   waiting ── ready: as many as a batch has, or as many bytes, or the first has waited for the linger ──▶ a batch
 */
export class Gathering {
  readonly #waiting: WaitingQueue;
  readonly #options: GatheringOptions;
  #settings: BatchSettings | null;
  /** The most bytes of a batch: fewer than was asked for once the subscriber has said that one is too large. */
  #bytesMax = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  /** Whose linger the timer measures. */
  #timed: Entry | undefined;
  /** Whether the first has waited for its linger. */
  #isOver = false;

  /** @param settings null: each delivery goes alone, as soon as it may */
  constructor(settings: BatchSettings | null, waiting: WaitingQueue, options: GatheringOptions) {
    this.#settings = settings;
    this.#waiting = waiting;
    this.#options = options;
  }

  /** Whether deliveries go out in batches. */
  get isOn(): boolean {
    return this.#settings !== null;
  }

  /** Of another revision of the trigger. What the subscriber has said of sizes counts no more. */
  set settings(settings: BatchSettings | null) {
    this.#settings = settings;
    this.#bytesMax = Number.POSITIVE_INFINITY;
  }

  /** Whether what waits may go. Where it waits for more, `onReady` is called once that is over. */
  isReady(): boolean {
    if (this.#settings === null) return true;
    const { first, size, bytes } = this.#waiting;
    if (first === undefined) {
      this.close();
      return false;
    }
    const { eventsMax, bytesMax, lingerMs } = this.#settings;
    const isFull = size >= Math.min(eventsMax, this.#options.waitingEventsMax);
    if (isFull || this.#isOver || bytes >= Math.min(bytesMax, this.#bytesMax)) return true;
    if (this.#timed !== first) this.#time(first, lingerMs);
    return false;
  }

  /**
   * Takes out what goes with one that was taken out already.
   * @param isAlone whether nothing is to go with it
   * @returns null where there are no batches
   */
  take(first: Waiting, isAlone: boolean): readonly Waiting[] | null {
    if (this.#settings === null) return null;
    if (isAlone) return [];
    this.#isOver = false;
    const { eventsMax } = this.#settings;
    const bytesMax = Math.min(this.#settings.bytesMax, this.#bytesMax);
    let events = 1;
    let bytes = batchBytes + memberOf(first).bytes;
    return this.#waiting.takeFront((waiting) => {
      bytes += memberOf(waiting).bytes;
      return ++events <= eventsMax && bytes <= bytesMax;
    });
  }

  /** The subscriber has refused a batch of so many bytes for its size: those that follow have half of them at most. */
  tooLarge(bytes: number): void {
    this.#bytesMax = Math.min(this.#bytesMax, Math.floor(bytes / 2));
  }

  /** Leaves no timer. */
  close(): void {
    this.#timer?.cancel();
    this.#timed = undefined;
    this.#isOver = false;
  }

  #time(first: Entry, lingerMs: number): void {
    const { clock, onReady } = this.#options;
    this.#timer?.cancel();
    this.#timed = first;
    const over = (): void => {
      this.#timed = undefined;
      this.#isOver = this.#waiting.first === first;
      onReady();
    };
    // By a timer even where it is nothing: what comes in the same turn of the event loop goes together.
    this.#timer = clock.setTimer(over, Math.max(0, Math.ceil(first.sinceMs + lingerMs - clock.monotonic())));
  }
}

export interface GatheringOptions {
  readonly clock: Clock;
  /** Deliveries that may wait: no batch waits for more. */
  readonly waitingEventsMax: number;
  /** What waits may be ready by now. */
  readonly onReady: () => void;
}
