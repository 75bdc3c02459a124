import { formatIsoDuration, parseIsoDuration, parseShortDuration } from '../../runtime/duration.ts';
import { describe, type Field } from './manifest-field.ts';

/** An ISO 8601 duration within these bounds, in milliseconds; undefined where the field is absent or reported. */
export function readDuration(field: Field, minMs: number, maxMs: number): number | undefined {
  const { value } = field;
  if (typeof value === 'number') {
    const hint = value > 0 && Number.isInteger(value * 1_000) ? `; write ${formatIsoDuration(value * 1_000)}` : '';
    return field.error(`must be an ISO 8601 duration, found ${describe(value)}${hint}`);
  }
  const text = field.text();
  if (text === undefined) return undefined;
  const ms = parseIsoDuration(text);
  if (ms === null) return field.error(`must be an ISO 8601 duration, found ${describe(text)}; ${meantDuration(text)}`);
  if (ms < minMs || ms > maxMs) {
    return field.error(
      `must be from ${formatIsoDuration(minMs)} to ${formatIsoDuration(maxMs)}, found ${describe(text)}`,
    );
  }
  return ms;
}

function meantDuration(text: string): string {
  const ms = parseIsoDuration(text.toUpperCase()) ?? parseShortDuration(text.toLowerCase());
  return ms === null ? 'PT10S is ten seconds, P1DT2H a day and two hours' : `write ${formatIsoDuration(ms)}`;
}
