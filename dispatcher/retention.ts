import type { Logger } from 'pino';
import { sift } from '../broker/filter/data/sift.ts';
import type { TriggerIndex } from '../broker/filter/trigger-index.ts';
import type { Log, LogRecord, TopicPartition } from '../broker/log/log.ts';
import { eventReader, type ReadEvent } from '../broker/records.ts';
import { groupAt } from '../broker/trigger/lane-spans.ts';
import type { Registry } from '../broker/trigger/registry.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import type { CloudEvent } from '../event/event.ts';
import type { Clock } from '../runtime/clock.ts';
import { formatShortDuration } from '../runtime/duration.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { LanePosition } from './lane/reader.ts';

/** A lane that reads the events topics. */
export interface WatchedLane {
  readonly topics: readonly string[];
  readonly lane: { positions(): readonly Omit<LanePosition, 'isDrained'>[] };
  /** Whose own lane it is; null: the shared one. */
  readonly triggerUid: string | null;
}

export interface RetentionWatchOptions {
  readonly log: Pick<Log, 'describeTopic' | 'ranges' | 'read'>;
  readonly registry: Pick<Registry, 'name' | 'snapshot'>;
  /** Whether the trigger has nothing to do. */
  readonly isIdle: (trigger: Trigger) => boolean;
  /** `namespace/name`, for metrics and log lines. */
  readonly broker: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Tells how long the log still keeps the oldest undelivered event of each trigger, and warns when that is not long.
 * What lies in a retry topic is kept for as long as it takes. A retention by size is not foreseen.
 */
export class RetentionWatch {
  readonly #options: RetentionWatchOptions;
  /** On the monotonic clock. */
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** When a trigger was warned of last, by its name, on the monotonic clock. */
  readonly #warnedAtMs = new Map<string, number>();
  /** Names of the triggers that the metric shows. */
  #shown: ReadonlySet<string> = new Set();

  constructor(options: RetentionWatchOptions) {
    this.#options = options;
  }

  /** Looks at the lanes of this process, if it has not for a minute. @throws what the log throws */
  async look(lanes: readonly WatchedLane[]): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    // At the start there may be nothing to look at yet.
    const hasAny = lanes.some(({ lane }) => lane.positions().length > 0);
    if (nowMs - this.#lookedAtMs < lookMs || !(hasAny || this.#shown.size > 0)) return;
    this.#lookedAtMs = nowMs;
    const oldest = new Map<string, Undelivered>();
    for (const lane of lanes) {
      for await (const undelivered of this.#undelivered(lane)) {
        for (const name of this.#triggersOf(lane, undelivered)) {
          if (undelivered.leftMs < (oldest.get(name)?.leftMs ?? Number.POSITIVE_INFINITY))
            oldest.set(name, undelivered);
        }
      }
    }
    this.#show(oldest);
    this.#warn(oldest);
  }

  /** The oldest of each partition. */
  async *#undelivered({ topics, lane }: WatchedLane): AsyncGenerator<Undelivered> {
    for (const topic of topics) {
      yield* this.#undeliveredIn(
        topic,
        lane.positions().filter((at) => at.topic === topic),
      );
    }
  }

  async *#undeliveredIn(
    topic: string,
    positions: readonly { readonly partition: number; readonly position: number }[],
  ): AsyncGenerator<Undelivered> {
    const { log, clock, registry } = this.#options;
    const read = eventReader(registry.name, registry.snapshot().broker);
    const { retentionMs } = await log.describeTopic(topic);
    if (retentionMs === null) return;
    const ends = new Map((await log.ranges(topic)).map(({ partition, end }) => [partition, end]));
    for (const { partition, position } of positions) {
      if (position >= (ends.get(partition) ?? position)) continue;
      const record = (await log.read(topic, partition, position, 1)).records[0];
      // A producer may have given it no time (-1).
      if (!record || record.timestampMs < 0) continue;
      const leftMs = record.timestampMs + retentionMs - clock.now();
      const event = eventOf(record, read, { topic, partition });
      yield { topic, partition, record, event, leftMs, isNear: leftMs < retentionMs * nearShare };
    }
  }

  /**
   * The triggers for which the event is not delivered. Of the shared lane: those that it matches and that are busy; if
   * none is, those that it matches; if it matches none, whichever hold the lane.
   */
  #triggersOf({ triggerUid }: WatchedLane, { event, topic, partition, record }: Undelivered): string[] {
    const { triggers, index } = this.#options.registry.snapshot();
    if (triggerUid !== null) return namesOf([triggers.get(triggerUid)]);
    const matched = (event ? matchedBy(index, event) : []).filter(
      ({ laneSpans }) => groupAt(laneSpans, { topic, partition }, record.offset) === 'shared',
    );
    const shared = [...triggers.values()].filter(({ lane }) => lane === 'shared');
    const isBusy = (trigger: Trigger): boolean => !this.#options.isIdle(trigger);
    for (const some of [matched.filter(isBusy), matched, shared.filter(isBusy)]) {
      if (some.length > 0) return namesOf(some);
    }
    return namesOf(shared);
  }

  #show(oldest: ReadonlyMap<string, Undelivered>): void {
    const { metrics, broker } = this.#options;
    for (const name of this.#shown) if (!oldest.has(name)) metrics.retentionLeftSeconds.remove(broker, name);
    for (const [trigger, { leftMs }] of oldest) {
      metrics.retentionLeftSeconds.set({ broker, trigger }, Math.max(0, leftMs) / 1_000);
    }
    this.#shown = new Set(oldest.keys());
  }

  #warn(oldest: ReadonlyMap<string, Undelivered>): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [name, atMs] of this.#warnedAtMs) if (nowMs - atMs >= warnAgainMs) this.#warnedAtMs.delete(name);
    const near = [...oldest].filter(([name, { isNear }]) => isNear && !this.#warnedAtMs.has(name));
    near.sort(([, a], [, b]) => a.leftMs - b.leftMs);
    for (const [name, undelivered] of near.slice(0, linesMax)) {
      this.#warnedAtMs.set(name, nowMs);
      this.#tell(name, undelivered);
    }
  }

  #tell(trigger: string, { topic, partition, record, event, leftMs }: Undelivered): void {
    const { logger, broker } = this.#options;
    const appendedAt = new Date(record.timestampMs).toISOString();
    const left = formatShortDuration(Math.floor(Math.max(0, leftMs) / 1_000) * 1_000);
    logger.warn(
      {
        ...{ broker, trigger, topic, partition, offset: record.offset },
        ...(event && { event: event.attributes.id, source: event.attributes.source }),
        ...{ appendedAt, leftSeconds: Math.floor(leftMs / 1_000) },
      },
      `the oldest undelivered event of trigger ${trigger}, appended ${appendedAt}, ` +
        (leftMs > 0
          ? `is deleted by the topic's retention in ${left}`
          : `is past the topic's retention: it may be deleted at any moment`),
    );
  }
}

interface Undelivered {
  readonly topic: string;
  readonly partition: number;
  readonly record: LogRecord;
  /** Null for a record that is none. */
  readonly event: CloudEvent | null;
  /** Until the retention is over; negative after it. */
  readonly leftMs: number;
  readonly isNear: boolean;
}

/** One read a partition of each lane. */
const lookMs = 60_000;

/** Of 7 days it is the last 17 hours, of an hour the last 6 minutes. */
const nearShare = 0.1;

/** A trigger is warned of this often, and of so many at most at each look; those with the least time left first. */
const warnAgainMs = 600_000;
const linesMax = 20;

function eventOf(record: LogRecord, read: ReadEvent, at: TopicPartition): CloudEvent | null {
  try {
    return read(record, at);
  } catch {
    return null;
  }
}

/** Also those that give it up, as their data filter has no answer. */
function matchedBy(index: TriggerIndex, event: CloudEvent): Trigger[] {
  const { passed, undecided } = sift(index.match(event), event);
  return [...passed, ...undecided.map(({ trigger }) => trigger)];
}

function namesOf(triggers: readonly (Trigger | undefined)[]): string[] {
  return triggers.flatMap((trigger) => (trigger ? [trigger.name] : []));
}
