import type { Attributes, CesqlErrorKind, Expression, Type, Value } from '../../../broker/filter/cesql/cesql.ts';

/**
 * CESQL once more, node by node as the rules read and without care for speed: what the code under test is compared with.
 */
export interface Outcome {
  readonly value: Value;
  readonly errors: readonly CesqlErrorKind[];
}

export function evaluate(node: Expression, event: Attributes): Outcome {
  switch (node.kind) {
    case 'literal':
      return good(node.value);
    case 'attribute': {
      const value = new Map(Object.entries(event)).get(node.name);
      return value === undefined ? bad(false, 'MissingAttributeError') : good(value);
    }
    case 'exists':
      return good(Object.keys(event).includes(node.name));
    case 'not':
      return apply(false, [as('Boolean', evaluate(node.operand, event))], ([x]) => good(!x));
    case 'negate':
      return apply(0, [as('Integer', evaluate(node.operand, event))], ([x]) => integer(-BigInt(Number(x))));
    case 'logic':
      return node.rest.reduce(
        (left, { operator, operand }) => logic(operator, left, () => as('Boolean', evaluate(operand, event))),
        as('Boolean', evaluate(node.first, event)),
      );
    case 'arithmetic': {
      const operands = [node.left, node.right].map((one) => as('Integer', evaluate(one, event)));
      return apply(0, operands, ([x, y]) => calculate(node.operator, BigInt(Number(x)), BigInt(Number(y))));
    }
    case 'comparison': {
      const { operator } = node;
      const operands = [evaluate(node.left, event), evaluate(node.right, event)];
      if (operator !== '=' && operator !== '!=') return order(operator, operands);
      return apply(false, operands, ([x = '', y = '']) => equal(operator, x, y));
    }
    case 'like': {
      const operand = as('String', evaluate(node.operand, event));
      return apply(false, [operand], ([x]) => good(regexOf(node.pattern).test(String(x)) !== node.negated));
    }
    case 'in': {
      const operand = evaluate(node.operand, event);
      const elements = node.elements.map((one) => evaluate(one, event));
      const cast = operand.errors.length > 0 ? elements : elements.map((one) => as(typeOf(operand.value), one));
      return apply(false, [operand, ...cast], ([x, ...rest]) => good(rest.includes(x ?? '') !== node.negated));
    }
    case 'call':
      return call(node.name, node.arguments, event);
  }
}

function logic(operator: 'AND' | 'OR' | 'XOR', left: Outcome, right: () => Outcome): Outcome {
  if (left.errors.length > 0) return left;
  if (operator === 'AND') return left.value === false ? left : right();
  if (operator === 'OR') return left.value === true ? left : right();
  return apply(false, [left, right()], ([x, y]) => good(x !== y));
}

function calculate(operator: '+' | '-' | '*' | '/' | '%', x: bigint, y: bigint): Outcome {
  if (operator === '+') return integer(x + y);
  if (operator === '-') return integer(x - y);
  if (operator === '*') return integer(x * y);
  if (y === 0n) return bad(0, 'MathError');
  return integer(operator === '/' ? x / y : x % y);
}

function equal(operator: '=' | '!=', x: Value, y: Value): Outcome {
  return apply(false, [as(typeOf(y), good(x))], ([same]) => good((same === y) === (operator === '=')));
}

function order(operator: '<' | '<=' | '>' | '>=', operands: readonly Outcome[]): Outcome {
  const integers = operands.map((one) => as('Integer', one));
  return apply(false, integers, ([x = 0, y = 0]) => {
    if (operator === '<') return good(x < y);
    if (operator === '<=') return good(x <= y);
    return good(operator === '>' ? x > y : x >= y);
  });
}

type Signature = readonly [returns: Type, parameters: readonly (Type | null)[], more: boolean];

const signatures: Readonly<Record<string, Signature>> = {
  LENGTH1: ['Integer', ['String'], false],
  CONCAT: ['String', [], true],
  CONCAT_WS: ['String', ['String'], true],
  LOWER1: ['String', ['String'], false],
  UPPER1: ['String', ['String'], false],
  TRIM1: ['String', ['String'], false],
  LEFT2: ['String', ['String', 'Integer'], false],
  RIGHT2: ['String', ['String', 'Integer'], false],
  SUBSTRING2: ['String', ['String', 'Integer'], false],
  SUBSTRING3: ['String', ['String', 'Integer', 'Integer'], false],
  ABS1: ['Integer', ['Integer'], false],
  INT1: ['Integer', [null], false],
  BOOL1: ['Boolean', [null], false],
  STRING1: ['String', [null], false],
  IS_INT1: ['Boolean', [null], false],
  IS_BOOL1: ['Boolean', [null], false],
};

function call(name: string, nodes: readonly Expression[], event: Attributes): Outcome {
  const signature = signatures[name] ?? signatures[`${name}${nodes.length}`];
  if (signature === undefined || nodes.length < signature[1].length) return bad(false, 'MissingFunctionError');
  const [returns, parameters] = signature;
  const values = nodes.map((node, index) => {
    const type = index < parameters.length ? parameters[index] : 'String';
    const value = evaluate(node, event);
    return type ? as(type, value) : value;
  });
  return apply(zeroOf(returns), values, (given) => run(name, given, returns));
}

function run(name: string, given: readonly Value[], returns: Type): Outcome {
  const [first = '', second, third] = given;
  const characters = Array.from(String(first));
  const [at, length] = [Number(second), Number(third ?? 2 ** 31)];
  switch (name) {
    case 'LENGTH':
      return good(characters.length);
    case 'CONCAT':
      return good(given.join(''));
    case 'CONCAT_WS':
      return good(given.slice(1).join(String(first)));
    case 'LOWER':
      return good(String(first).toLowerCase());
    case 'UPPER':
      return good(String(first).toUpperCase());
    case 'TRIM':
      return good(
        String(first)
          .replace(/^\p{White_Space}+/u, '')
          .replace(/\p{White_Space}+$/u, ''),
      );
    case 'LEFT':
      return at < 0 ? bad(first, 'FunctionEvaluationError') : good(characters.slice(0, at).join(''));
    case 'RIGHT':
      if (at < 0) return bad(first, 'FunctionEvaluationError');
      return good(at === 0 ? '' : characters.slice(-at).join(''));
    case 'SUBSTRING':
      if (Math.abs(at) > characters.length && at !== -characters.length) return bad('', 'FunctionEvaluationError');
      if (length < 0) return bad('', 'FunctionEvaluationError');
      if (at === 0) return good('');
      return good(
        characters
          .slice(at > 0 ? at - 1 : at)
          .slice(0, length)
          .join(''),
      );
    case 'ABS':
      return first === -2_147_483_648 ? bad(2_147_483_647, 'MathError') : good(Math.abs(Number(first)));
    case 'IS_INT':
      return good(as('Integer', good(first)).errors.length === 0);
    case 'IS_BOOL':
      return good(as('Boolean', good(first)).errors.length === 0);
    default:
      return as(returns, good(first));
  }
}

/** An operation whose operands have errors is not applied. */
function apply(zero: Value, operands: readonly Outcome[], operation: (values: readonly Value[]) => Outcome): Outcome {
  const errors = operands.flatMap((one) => one.errors);
  return errors.length > 0 ? { value: zero, errors } : operation(operands.map(({ value }) => value));
}

function as(type: Type, outcome: Outcome): Outcome {
  if (outcome.errors.length > 0) return { ...outcome, value: zeroOf(type) };
  const text = String(outcome.value);
  if (typeOf(outcome.value) === type) return outcome;
  if (type === 'String') return good(text);
  if (type === 'Boolean') {
    if (typeof outcome.value === 'number') return good(text !== '0');
    const word = ['true', 'false'].find((one) => one === text.toLowerCase());
    return word === undefined ? bad(false, 'CastError') : good(word === 'true');
  }
  if (typeof outcome.value === 'boolean') return good(outcome.value ? 1 : 0);
  if (!/^[-+]?[0-9]+$/.test(text)) return bad(0, 'CastError');
  const number = integer(BigInt(text.replace('+', '')));
  return number.errors.length > 0 ? bad(0, 'CastError') : number;
}

function integer(value: bigint): Outcome {
  return BigInt.asIntN(32, value) === value ? good(Number(value)) : bad(0, 'MathError');
}

function regexOf(pattern: string): RegExp {
  const source = pattern.replaceAll(/\\[%_]|./gsu, (one) => {
    if (one === '%') return '.*';
    if (one === '_') return '.';
    const character = one === '\\' ? one : one.replace('\\', '');
    return /[%_\w]/.test(character) ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
  return new RegExp(`^${source}$`, 'su');
}

function typeOf(value: Value): Type {
  if (typeof value === 'string') return 'String';
  return typeof value === 'number' ? 'Integer' : 'Boolean';
}

function zeroOf(type: Type): Value {
  if (type === 'String') return '';
  return type === 'Integer' ? 0 : false;
}

function good(value: Value): Outcome {
  return { value, errors: [] };
}

function bad(value: Value, kind: CesqlErrorKind): Outcome {
  return { value, errors: [kind] };
}
