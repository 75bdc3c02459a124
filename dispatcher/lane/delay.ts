import type { Trigger } from '../../broker/trigger/trigger.ts';
import { deliverAtOf } from '../../event/deliver-at.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Hold } from '../fate.ts';
import type { RetryItem } from '../retry.ts';
import { type DecodedRecord, firstDelivery } from './intake.ts';
import type { LaneOptions } from './lane.ts';

/** Whether the event's `deliverat` is still to come. One that is no time counts as none. */
export function isEarly({ event }: DecodedRecord, clock: Clock): boolean {
  const atMs = deliverAtOf(event);
  return atMs !== undefined && atMs > clock.now();
}

/** Leaves the first delivery of an early event to the trigger's retry topic, due at its `deliverat`. */
export function delay(options: LaneOptions, decoded: DecodedRecord, trigger: Trigger, hold: Hold): void {
  const { metrics, pipeline, registry } = options;
  const dueAtMs = deliverAtOf(decoded.event) ?? 0;
  metrics.trigger(`${registry.name.namespace}/${registry.name.name}`, trigger.name).delayed();
  pipeline.postpone(firstDelivery(decoded, trigger), { dueAtMs, reason: 'deliverat is still to come' }, hold);
}

/** Whether a delivery waits for its event's `deliverat`: that due time was asked for, however far off. */
export function isDelayed({ attempt, dueAtMs, event }: RetryItem): boolean {
  return attempt === 1 && dueAtMs === deliverAtOf(event);
}
