import type { CloudEvent } from './event.ts';

/**
 * The extension that counts how often an event came out of a reply. Every delivery carries it, dead letters included,
 * so that a loop of triggers that answer each other ends.
 */
export const hopsAttribute = 'posthornhops';

/** More hops than this is a loop: no real chain of handlers is as long. */
export const hopsMax = 16;

/** How many replies led to the event: 0 where it does not say, NaN where what it says is not a decimal integer. */
export function hopsOf(event: CloudEvent): number {
  const hops = event.attributes[hopsAttribute];
  if (hops === undefined) return 0;
  return /^[0-9]{1,9}$/.test(hops) ? Number(hops) : Number.NaN;
}
