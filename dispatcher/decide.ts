import type { DeliveryPolicy, Trigger } from '../broker/trigger/trigger.ts';
import { shownUrl } from '../runtime/shown-url.ts';
import { type DeadLetterReason, type StatusClass, statusClassOf } from '../runtime/tallies.ts';
import type { Fate, Outcome } from './fate.ts';

/**
 * What becomes of a delivery after an attempt: the one place where failures are classified. Pure.
 *
 * | outcome                                                | fate                                      |
 * |--------------------------------------------------------|-------------------------------------------|
 * | 2xx                                                    | delivered                                 |
 * | no answer, 404, 408, 409, 425, 429, 5xx                | retry while attempts remain, else dead letter |
 * | a refused address, other 4xx, 3xx (never followed), 1xx | dead letter at once                       |
 * | 410 where that pauses the trigger                      | retry when it goes on, as the same attempt |
 *
 * The classes are those of Knative's data plane contract, with 3xx as in the design.
 *
 * @param attempt the attempt that was made, from 1
 * @param nowMs when it ended, milliseconds since 1970
 * @param random in [0, 1), for the jitter
 * @param onGone what the trigger makes of a 410
 */
export function decide(
  outcome: Outcome,
  attempt: number,
  policy: DeliveryPolicy,
  nowMs: number,
  random: number,
  onGone: Trigger['onGone'] = 'dead-letter',
): Fate {
  if (outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300) return { kind: 'delivered' };
  const reason = reasonOf(outcome);
  if (healthOf(outcome, onGone) === 'gone') return { kind: 'retry', atMs: nowMs, attempt, reason };
  const refusal = refusalOf(outcome);
  if (refusal !== null) return { kind: 'deadLetter', category: refusal, reason };
  if (attempt >= policy.attemptsMax) {
    const count = `attempt ${attempt} of ${policy.attemptsMax}`;
    return { kind: 'deadLetter', category: 'attempts_exhausted', reason: `${reason} (${count})` };
  }
  const delayMs = Math.max(backoffMs(attempt, policy, random), retryAfterMs(outcome, policy, nowMs));
  return { kind: 'retry', atMs: nowMs + delayMs, attempt: attempt + 1, reason };
}

/**
 * What an outcome says of the subscriber, for the trigger's limit: that it is well, or failing (no answer, 429, 5xx),
 * or gone (410, where that pauses the trigger), or nothing. Whatever else is answered speaks of the event alone.
 */
export function healthOf(outcome: Outcome, onGone: Trigger['onGone']): Health {
  if (outcome.kind === 'unanswered') return outcome.cause === 'address' ? 'unknown' : 'failing';
  if (outcome.status === 410 && onGone === 'pause') return 'gone';
  return outcome.status === 429 || outcome.status >= 500 ? 'failing' : 'well';
}

export type Health = 'well' | 'failing' | 'gone' | 'unknown';

const retryableStatuses: ReadonlySet<number> = new Set([404, 408, 409, 425, 429]);

/** Why another attempt can't help, or null if it may. */
function refusalOf(outcome: Outcome): DeadLetterReason | null {
  if (outcome.kind === 'unanswered') return outcome.cause === 'address' ? 'address_refused' : null;
  if (outcome.status >= 500 || retryableStatuses.has(outcome.status)) return null;
  return outcome.status < 400 ? 'redirected' : 'rejected';
}

function reasonOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'answered':
      return `status ${outcome.status}${redirection(outcome.status, headerOf(outcome.headers, 'location'))}`;
    case 'unanswered':
      return `${outcome.cause}: ${outcome.message}`;
  }
}

/** The status alone would look like a fault of the event, where it is mostly one of the subscriber's address. */
function redirection(status: number, location: string | undefined): string {
  if (status < 300 || status >= 400) return '';
  return `: redirects are not followed${location === undefined ? '' : ` (Location: ${shownUrl(location)})`}`;
}

/** The delay before the attempt after `attempt`: linear `delay * n`, exponential `delay * 2^(n-1)`, capped. */
export function backoffMs(attempt: number, policy: DeliveryPolicy, random: number): number {
  const factor = policy.backoffPolicy === 'linear' ? attempt : 2 ** (attempt - 1);
  const delayMs = Math.min(policy.backoffDelayMs * factor, policy.backoffMaxMs);
  return Math.round(delayMs * (1 + policy.jitter * (2 * random - 1)));
}

/** The longest delay that `decide` can ask for under this policy, for clamping due times after a clock has jumped. */
export function delayMaxMs(policy: DeliveryPolicy): number {
  // After the last attempt but one: the delays only grow.
  const backoffLongest = backoffMs(Math.max(1, policy.attemptsMax - 1), policy, 1);
  return Math.max(backoffLongest, policy.retryAfterMaxMs ?? policy.backoffMaxMs);
}

/**
 * The Retry-After of a 429 or 503 (RFC 9110, 10.2.3: seconds or an HTTP date) as a delay, bounded by the policy; 0 for
 * none.
 */
export function retryAfterMs(outcome: Outcome, policy: DeliveryPolicy, nowMs: number): number {
  if (outcome.kind !== 'answered') return 0;
  if (outcome.status !== 429 && outcome.status !== 503) return 0;
  const value = headerOf(outcome.headers, 'retry-after');
  if (value === undefined) return 0;
  const delayMs = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs;
  if (!(delayMs > 0)) return 0;
  return Math.min(delayMs, policy.retryAfterMaxMs ?? policy.backoffMaxMs);
}

/** The value of a header in a flat list of lower-case names and values. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

/** For the metrics: what the attempt was answered. */
export function classOf(outcome: Outcome): StatusClass {
  if (outcome.kind === 'answered') return statusClassOf(outcome.status);
  return outcome.cause === 'timeout' ? 'timeout' : 'error';
}
