import PQueue from 'p-queue';

/**
 * How much of a trigger is under way at once, and how much may wait for it, in this process. One for each trigger
 * uid, shared by all lanes, so that shared and retry lanes count together.
 */
export class TriggerLimit {
  readonly #queue: PQueue;
  readonly #waitingEventsMax: number;
  readonly #roomWaiters = new Set<() => void>();

  constructor(maxInFlight: number, waitingEventsMax: number) {
    this.#queue = new PQueue({ concurrency: maxInFlight });
    this.#waitingEventsMax = waitingEventsMax;
  }

  /** Deliveries that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  get inFlight(): number {
    return this.#queue.pending;
  }

  get hasRoom(): boolean {
    return this.#queue.size < this.#waitingEventsMax;
  }

  /** Whether so little waits that a trigger which was too busy may be called well again: half of what may wait. */
  get isRelieved(): boolean {
    return this.#queue.size <= this.#waitingEventsMax / 2;
  }

  /** Whether a delivery that came now would begin at once: the trigger has nothing to do. */
  get isIdle(): boolean {
    return this.#queue.size === 0 && this.#queue.pending < this.#queue.concurrency;
  }

  set maxInFlight(limit: number) {
    if (this.#queue.concurrency !== limit) this.#queue.concurrency = limit;
  }

  /** Runs the task in its turn. The task must not throw. */
  add(task: () => Promise<void>): void {
    void this.#queue.add(() => {
      this.#tellRoom();
      return task();
    });
  }

  /**
   * Calls back once, when a waiting delivery has begun and there is room. Those who wait are called in turn, so that
   * no lane takes every place that becomes free. The same function is kept once.
   */
  onceRoom(callback: () => void): void {
    this.#roomWaiters.add(callback);
  }

  #tellRoom(): void {
    for (const callback of this.#roomWaiters) {
      if (!this.hasRoom) return;
      this.#roomWaiters.delete(callback);
      callback();
    }
  }
}
