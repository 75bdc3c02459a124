import { inRange } from './arithmetic.ts';
import { countKeys } from './compare.ts';
import { charactersPerStep, type Evaluation } from './evaluation.ts';
import {
  parseDuration,
  parseTimestamp,
  partOfTime,
  printDuration,
  printTimestamp,
  timeFunctions,
  timestampOfSeconds,
  unixSeconds,
} from './time.ts';
import {
  Failure,
  isList,
  isMade,
  isObject,
  isTagged,
  numberOf,
  TypeValue,
  typeOf,
  type Value,
  wholeOf,
} from './value.ts';

/** A function of CEL; undefined where it does not take such arguments. */
type Body = (args: readonly Value[], evaluation: Evaluation, position: number) => Value | Failure | undefined;

export interface CelFunction {
  /** Whether it is called `name(…)`, `value.name(…)` or either way; then the value is the first argument. */
  readonly called: 'alone' | 'on a value' | 'either';
  /** The value it is called on included. */
  readonly argumentCount: number;
  readonly body: Body;
}

/** The functions that expressions may call, but for macros and `matches`. */
export const functions: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  ['size', { called: 'either', argumentCount: 1, body: size }],
  ['contains', onTexts(contains)],
  ['startsWith', onTexts((text, part, evaluation) => readPart(part, evaluation) && text.startsWith(part))],
  ['endsWith', onTexts((text, part, evaluation) => readPart(part, evaluation) && text.endsWith(part))],
  ['lowerAscii', onText((text) => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()))],
  ['upperAscii', onText((text) => text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase()))],
  ['trim', onText((text) => text.trim())],
  ['int', conversion(toInt)],
  ['uint', conversion(toUint)],
  ['double', conversion(toDouble)],
  ['string', conversion(toText)],
  ['bool', conversion(toBoolean)],
  ['dyn', conversion((value) => value)],
  ['type', conversion((value) => new TypeValue(typeOf(value)))],
  ['timestamp', conversion(toTimestamp, 2)],
  ['duration', conversion(toDuration, 8)],
  ...timeFunctions.map((name): [string, CelFunction] => [
    name,
    {
      called: 'on a value',
      argumentCount: 1,
      body: ([value = null], evaluation) => {
        evaluation.spend(timeSteps);
        return partOfTime(name, value);
      },
    },
  ]),
]);

/** To take a time apart. */
const timeSteps = 16;

function onTexts(body: (text: string, part: string, evaluation: Evaluation) => boolean): CelFunction {
  return {
    called: 'on a value',
    argumentCount: 2,
    body: ([text, part], evaluation) =>
      typeof text === 'string' && typeof part === 'string' ? body(text, part, evaluation) : undefined,
  };
}

function onText(body: (text: string) => string): CelFunction {
  return {
    called: 'on a value',
    argumentCount: 1,
    body([text], evaluation) {
      if (typeof text !== 'string') return undefined;
      evaluation.spendText(textCopies * text.length);
      return body(text);
    },
  };
}

/** To change the case of a text takes so many times as long as to copy it. */
const textCopies = 8;

/** @param perCharacter how many steps a character takes to be read; a number takes longer than a text that is copied */
function conversion(
  body: (value: Value, position: number) => Value | Failure | undefined,
  perCharacter = 1 / 8,
): CelFunction {
  return {
    called: 'alone',
    argumentCount: 1,
    body: ([value = null], evaluation, position) => {
      if (typeof value === 'string') evaluation.spend(Math.ceil(perCharacter * value.length));
      return body(value, position);
    },
  };
}

/** Characters that one step compares while a text is searched for a part. */
const comparedPerStep = 1_024;

function contains(text: string, part: string, evaluation: Evaluation): boolean {
  // The search goes on by more than one character at a time, but at the worst compares the part at each.
  const compared = Math.ceil((text.length * part.length) / comparedPerStep);
  evaluation.spend(Math.ceil(text.length / charactersPerStep) + compared);
  return text.includes(part);
}

function readPart(part: string, evaluation: Evaluation): true {
  evaluation.spendText(part.length);
  return true;
}

function size([value = null]: readonly Value[], evaluation: Evaluation): bigint | undefined {
  if (typeof value === 'string') return BigInt(codePoints(value, evaluation));
  if (isList(value)) return BigInt(value.length);
  return isMade(value) || isObject(value) ? BigInt(countKeys(value, evaluation)) : undefined;
}

function codePoints(text: string, evaluation: Evaluation): number {
  evaluation.spendText(text.length);
  let count = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0xd800 || code > 0xdbff) continue;
    const next = text.charCodeAt(at + 1);
    if (next >= 0xdc00 && next <= 0xdfff) count -= 1;
  }
  return count;
}

function toInt(value: Value, position: number): Value | Failure | undefined {
  if (isTagged(value, 'timestamp')) return unixSeconds(value);
  return toWhole('int', value, position);
}

function toUint(value: Value, position: number): Value | Failure | undefined {
  return toWhole('uint', value, position);
}

function toWhole(type: 'int' | 'uint', value: Value, position: number): Value | Failure | undefined {
  if (typeof value === 'string') {
    // No number in range has more digits, but for leading zeros.
    if (/^[+-]?\d{1,40}$/.test(value)) return inRange(BigInt(value.replace('+', '')), type, position);
    return new Failure(`${type}() wants digits`, position);
  }
  const number = numberOf(value);
  if (number === undefined) return undefined;
  if (typeof number === 'bigint') return inRange(number, type, position);
  if (Number.isFinite(number)) return inRange(BigInt(Math.trunc(number)), type, position);
  return new Failure(`${number} is out of the range of ${type}`, position);
}

function toDouble(value: Value, position: number): Value | Failure | undefined {
  if (typeof value === 'string') {
    if (/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)) return Number(value);
    return new Failure('double() wants a number', position);
  }
  const number = numberOf(value);
  return number === undefined ? undefined : Number(number);
}

function toText(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (isTagged(value, 'timestamp')) return printTimestamp(value);
  if (isTagged(value, 'duration')) return printDuration(value);
  const number = numberOf(value);
  return number === undefined ? undefined : String(number);
}

const truths: readonly string[] = ['1', 't', 'T', 'TRUE', 'True', 'true'];
const untruths: readonly string[] = ['0', 'f', 'F', 'FALSE', 'False', 'false'];

function toBoolean(value: Value, position: number): Value | Failure | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') return undefined;
  if (truths.includes(value)) return true;
  return untruths.includes(value) ? false : new Failure('bool() wants true or false', position);
}

function toTimestamp(value: Value, position: number): Value | Failure | undefined {
  if (isTagged(value, 'timestamp')) return value;
  if (typeof value === 'string') return parseTimestamp(value, position);
  const seconds = wholeOf(value);
  return seconds === undefined ? undefined : timestampOfSeconds(seconds, position);
}

function toDuration(value: Value, position: number): Value | Failure | undefined {
  if (isTagged(value, 'duration')) return value;
  return typeof value === 'string' ? parseDuration(value, position) : undefined;
}
