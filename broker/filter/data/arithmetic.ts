import { charactersPerStep, type Evaluation } from './evaluation.ts';
import { shiftTime } from './time.ts';
import {
  Failure,
  intMax,
  intMin,
  isList,
  isTagged,
  numberOf,
  Tagged,
  typeOf,
  uintMax,
  type Value,
  wholeOf,
} from './value.ts';

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%';

/**
 * CEL's arithmetic. Beyond it an int or uint beside a double counts as a double, and `%` takes doubles that are whole:
 * JSON has one type of numbers, so that whoever writes `data.amount * 2` can't know which it is.
 */
export function calculate(
  operator: ArithmeticOperator,
  a: Value,
  b: Value,
  evaluation: Evaluation,
  position: number,
): Value | Failure {
  if (typeof a === 'bigint' && typeof b === 'bigint') return integer(operator, a, b, 'int', position);
  if (isTagged(a, 'uint') && isTagged(b, 'uint')) return integer(operator, a.value, b.value, 'uint', position);
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== undefined && right !== undefined) {
    if (typeof left !== 'number' && typeof right !== 'number') return noOverload(operator, a, b, position);
    if (operator !== '%') return double(operator, Number(left), Number(right));
    const [whole, divisor] = [wholeOf(a), wholeOf(b)];
    if (whole !== undefined && divisor !== undefined) return integer('%', whole, divisor, 'int', position);
    return new Failure('% is for whole numbers', position);
  }
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') return joined(a, b, evaluation);
    if (isList(a) && isList(b)) {
      evaluation.spend(a.length + b.length);
      return [...a, ...b];
    }
  }
  const time = operator === '+' || operator === '-' ? shiftTime(operator, a, b, position) : undefined;
  return time ?? noOverload(operator, a, b, position);
}

export function negate(value: Value, position: number): Value | Failure {
  if (typeof value === 'number') return -value;
  if (typeof value === 'bigint') return inRange(-value, 'int', position);
  return new Failure(`no such overload: -${typeOf(value)}`, position);
}

export function noOverload(operator: string, a: Value, b: Value, position: number): Failure {
  return new Failure(`no such overload: ${typeOf(a)} ${operator} ${typeOf(b)}`, position);
}

function joined(a: string, b: string, evaluation: Evaluation): string {
  // Before it is made: doubled often enough, a text would fill the memory.
  evaluation.spend(Math.ceil((a.length + b.length) / charactersPerStep));
  return a + b;
}

function integer(
  operator: ArithmeticOperator,
  a: bigint,
  b: bigint,
  type: 'int' | 'uint',
  position: number,
): Value | Failure {
  switch (operator) {
    case '+':
      return inRange(a + b, type, position);
    case '-':
      return inRange(a - b, type, position);
    case '*':
      return inRange(a * b, type, position);
    case '/':
      return b === 0n ? new Failure('division by zero', position) : inRange(a / b, type, position);
    case '%':
      return b === 0n ? new Failure('modulus by zero', position) : inRange(a % b, type, position);
  }
}

export function inRange(value: bigint, type: 'int' | 'uint', position: number): Value | Failure {
  const isIn = type === 'int' ? value >= intMin && value <= intMax : value >= 0n && value <= uintMax;
  if (!isIn) return new Failure(`${value} is out of the range of ${type}`, position);
  return type === 'int' ? value : new Tagged('uint', value);
}

function double(operator: Exclude<ArithmeticOperator, '%'>, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
  }
}
