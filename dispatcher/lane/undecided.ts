import type { Undecided } from '../../broker/filter/data/sift.ts';
import { failureOf } from '../dead-letter.ts';
import type { Hold } from '../fate.ts';
import { type DecodedRecord, firstDelivery } from './intake.ts';
import type { LaneOptions } from './lane.ts';

/**
 * Gives an event up for a trigger whose data filter has no answer for it: whether the trigger should get it is not
 * known, and to ask again would give the same. A dead letter sink is called from the trigger's retry topic, so that a
 * flood of such events waits there and not in memory.
 */
export function giveUpUndecided(
  { clock, logger, metrics, pipeline, registry }: LaneOptions,
  decoded: DecodedRecord,
  { trigger, reason }: Undecided,
  hold: Hold,
): void {
  const broker = `${registry.name.namespace}/${registry.name.name}`;
  const delivery = firstDelivery(decoded, trigger);
  const full = `the data filter of trigger ${trigger.namespace}/${trigger.name} has no answer: ${reason}`;
  logger.warn(
    { broker, trigger: trigger.name, event: decoded.event.attributes.id, reason },
    'data filter has no answer, dead-lettered',
  );
  if (trigger.delivery.deadLetterSinkUri === null) {
    pipeline.giveUp(delivery, 'data_filter', full, hold);
    return;
  }
  metrics.trigger(broker, trigger.name).deadLettered('data_filter');
  const nowMs = clock.now();
  const target = { kind: 'deadLetterSink', failure: failureOf(delivery, full, null, nowMs) } as const;
  pipeline.postpone({ ...delivery, target }, { dueAtMs: nowMs, reason: full }, hold);
}
