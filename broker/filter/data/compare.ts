import type { Evaluation } from './evaluation.ts';
import { isList, isMade, isObject, keysOf, lookUp, numberOf, Tagged, TypeValue, type Value } from './value.ts';

/** CEL's `==`: numbers by what they are, of whatever type; what has two types is not equal. */
export function areEqual(a: Value, b: Value, evaluation: Evaluation): boolean {
  evaluation.spend(1);
  if (typeof a === 'string') {
    if (typeof b !== 'string' || a.length !== b.length) return false;
    evaluation.spendText(a.length);
    return a === b;
  }
  const number = numberOf(a);
  if (number !== undefined) {
    const other = numberOf(b);
    // biome-ignore lint/suspicious/noDoubleEquals: a number and a bigint that are the same number
    return other !== undefined && number == other;
  }
  if (isList(a)) return isList(b) && areListsEqual(a, b, evaluation);
  if (isMade(a) || isObject(a)) return (isMade(b) || isObject(b)) && areMapsEqual(a, b, evaluation);
  if (a instanceof Tagged) return b instanceof Tagged && a.kind === b.kind && a.value === b.value;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  return a === b;
}

function areListsEqual(a: readonly Value[], b: readonly Value[], evaluation: Evaluation): boolean {
  return a.length === b.length && a.every((item, index) => areEqual(item, b[index] ?? null, evaluation));
}

type AnyMap = Parameters<typeof keysOf>[0];

function areMapsEqual(a: AnyMap, b: AnyMap, evaluation: Evaluation): boolean {
  const size = countKeys(a, evaluation);
  if (size !== countKeys(b, evaluation)) return false;
  return keysOf(a).every((key) => {
    const [left, right] = [lookUp(a, key), lookUp(b, key)];
    return left !== undefined && right !== undefined && areEqual(left, right, evaluation);
  });
}

/** To find each of the keys of a large map takes so long as some comparisons. */
const keySteps = 4;

/** How many keys the map has. They are looked at for that: data has at most `dataValuesMax`. */
export function countKeys(map: AnyMap, evaluation: Evaluation): number {
  const count = keysOf(map).length;
  evaluation.spend(keySteps * count);
  return count;
}

/** Less than 0 where `a` comes first, 0 where both are the same, NaN with a NaN; undefined where there is no order. */
export function compare(a: Value, b: Value, evaluation: Evaluation): number | undefined {
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== undefined && right !== undefined) return compareNumbers(left, right);
  if (typeof a === 'string' && typeof b === 'string') {
    evaluation.spendText(Math.min(a.length, b.length));
    return compareTexts(a, b);
  }
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (!(a instanceof Tagged && b instanceof Tagged) || a.kind !== b.kind) return undefined;
  return a.value < b.value ? -1 : Number(a.value > b.value);
}

function compareNumbers(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1;
  if (a > b) return 1;
  // biome-ignore lint/suspicious/noDoubleEquals: a number and a bigint that are the same number
  return a == b ? 0 : Number.NaN;
}

/** By code points, as UTF-8 sorts: JavaScript's own order is that of UTF-16. */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left === right) continue;
    const isLeftPair = isSurrogate(left);
    return isLeftPair === isSurrogate(right) ? left - right : isLeftPair ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
