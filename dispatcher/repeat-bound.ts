import type { Trigger } from '../broker/trigger/trigger.ts';
import type { Target } from './fate.ts';

/**
 * How many events of a trigger (or of its dead letter sink) a crash of this process may repeat. Those are the ones whose attempt is under way, and
 * those that have settled, but in no commit that the log has acknowledged. When both together reach the bound, the next
 * attempt waits for a commit.
 *
 * Of an event that several triggers match, the deliveries that were done first are repeated as well if a crash comes
 * before the last: they don't count here, as a slow trigger would hold back the others.
 */
export class RepeatBound {
  #max: number;
  #underWay = 0;
  #uncommitted = 0;
  /** In the order in which they came. */
  #waiters: { readonly events: number; readonly begin: () => void }[] = [];
  #isOpen = false;

  /** @param maxInFlight of the trigger: events whose attempts may be under way at once */
  constructor(maxInFlight: number) {
    this.#max = boundOf(maxInFlight);
  }

  set maxInFlight(limit: number) {
    this.#max = boundOf(limit);
    this.#letGo();
  }

  /** Whether a commit would let an attempt begin. */
  get isWaitedFor(): boolean {
    return this.#waiters.length > 0;
  }

  get isUnused(): boolean {
    return this.#underWay + this.#uncommitted + this.#waiters.length === 0;
  }

  /**
   * Counts an attempt: undefined if it may begin at once, else what it has to wait for.
   * @param events that it is for; each of them is to end
   */
  begin(events = 1): Promise<void> | undefined {
    if (this.#isOpen || (this.#waiters.length === 0 && this.#hasRoomFor(events))) {
      this.#underWay += events;
      return undefined;
    }
    return new Promise((begin) => this.#waiters.push({ events, begin }));
  }

  /** The attempt for an event is over. If it settled the event, that was told before. */
  end(): void {
    this.#underWay--;
    this.#letGo();
  }

  /** An event has settled that the log does not know of yet. */
  settled(): void {
    this.#uncommitted++;
  }

  /** The log has acknowledged that so many have settled, or another process decides about them by now. */
  committed(count: number): void {
    this.#uncommitted -= count;
    this.#letGo();
  }

  /** Nothing waits here any more: nothing new is to begin. */
  open(): void {
    this.#isOpen = true;
    this.#letGo();
  }

  /** More than the bound itself may begin where nothing else counts: a revision has made it smaller meanwhile. */
  #hasRoomFor(events: number): boolean {
    const counted = this.#underWay + this.#uncommitted;
    return counted === 0 || counted + events <= this.#max;
  }

  #letGo(): void {
    let count = 0;
    for (const { events, begin } of this.#waiters) {
      if (!this.#isOpen && !this.#hasRoomFor(events)) break;
      this.#underWay += events;
      begin();
      count++;
    }
    if (count > 0) this.#waiters.splice(0, count);
  }
}

/** The bounds of a broker's triggers, in this process: one for each of those that are called for a trigger. */
export class RepeatBounds {
  /** By who is called, then by the trigger's uid. */
  readonly #bounds = { subscriber: new Map<string, RepeatBound>(), deadLetterSink: new Map<string, RepeatBound>() };

  of(trigger: Bounded, target: Target['kind']): RepeatBound {
    let bound = this.#bounds[target].get(trigger.uid);
    if (!bound) {
      bound = new RepeatBound(eventsInFlight(trigger));
      this.#bounds[target].set(trigger.uid, bound);
    }
    return bound;
  }

  /** The triggers have changed: their bounds follow, those of deleted triggers go once nothing counts for them. */
  refresh(triggers: ReadonlyMap<string, Trigger>): void {
    for (const bounds of Object.values(this.#bounds)) {
      for (const [uid, bound] of bounds) {
        const trigger = triggers.get(uid);
        if (trigger) bound.maxInFlight = eventsInFlight(trigger);
        else if (bound.isUnused) bounds.delete(uid);
      }
    }
  }

  /** Nothing waits any more. */
  open(): void {
    for (const bounds of Object.values(this.#bounds)) for (const bound of bounds.values()) bound.open();
  }
}

type Bounded = Pick<Trigger, 'uid' | 'maxInFlight' | 'batch'>;

/** Of a trigger with batches `maxInFlight` counts the requests. */
function eventsInFlight({ maxInFlight, batch }: Bounded): number {
  return maxInFlight * (batch?.eventsMax ?? 1);
}

/** As many as a trigger has in flight by default, so that the commits cost none of these while they keep up. */
const repeatedMax = 256;

function boundOf(maxInFlight: number): number {
  return Math.max(repeatedMax, maxInFlight);
}
