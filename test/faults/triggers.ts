import { triggerYaml } from '../support/triggers.ts';
import type { FaultTrigger } from './stage.ts';

/** Short delays, so that a run sees many attempts, and no due time far off when a clock has jumped. */
const patient = '{ retry: 12, backoffPolicy: linear, backoffDelay: PT0.3S, timeout: PT4S, retryAfterMax: PT3S }';

export interface TriggerUnderFaults extends FaultTrigger {
  /** How long its subscriber takes when it is well, at most, in milliseconds: not the same for each event. */
  readonly answersAfterMs: number;
  /** Whether faults of subscribers happen to it. */
  readonly isMoody: boolean;
}

/** All get every event. The first of the moody is the one that misbehaves more often. */
export const faultTriggers: readonly TriggerUnderFaults[] = [
  { name: 'steady', lane: 'shared', answersAfterMs: 0, isMoody: false },
  { name: 'slow', lane: 'shared', answersAfterMs: 40, isMoody: false },
  { name: 'moody', lane: 'shared', answersAfterMs: 0, isMoody: true },
  { name: 'own', lane: 'own', answersAfterMs: 10, isMoody: false },
  { name: 'ordered', lane: 'ordered', answersAfterMs: 30, isMoody: true },
];

const annotations = {
  shared: {},
  own: { 'posthorn.dev/consumer-group': 'own' },
  ordered: { 'kafka.eventing.knative.dev/delivery.order': 'ordered' },
} as const;

export function manifestOf({ name, lane, isMoody }: TriggerUnderFaults, url: string): string {
  return triggerYaml(name, url, {
    annotations: annotations[lane],
    ...(isMoody && { delivery: patient }),
  });
}
