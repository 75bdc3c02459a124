import type { Logger } from 'pino';
import { isOutage } from '../../broker/log/errors.ts';
import type { Log, LostRange } from '../../broker/log/log.ts';
import type { Schemas } from '../../broker/schema/schemas.ts';
import type { Registry } from '../../broker/trigger/registry.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Origin } from '../fate.ts';
import type { Pipeline } from '../pipeline.ts';
import type { LaneReaderOptions } from './reader.ts';
import type { TakenRecord } from './taken-record.ts';
import type { WindowLimits } from './window.ts';

/** What every lane of a broker is given. */
export interface LaneOptions {
  readonly log: Log;
  readonly registry: Registry;
  readonly pipeline: Pipeline;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly window: WindowLimits;
  /** Null: this process has none. */
  readonly schemas: Pick<Schemas, 'find'> | null;
}

/**
 * How a lane's disturbances and losses are told: in the log lines and the metrics.
 * @param triggersOf the names of the triggers for which it reads a topic
 */
export function reportingOf(
  { logger, metrics, registry }: LaneOptions,
  group: string,
  triggersOf: (topic: string) => readonly string[],
): Pick<LaneReaderOptions, 'onLost' | 'onDisturbed'> {
  return {
    onLost({ topic, partition, from, to }: LostRange) {
      metrics.lostRecords.inc({ group, topic, partition: String(partition) }, to - from);
      const triggers = triggersOf(topic);
      const named = triggers.slice(0, lostTriggersMax);
      const more = triggers.length > named.length ? ` and ${triggers.length - named.length} more` : '';
      const broker = `${registry.name.namespace}/${registry.name.name}`;
      logger.error(
        { broker, group, topic, partition, from, to, triggers: named },
        `LOST: the log deleted ${to - from} records of ${topic} (partition ${partition}, offsets ${from} to ${to - 1}) ` +
          `that were not settled yet; triggers that they may have been for: ${named.join(', ') || 'none'}${more}`,
      );
    },
    onDisturbed(error: Error) {
      metrics.consumerDisturbances.inc({ group });
      logger[isOutage(error) ? 'debug' : 'warn'](
        { group, error: error.message },
        'consumer disturbed, is being repaired',
      );
    },
  };
}

/** A line names no more triggers than these. */
const lostTriggersMax = 20;

/** Where a record stands. A producer may have given it no time (-1): then it counts from now. */
export function originOf({ topic, partition, record }: TakenRecord, clock: Clock): Origin {
  const appendedAtMs = record.timestampMs < 0 ? clock.now() : record.timestampMs;
  return { topic, partition, offset: record.offset, appendedAtMs };
}
