import type { ASTNode } from '@marcbachmann/cel-js';
import { didYouMean } from '../../../runtime/nearest.ts';
import { type ArithmeticOperator, calculate, negate, noOverload } from './arithmetic.ts';
import { compileCall } from './calls.ts';
import { areEqual, compare } from './compare.ts';
import { DataFilterSyntaxError } from './errors.ts';
import { type Evaluation, UndecidedError } from './evaluation.ts';
import { constant, isLiteral, literal } from './literals.ts';
import { type Compile, type Run, unary, type Variables } from './run.ts';
import {
  Failure,
  isList,
  isMade,
  isObject,
  lookUp,
  type MapKey,
  mapKeyOf,
  TypeValue,
  typeOf,
  type Value,
  wholeOf,
} from './value.ts';

/** A chain of `+` is as deep as it is long; the stack holds more, but nobody reads it. */
const nestingMax = 200;

const typeNames: readonly string[] = ['bool', 'int', 'uint', 'double', 'string', 'list', 'map', 'null_type', 'type'];

/**
 * Compiles the syntax tree of an expression to a function. What is unknown here is refused, though the parser may know
 * it: bytes, `cel.bind`, optional values and functions on texts that CEL's standard lacks.
 * @throws DataFilterSyntaxError
 */
export function compileNode(node: ASTNode, variables: Variables = new Map(), nesting = 1): Run {
  if (nesting > nestingMax) {
    throw new DataFilterSyntaxError(node.start, `the expression is more than ${nestingMax} levels deep`);
  }
  const run = compilePart(node, (part, more = variables) => compileNode(part, more, nesting + 1), variables);
  return (evaluation) => {
    evaluation.spend(1);
    return run(evaluation);
  };
}

function compilePart(node: ASTNode, compile: Compile, variables: Variables): Run {
  const { start } = node;
  if (isLiteral(node)) return constant(literal(node));
  switch (node.op) {
    case 'id':
      return identifier(node.args, start, variables);
    case '.':
      return select(compile(node.args[0]), node.args[1], start);
    case '[]':
      return binary(node.args, compile, (value, key) => indexed(value, key, node.args[1].start));
    case 'list':
      return list(node.args.map((item) => compile(item)));
    case 'map':
      return map(
        node.args.map(([key, value]) => [compile(key), compile(value)] as const),
        start,
      );
    case '!_':
      return unary(compile(node.args), (value) => {
        return typeof value === 'boolean' ? !value : new Failure(`no such overload: !${typeOf(value)}`, start);
      });
    case '-_':
      return unary(compile(node.args), (value) => negate(value, start));
    case '&&':
    case '||':
      return connective(
        node.op === '||',
        chainOf(node, node.op).map((part) => [compile(part), part.start] as const),
      );
    case '?:':
      return choice(compile(node.args[0]), compile(node.args[1]), compile(node.args[2]), start);
    case '==':
    case '!=': {
      const isWanted = node.op === '==';
      return binary(node.args, compile, (a, b, evaluation) => areEqual(a, b, evaluation) === isWanted);
    }
    case 'in':
      return binary(node.args, compile, (a, b, evaluation) => isIn(a, b, evaluation, start));
    case '<':
    case '<=':
    case '>':
    case '>=':
      return ordering(node.op, node.args, compile, start);
    case '+':
    case '-':
    case '*':
    case '/':
    case '%': {
      const operator: ArithmeticOperator = node.op;
      return binary(node.args, compile, (a, b, evaluation) => calculate(operator, a, b, evaluation, start));
    }
    case 'call':
      return compileCall(node.args[0], null, node.args[1], { compile, variables, start });
    case 'rcall':
      return compileCall(node.args[0], node.args[1], node.args[2], { compile, variables, start });
    default:
      throw new DataFilterSyntaxError(start, `${node.op} is not known here`);
  }
}

const variableNames = ['data', 'event'];

function identifier(name: string, position: number, variables: Variables): Run {
  const variable = variables.get(name);
  if (variable !== undefined) return ({ variables }) => variables[variable] ?? null;
  if (name === 'data') return (evaluation) => dataOf(evaluation, position);
  if (name === 'event') return ({ event }) => event.attributes;
  if (typeNames.includes(name)) return constant(new TypeValue(name));
  throw new DataFilterSyntaxError(
    position,
    `unknown variable ${name}${didYouMean(name, variableNames) || `; known here: ${variableNames.join(', ')}`}`,
  );
}

function dataOf({ event }: Evaluation, position: number): Value | Failure {
  const json = event.json();
  switch (json.kind) {
    case 'json':
      return json.value;
    case 'none':
      return new Failure(json.reason, position);
    case 'unreadable':
      throw new UndecidedError(json.reason);
  }
}

function select(target: Run, name: string, position: number): Run {
  return unary(target, (value) => {
    if (!isObject(value) && !isMade(value)) return new Failure(`no field ${name} in a ${typeOf(value)}`, position);
    const field = lookUp(value, name);
    return field === undefined ? new Failure(`no such field: ${name}`, position) : field;
  });
}

function indexed(value: Value, key: Value, position: number): Value | Failure {
  if (isList(value)) {
    const index = wholeOf(key);
    if (index === undefined)
      return new Failure(`the index of a list is a whole number, found ${typeOf(key)}`, position);
    const item = value[Number(index)];
    return item === undefined ? new Failure(`no item ${index}: the list has ${value.length}`, position) : item;
  }
  if (!isObject(value) && !isMade(value)) return new Failure(`a ${typeOf(value)} has no items`, position);
  const item = lookUp(value, key);
  return item === undefined ? new Failure('no such key', position) : item;
}

function list(items: readonly Run[]): Run {
  return (evaluation) => {
    const values: Value[] = [];
    for (const item of items) {
      const value = item(evaluation);
      if (value instanceof Failure) return value;
      values.push(value);
    }
    return values;
  };
}

function map(entries: readonly (readonly [Run, Run])[], position: number): Run {
  return (evaluation) => {
    const made = new Map<MapKey, Value>();
    for (const [key, value] of entries) {
      const [keyValue, itemValue] = [key(evaluation), value(evaluation)];
      if (keyValue instanceof Failure) return keyValue;
      if (itemValue instanceof Failure) return itemValue;
      const known = mapKeyOf(keyValue);
      if (known === undefined) return new Failure(`${typeOf(keyValue)} is no key of a map`, position);
      if (made.has(known)) return new Failure(`the key ${known} is there twice`, position);
      made.set(known, itemValue);
    }
    return made;
  };
}

function binary(
  [left, right]: readonly [ASTNode, ASTNode],
  compile: Compile,
  operate: (a: Value, b: Value, evaluation: Evaluation) => Value | Failure,
): Run {
  const [first, second] = [compile(left), compile(right)];
  return (evaluation) => {
    const a = first(evaluation);
    if (a instanceof Failure) return a;
    const b = second(evaluation);
    return b instanceof Failure ? b : operate(a, b, evaluation);
  };
}

/** The parts that one operator joins, so that a long chain is one level. */
function chainOf(node: ASTNode, op: '&&' | '||'): ASTNode[] {
  const parts: ASTNode[] = [];
  const pending: ASTNode[] = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.op === op) pending.push(next.args[1], next.args[0]);
    else parts.push(next);
  }
  return parts;
}

/** `||` is true where any part is, whatever errors the others meet; `&&` likewise with false. */
function connective(decisive: boolean, parts: readonly (readonly [Run, number])[]): Run {
  return (evaluation) => {
    let failure: Failure | undefined;
    for (const [part, position] of parts) {
      const value = part(evaluation);
      if (value === decisive) return decisive;
      if (value instanceof Failure) failure ??= value;
      else if (value !== !decisive) {
        failure ??= new Failure(`${decisive ? '||' : '&&'} joins true and false, found ${typeOf(value)}`, position);
      }
    }
    return failure ?? !decisive;
  };
}

function choice(condition: Run, left: Run, right: Run, position: number): Run {
  return (evaluation) => {
    const value = condition(evaluation);
    if (value === true) return left(evaluation);
    if (value === false) return right(evaluation);
    return value instanceof Failure ? value : new Failure(`? asks true or false, found ${typeOf(value)}`, position);
  };
}

const orders = {
  '<': (order: number) => order < 0,
  '<=': (order: number) => order <= 0,
  '>': (order: number) => order > 0,
  '>=': (order: number) => order >= 0,
} as const;

function ordering(op: keyof typeof orders, args: readonly [ASTNode, ASTNode], compile: Compile, position: number): Run {
  const holds = orders[op];
  return binary(args, compile, (a, b, evaluation) => {
    const order = compare(a, b, evaluation);
    return order === undefined ? noOverload(op, a, b, position) : holds(order);
  });
}

function isIn(item: Value, container: Value, evaluation: Evaluation, position: number): boolean | Failure {
  if (isList(container)) return container.some((one) => areEqual(item, one, evaluation));
  if (isObject(container) || isMade(container)) return lookUp(container, item) !== undefined;
  return noOverload('in', item, container, position);
}
