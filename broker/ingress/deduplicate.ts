import type { CloudEvent } from '../../event/event.ts';
import type { EncodedRecord } from '../../event/kafka.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Gatherer } from '../log/gather.ts';
import type { Log, NewRecord } from '../log/log.ts';
import type { JudgeEvent } from '../schema/rules.ts';
import type { IngressLimits } from './limits.ts';
import { refusalOf } from './problem.ts';
import { type EventId, eventIdOf, RecentIds } from './recent-ids.ts';
import { idsInTail } from './tail-ids.ts';

/** An event of a request, and the record that it becomes. */
export interface Member {
  readonly event: CloudEvent;
  readonly record: NewRecord;
}

export interface DeduplicatorOptions {
  readonly gatherer: Pick<Gatherer, 'appendAll'>;
  /** The log whose tail tells what was accepted before; null: nothing is known at first. */
  readonly log: Pick<Log, 'ranges' | 'offsetsAt' | 'read'> | null;
  readonly topic: string;
  readonly limits: Pick<IngressLimits, 'deduplicatedIdsMax' | 'deduplicatedTailMaxBytes'>;
  readonly clock: Clock;
  /** An id was forgotten before its time, as there were too many. */
  readonly onForgotten: () => void;
}

/** Where the events of a broker go. */
export interface EventTarget {
  readonly topic: string;
  /** Whether the topic has records that others wrote, or that don't hold what the events were identified by. */
  readonly hasForeign: boolean;
  /** For how long an event that comes again is not appended again; null: it is. */
  readonly deduplicateMs: number | null;
  /** The secret that producers must sign with; null: they need not. */
  readonly verifyWith: string | null;
  /** What schemas say of its events; null: they say nothing. */
  readonly judge: JudgeEvent | null;
  /** The event as it is appended. @throws EventError where it can't be */
  readonly toRecord: (event: CloudEvent) => EncodedRecord;
}

/** The deduplicators of the brokers that have one. */
export class Deduplicators {
  readonly #options: Omit<DeduplicatorOptions, 'topic' | 'onForgotten'>;
  readonly #onForgotten: (broker: string) => void;
  readonly #byBroker = new Map<string, Deduplicator>();

  constructor(options: Omit<DeduplicatorOptions, 'topic' | 'onForgotten'>, onForgotten: (broker: string) => void) {
    this.#options = options;
    this.#onForgotten = onForgotten;
  }

  /** The same for the same broker for as long as it deduplicates. */
  of(broker: string, { topic, hasForeign }: EventTarget): Deduplicator {
    const known = this.#byBroker.get(broker);
    if (known?.topic === topic) return known;
    // What others wrote to a topic of theirs may lie before the place from which triggers are served.
    const log = hasForeign ? null : this.#options.log;
    const made = new Deduplicator({ ...this.#options, log, topic, onForgotten: () => this.#onForgotten(broker) });
    this.#byBroker.set(broker, made);
    return made;
  }

  /** The broker does not deduplicate any more: what was known is let go. */
  forget(broker: string): void {
    this.#byBroker.delete(broker);
  }
}

/**
 * Appends the events of one broker, each once within the window, by source and id.
 *
 *   known ───────────── left out: the log has it
 *   being appended ──── waits for that append; if it failed, as below, or refused where the log is away
 *   new ─────────────── appended, and known once the log has it
 */
export class Deduplicator {
  readonly topic: string;
  readonly #options: DeduplicatorOptions;
  readonly #known: RecentIds;
  /** By id: what an append that is under way comes to. Never rejects. */
  readonly #appending = new Map<string, Promise<Outcome>>();
  #restored: Promise<void> | undefined;

  constructor(options: DeduplicatorOptions) {
    this.topic = options.topic;
    this.#options = options;
    this.#known = new RecentIds(options.limits.deduplicatedIdsMax);
  }

  /**
   * Resolves once all the events are durable, whoever appended them.
   * @param windowMs for how long after its append an event is known
   * @returns how many were left out
   * @throws what `Gatherer.appendAll` throws; what the log throws while its tail is read
   */
  async append(members: readonly Member[], windowMs: number): Promise<number> {
    await this.#restore(windowMs);
    let left: readonly IdentifiedMember[] = members.map((member) => ({ ...member, id: eventIdOf(member.event) }));
    let duplicates = 0;
    while (left.length > 0) {
      this.#known.forgetBefore(this.#options.clock.monotonic() - windowMs);
      const unknown = left.filter(({ id }) => !this.#known.has(id));
      duplicates += left.length - unknown.length;
      left = await this.#appendNew(unknown);
    }
    return duplicates;
  }

  /** @returns those that someone else was appending, or that are twice among these: what became of them is known now */
  async #appendNew(members: readonly IdentifiedMember[]): Promise<IdentifiedMember[]> {
    const { promise: outcome, resolve: settle } = Promise.withResolvers<Outcome>();
    const others: IdentifiedMember[] = [];
    const outcomes = new Set<Promise<Outcome>>();
    // No await from the look at what is known to here, so that one of two requests is the first.
    const own = members.filter((member) => {
      const underWay = this.#appending.get(keyOf(member.id));
      if (underWay === undefined) {
        this.#appending.set(keyOf(member.id), outcome);
        return true;
      }
      others.push(member);
      outcomes.add(underWay);
      return false;
    });
    try {
      await this.#options.gatherer.appendAll(
        this.topic,
        own.map(({ record }) => record),
      );
      for (const { id } of own) this.#remember(id, this.#options.clock.monotonic());
      settle({});
    } catch (error) {
      settle({ error });
      throw error;
    } finally {
      for (const { id } of own) this.#appending.delete(keyOf(id));
    }
    for (const { error } of await Promise.all(outcomes)) {
      // It would fail in the same way, after as long a time again. Whatever else was wrong, was so with the other.
      if (error !== undefined && refusalOf(error).status === 503) throw error;
    }
    return others;
  }

  #remember(id: EventId, atMs: number): void {
    if (this.#known.has(id)) return;
    if (this.#known.add(id, atMs)) this.#options.onForgotten();
  }

  /** Reads what the log took within the window before; again at the next call if the log refuses it. */
  #restore(windowMs: number): Promise<void> {
    this.#restored ??= this.#readTail(windowMs).catch((error: unknown) => {
      this.#restored = undefined;
      throw error;
    });
    return this.#restored;
  }

  async #readTail(windowMs: number): Promise<void> {
    const { log, clock, topic, limits } = this.#options;
    if (log === null) return;
    const { deduplicatedTailMaxBytes: bytesMax, deduplicatedIdsMax: idsMax } = limits;
    const logged = await idsInTail(log, topic, clock.now() - windowMs, { bytesMax, idsMax });
    const [nowMs, monotonicMs] = [clock.now(), clock.monotonic()];
    for (const { id, appendedAtMs } of logged) this.#remember(id, monotonicMs - Math.max(0, nowMs - appendedAtMs));
  }
}

/** What an append came to: without an error the log has it. */
interface Outcome {
  readonly error?: unknown;
}

interface IdentifiedMember extends Member {
  readonly id: EventId;
}

function keyOf(id: EventId): string {
  return id.toString('latin1');
}
