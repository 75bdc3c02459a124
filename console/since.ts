import { isTimestamp } from '../event/time.ts';
import { parseIsoDuration, parseShortDuration } from '../runtime/duration.ts';

export const sinceWanted =
  'a duration before now, as 30m, 1h, 7d or PT1H, or a time of RFC 3339, as 2026-01-31T12:00:00Z';

/**
 * The time that `--since` means, in milliseconds since 1970, or what is wrong with the text.
 * @param nowMs milliseconds since 1970
 */
export function parseSince(text: string, nowMs: number): { readonly sinceMs: number } | { readonly problem: string } {
  const durationMs = parseShortDuration(text) ?? parseIsoDuration(text);
  if (durationMs !== null) return { sinceMs: Math.max(0, nowMs - durationMs) };
  if (!isTimestamp(text)) return { problem: `must be ${sinceWanted}, not ${JSON.stringify(text)}` };
  // A leap second is the second after it to JavaScript.
  const sinceMs = Date.parse(text.replace(/:60/, ':59').toUpperCase());
  return sinceMs > nowMs
    ? { problem: `must not be later than now, but is ${text}` }
    : { sinceMs: Math.max(0, sinceMs) };
}
