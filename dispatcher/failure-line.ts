import { shownUrl } from '../runtime/shown-url.ts';
import type { Delivery, Fate, Outcome } from './fate.ts';

/** The fields of the one wide line of a failed attempt. */
export function failureLine(
  { trigger, target, event, attempt }: Delivery,
  url: string,
  outcome: Outcome,
  fate: Exclude<Fate, { kind: 'delivered' }>,
  tookMs: number,
): Record<string, unknown> {
  const { id, source, type } = event.attributes;
  return {
    trigger: trigger.name,
    target: target.kind,
    url: shownUrl(url),
    event: id,
    source,
    type,
    attempt,
    status: outcome.kind === 'answered' ? outcome.status : null,
    tookMs,
    fate: fate.kind,
    reason: fate.reason,
    ...(fate.kind === 'retry' && { next: new Date(fate.atMs).toISOString() }),
  };
}
