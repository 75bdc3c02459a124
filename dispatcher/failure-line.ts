import { shownUrl } from '../runtime/shown-url.ts';
import type { FailedAttempt } from './fate.ts';

/** The fields of the one wide line of a failed attempt. */
export function failureLine(failed: FailedAttempt): Record<string, unknown> {
  const { delivery, url, outcome, fate, startedAtMs, endedAtMs, batchEvents } = failed;
  const { trigger, target, event, attempt } = delivery;
  const { id, source, type } = event.attributes;
  return {
    trigger: trigger.name,
    target: target.kind,
    url: shownUrl(url),
    event: id,
    source,
    type,
    attempt,
    ...(batchEvents !== undefined && { batchEvents }),
    status: outcome.kind === 'answered' ? outcome.status : null,
    tookMs: endedAtMs - startedAtMs,
    fate: fate.kind,
    reason: fate.reason,
    ...(fate.kind === 'retry' && { next: new Date(fate.atMs).toISOString() }),
  };
}
