import type { Logger } from 'pino';
import { isOutage } from '../../broker/log/errors.ts';
import type { Log, LostRange } from '../../broker/log/log.ts';
import type { Registry } from '../../broker/trigger/registry.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Origin } from '../fate.ts';
import type { Pipeline } from '../pipeline.ts';
import type { LaneReaderOptions, TakenRecord } from './reader.ts';
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
}

/** How a lane's disturbances and losses are told: in the log lines and the metrics. */
export function reportingOf(
  { logger, metrics }: LaneOptions,
  group: string,
): Pick<LaneReaderOptions, 'onLost' | 'onDisturbed'> {
  return {
    onLost({ topic, partition, from, to }: LostRange) {
      metrics.lostRecords.inc({ topic, partition: String(partition) }, to - from);
      logger.error(
        { group, topic, partition, from, to },
        `LOST: the log deleted ${to - from} records before they were read`,
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

/** Where a record stands. A producer may have given it no time (-1): then it counts from now. */
export function originOf({ topic, partition, record }: TakenRecord, clock: Clock): Origin {
  const appendedAtMs = record.timestampMs < 0 ? clock.now() : record.timestampMs;
  return { topic, partition, offset: record.offset, appendedAtMs };
}
