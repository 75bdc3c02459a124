import type { Logger } from 'pino';
import type { AttemptRate, Trigger } from '../../broker/trigger/trigger.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Target } from '../fate.ts';
import { type LimitOptions, type LimitSettings, TriggerLimit } from '../limit.ts';
import { allPermitted, type Permit, type Permits } from '../permits.ts';
import { reportTo } from './report.ts';
import type { LaneKind, Waiting } from './waiting-queue.ts';

export interface TriggerLimitsOptions extends Omit<LimitOptions, 'onChange'> {
  /** `namespace/name`, for metrics and log lines. */
  readonly broker: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The triggers of the broker, by uid. */
  readonly triggers: () => ReadonlyMap<string, Trigger>;
  /** Absent: all may be sent. */
  readonly permits?: Permits;
}

/**
 * The limits of a broker's triggers, and those of their dead letter sinks: what a subscriber answers says nothing of
 * the sink, so each has its own. Of a sink it bounds only how many are called at once; it has no breaker, no rate and no batches.
 */
export class TriggerLimits {
  readonly #options: TriggerLimitsOptions;
  readonly #permits: Permits;
  /** By the trigger's uid. */
  readonly #subscribers = new Map<string, TriggerLimit>();
  readonly #sinks = new Map<string, TriggerLimit>();

  constructor(options: TriggerLimitsOptions) {
    this.#options = options;
    this.#permits = options.permits ?? allPermitted;
  }

  /** The limit of what is called for the trigger. */
  of(trigger: Trigger, target: Target['kind'] = 'subscriber'): TriggerLimit {
    const limits = target === 'subscriber' ? this.#subscribers : this.#sinks;
    const known = limits.get(trigger.uid);
    if (known) return known;
    // What waits may carry an earlier revision, or be of a trigger that was deleted meanwhile.
    const current = this.#options.triggers().get(trigger.uid);
    const settings = current ?? trigger;
    const onChange = current && target === 'subscriber' ? reportTo(this.#options, current) : () => {};
    const limit = new TriggerLimit(this.#settingsOf(settings, target), {
      ...this.#options,
      onChange,
    });
    limits.set(trigger.uid, limit);
    if (!current) limit.release();
    else if (target === 'subscriber') this.#tally(current).limit = limit;
    return limit;
  }

  /** Whether a delivery to the subscriber would begin at once. */
  isIdle(trigger: Trigger): boolean {
    return this.#subscribers.get(trigger.uid)?.isIdle ?? !trigger.paused;
  }

  /** Why the subscriber of this trigger is not called: it is paused, or down and only probed; null: it is. */
  zeroOf(uid: string): 'paused' | 'open' | null {
    const limit = this.#subscribers.get(uid);
    if (!limit || limit.concurrency > 0) return null;
    return limit.pausedBy === null ? 'open' : 'paused';
  }

  /** The triggers of which deliveries of this lane wait for their turn, those with the most first. */
  busiest(lane: LaneKind): { readonly uid: string; readonly limit: TriggerLimit; readonly waiting: number }[] {
    return [...this.#subscribers]
      .map(([uid, limit]) => ({ uid, limit, waiting: limit.waitingOf(lane) }))
      .filter(({ waiting }) => waiting > 0)
      .sort((a, b) => b.waiting - a.waiting);
  }

  /** The triggers have changed: their limits follow; those of deleted triggers let everything go on. */
  refresh(): void {
    const triggers = this.#options.triggers();
    for (const trigger of triggers.values()) {
      this.#subscribers.get(trigger.uid)?.update(this.#settingsOf(trigger, 'subscriber'));
      this.#sinks.get(trigger.uid)?.update(this.#settingsOf(trigger, 'deadLetterSink'));
      this.#show(trigger);
    }
    for (const limits of [this.#subscribers, this.#sinks]) {
      for (const [uid, limit] of limits) {
        if (triggers.has(uid)) continue;
        if (limit.waiting + limit.inFlight > 0) limit.release();
        else {
          limit.close();
          limits.delete(uid);
        }
      }
    }
  }

  /** Takes out what has not begun and what `isTaken` says, of all triggers. */
  takeOut(isTaken: (waiting: Waiting) => boolean): Waiting[] {
    return [...this.#subscribers.values(), ...this.#sinks.values()].flatMap((limit) => limit.takeOut(isTaken));
  }

  /** Nothing begins any more, and no timer is left; what is under way goes on. Idempotent. */
  close(): void {
    for (const limit of [...this.#subscribers.values(), ...this.#sinks.values()]) limit.close();
  }

  #tally(trigger: Trigger) {
    return this.#options.metrics.trigger(this.#options.broker, trigger.name);
  }

  #settingsOf(trigger: Trigger, target: Target['kind']): LimitSettings {
    const permit = this.#permits.of(trigger);
    if (target !== 'subscriber') return sinkSettings(trigger, permit);
    const { maxInFlight, batch, paused, generation } = trigger;
    return { maxInFlight, batch, paused, generation, rate: slower(trigger.rate, permit.rate), heldBy: permit.heldBy };
  }

  /** The metrics show the limit of every trigger; most have none until their first delivery. */
  #show(trigger: Trigger): void {
    const isHeld = trigger.paused || this.#permits.of(trigger).heldBy !== null;
    const limit = isHeld ? this.of(trigger) : this.#subscribers.get(trigger.uid);
    this.#tally(trigger).limit = limit ?? {
      concurrency: trigger.maxInFlight,
      isOpen: false,
      pausedBy: null,
    };
  }
}

/** A sink is signed to as well, and is nobody who was asked. */
function sinkSettings({ maxInFlight, paused, generation }: Trigger, { heldBy }: Permit): LimitSettings {
  const held = heldBy === 'secret' ? heldBy : null;
  return { maxInFlight, batch: null, paused, generation, rate: null, heldBy: held };
}

function slower(one: AttemptRate | null, other: AttemptRate | null): AttemptRate | null {
  if (one === null || other === null) return one ?? other;
  return one.attempts / one.perMs <= other.attempts / other.perMs ? one : other;
}
