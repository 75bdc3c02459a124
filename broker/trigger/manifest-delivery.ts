import { readDestination } from './manifest-destination.ts';
import { readDuration } from './manifest-duration.ts';
import type { Field } from './manifest-field.ts';
import { type DeliveryPolicy, defaultDelivery } from './trigger.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A request in flight holds its event unsettled; a day is beyond what proxies keep a connection open for. */
const timeoutMaxMs = dayMs;

/** Events are kept for 7 days by default; a delay beyond that would outlast them. */
const delayMaxMs = 7 * dayMs;

/** Kubernetes holds `retry` in 32 bits. */
const retryMax = 2 ** 31 - 1;

/**
 * Reads `spec.delivery` (Knative's duck/v1 DeliverySpec) with the default for each field that is absent. Delays are
 * varied at random only where the user left the backoff to us. Returns null where there is no `spec.delivery`.
 */
export function readDelivery(delivery: Field, namespace: string): DeliveryPolicy | null {
  const fields = ['deadLetterSink', 'retry', 'timeout', 'backoffPolicy', 'backoffDelay', 'retryAfterMax', 'format'];
  if (!delivery.object(fields)) return null;
  const retry = delivery.field('retry').integer(0, retryMax);
  const policy = delivery.field('backoffPolicy').oneOf(['linear', 'exponential']);
  const delayMs = readDuration(delivery.field('backoffDelay'), 1, delayMaxMs);
  const isOurs = retry === undefined && policy === undefined && delayMs === undefined;
  const backoffDelayMs = delayMs ?? defaultDelivery.backoffDelayMs;
  return {
    attemptsMax: retry === undefined ? defaultDelivery.attemptsMax : retry + 1,
    backoffPolicy: policy ?? defaultDelivery.backoffPolicy,
    backoffDelayMs,
    backoffMaxMs: Math.max(defaultDelivery.backoffMaxMs, backoffDelayMs),
    jitter: isOurs ? defaultDelivery.jitter : 0,
    timeoutMs: readDuration(delivery.field('timeout'), 1, timeoutMaxMs) ?? defaultDelivery.timeoutMs,
    retryAfterMaxMs: readDuration(delivery.field('retryAfterMax'), 0, delayMaxMs) ?? defaultDelivery.retryAfterMaxMs,
    format: delivery.field('format').oneOf(['binary', 'json']) ?? defaultDelivery.format,
    deadLetterSinkUri: readDestination(delivery.field('deadLetterSink'), namespace) ?? null,
  };
}
