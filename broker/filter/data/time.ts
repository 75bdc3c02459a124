import { isTimestamp } from '../../../event/time.ts';
import { Failure, isTagged, Tagged, type Value } from './value.ts';

const nanosPerMilli = 1_000_000n;
const nanosPerSecond = 1_000_000_000n;

/** The year 1 to the year 9999, and durations of about 10,000 years, as in protobuf. */
const timestampMin = BigInt(Date.parse('0001-01-01T00:00:00Z')) * nanosPerMilli;
const timestampMax = BigInt(Date.parse('9999-12-31T23:59:59Z')) * nanosPerMilli + nanosPerSecond - 1n;
const durationMax = 315_576_000_000n * nanosPerSecond;

/** A timestamp of RFC 3339; what is finer than a nanosecond is left out. */
export function parseTimestamp(text: string, position: number): Value | Failure {
  const [, start = '', fraction = '', zone = ''] = /^(.{19})(?:\.(\d+))?(.+)$/.exec(text) ?? [];
  const ms = isTimestamp(text) ? Date.parse(`${start}${zone}`.toUpperCase()) : Number.NaN;
  if (Number.isNaN(ms)) return new Failure('timestamp() wants a time of RFC 3339, like 2026-01-31T12:00:00Z', position);
  return timestampOf(BigInt(ms) * nanosPerMilli + BigInt(fraction.slice(0, 9).padEnd(9, '0')), position);
}

export function timestampOfSeconds(seconds: bigint, position: number): Value | Failure {
  return timestampOf(seconds * nanosPerSecond, position);
}

function timestampOf(nanos: bigint, position: number): Value | Failure {
  if (nanos >= timestampMin && nanos <= timestampMax) return new Tagged('timestamp', nanos);
  return new Failure('the timestamp is out of range: it is not in the years 1 to 9999', position);
}

function durationOf(nanos: bigint, position: number): Value | Failure {
  if (nanos >= -durationMax && nanos <= durationMax) return new Tagged('duration', nanos);
  return new Failure('the duration is out of range: it is over 10,000 years', position);
}

const unitNanos: Readonly<Record<string, bigint>> = {
  h: 3_600n * nanosPerSecond,
  m: 60n * nanosPerSecond,
  s: nanosPerSecond,
  ms: nanosPerMilli,
  us: 1_000n,
  µs: 1_000n,
  ns: 1n,
};

/** Longer ones are no durations that anybody writes. */
const durationCharactersMax = 100;

/** A duration as Go writes it: `1h30m`, `-1.5s`. */
export function parseDuration(text: string, position: number): Value | Failure {
  const isOne =
    text.length <= durationCharactersMax && /^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|µs|ns))+)$/.test(text);
  if (!isOne) return new Failure('duration() wants a number with a unit (h, m, s, ms, us, ns), like 1h30m', position);
  let nanos = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(/(\d*)(?:\.(\d*))?(h|ms|m|s|us|µs|ns)/g)) {
    const scale = unitNanos[unit] ?? 0n;
    nanos += BigInt(whole || '0') * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length);
  }
  return durationOf(text.startsWith('-') ? -nanos : nanos, position);
}

/** The sum or difference of a time and a duration, or of two of a kind; undefined where the values are others. */
export function shiftTime(operator: '+' | '-', a: Value, b: Value, position: number): Value | Failure | undefined {
  const isADuration = isTagged(a, 'duration');
  const isBDuration = isTagged(b, 'duration');
  if (isADuration && isBDuration) {
    return durationOf(operator === '+' ? a.value + b.value : a.value - b.value, position);
  }
  if (isTagged(a, 'timestamp') && isBDuration) {
    return timestampOf(operator === '+' ? a.value + b.value : a.value - b.value, position);
  }
  if (isADuration && isTagged(b, 'timestamp') && operator === '+') return timestampOf(a.value + b.value, position);
  if (isTagged(a, 'timestamp') && isTagged(b, 'timestamp') && operator === '-') {
    return durationOf(a.value - b.value, position);
  }
  return undefined;
}

/** Seconds since 1970, rounded down. */
export function unixSeconds({ value }: Tagged): bigint {
  return floorDivide(value, nanosPerSecond);
}

export function printTimestamp({ value }: Tagged): string {
  const date = new Date(Number(floorDivide(value, nanosPerSecond)) * 1_000).toISOString();
  return `${date.slice(0, 19)}${printFraction(modulo(value, nanosPerSecond))}Z`;
}

export function printDuration({ value }: Tagged): string {
  const nanos = value < 0n ? -value : value;
  return `${value < 0n ? '-' : ''}${nanos / nanosPerSecond}${printFraction(nanos % nanosPerSecond)}s`;
}

function printFraction(nanos: bigint): string {
  return nanos === 0n ? '' : `.${nanos.toString().padStart(9, '0').replace(/0+$/, '')}`;
}

/** What CEL's functions of that name get out of a time, in UTC. */
const ofTimestamp: Readonly<Record<string, (date: Date) => number>> = {
  getFullYear: (date) => date.getUTCFullYear(),
  getMonth: (date) => date.getUTCMonth(),
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getDayOfYear: (date) => (date.getTime() - new Date(date).setUTCMonth(0, 1)) / 86_400_000,
  getHours: (date) => date.getUTCHours(),
  getMinutes: (date) => date.getUTCMinutes(),
  getSeconds: (date) => date.getUTCSeconds(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
};

const ofDuration: Readonly<Record<string, (nanos: bigint) => bigint>> = {
  getHours: (nanos) => nanos / (3_600n * nanosPerSecond),
  getMinutes: (nanos) => nanos / (60n * nanosPerSecond),
  getSeconds: (nanos) => nanos / nanosPerSecond,
  getMilliseconds: (nanos) => (nanos / nanosPerMilli) % 1_000n,
};

export const timeFunctions: readonly string[] = Object.keys(ofTimestamp);

/** Undefined where the value has no such part. */
export function partOfTime(name: string, value: Value): bigint | undefined {
  if (isTagged(value, 'duration')) return ofDuration[name]?.(value.value);
  if (!isTagged(value, 'timestamp')) return undefined;
  const part = ofTimestamp[name]?.(new Date(Number(floorDivide(value.value, nanosPerMilli))));
  return part === undefined ? undefined : BigInt(part);
}

function floorDivide(value: bigint, by: bigint): bigint {
  return (value - modulo(value, by)) / by;
}

function modulo(value: bigint, by: bigint): bigint {
  return ((value % by) + by) % by;
}
