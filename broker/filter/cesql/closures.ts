import type { CesqlError } from './errors.ts';
import { CesqlFailure, type CesqlFunction, type FunctionTable } from './function-table.ts';
import { compileLike } from './like.ts';
import { staticType } from './static-type.ts';
import type { Arithmetic, Comparison, Expression, FunctionCall, InOperation, LikeOperation, Logic } from './syntax.ts';
import {
  type Attributes,
  attributeValue,
  castOrFail,
  type Errors,
  integerMax,
  integerMin,
  isInteger,
  type Type,
  typeOf,
  type Value,
} from './value.ts';

/**
 * Evaluates a node. Undefined is no value: there was an error, and whatever needs this value has none either, so that
 * an error goes up to the whole expression, whose value then is the zero value of its type. Never throws.
 */
export type Run = (attributes: Attributes, errors: Errors) => Value | undefined;

/** Attributes that every event has, so that EXISTS needn't look (CESQL 1.0, 3.4.4). */
const requiredAttributes = new Set(['specversion', 'id', 'source', 'type']);

/** Makes a tree into nested functions (CESQL 1.0, 3.4 to 3.7). The recursion is as deep as the tree. */
export class Closures {
  readonly #functions: FunctionTable;
  /** Nodes whose value is known already. */
  readonly constants = new Map<Expression, Value>();

  constructor(functions: FunctionTable) {
    this.#functions = functions;
  }

  /** A whole expression. A function that fails at its root may still have a value, which `run` gives then. */
  whole(node: Expression): Run {
    return node.kind === 'call' ? this.#call(node, true) : this.compile(node);
  }

  compile(node: Expression): Run {
    const constant = this.constants.get(node);
    if (constant !== undefined) return () => constant;
    switch (node.kind) {
      case 'literal': {
        const { value } = node;
        return () => value;
      }
      case 'attribute':
        return attributeRun(node.name, node.position);
      case 'exists': {
        const { name } = node;
        if (requiredAttributes.has(name)) return () => true;
        return (attributes) => attributeValue(attributes[name]) !== undefined;
      }
      case 'not': {
        const operand = this.as('Boolean', node.operand);
        return (attributes, errors) => opposite(operand(attributes, errors));
      }
      case 'negate':
        return this.#negate(node.operand, node.position);
      case 'logic':
        return this.#logic(node);
      case 'comparison':
        return this.#comparison(node);
      case 'arithmetic':
        return this.#arithmetic(node);
      case 'like':
        return this.#like(node);
      case 'in':
        return this.#in(node);
      case 'call':
        return this.#call(node, false);
    }
  }

  /** A node with the cast that makes its value one of the type. */
  as(type: Type, node: Expression): Run {
    const run = this.compile(node);
    if (staticType(node, this.#functions) === type) return run;
    const { position } = node;
    return (attributes, errors) => {
      const value = run(attributes, errors);
      return value === undefined ? undefined : castOrFail(value, type, position, errors);
    };
  }

  #negate(node: Expression, position: number): Run {
    const operand = this.as('Integer', node);
    return (attributes, errors) => {
      const value = operand(attributes, errors);
      if (typeof value !== 'number') return undefined;
      return integerOrFail(-value, position, errors);
    };
  }

  /** From left to right; AND passes over its right operand after FALSE, OR after TRUE, and all do after an error. */
  #logic(node: Logic): Run {
    const first = this.as('Boolean', node.first);
    const links = node.rest.map(({ operator, operand }) => ({ operator, run: this.as('Boolean', operand) }));
    const [only] = links;
    if (links.length === 1 && only?.operator === 'AND') {
      const second = only.run;
      return (attributes, errors) => first(attributes, errors) && second(attributes, errors);
    }
    return (attributes, errors) => {
      let value = first(attributes, errors);
      for (const { operator, run } of links) {
        if (value === undefined) return undefined;
        if ((operator === 'AND' && value === false) || (operator === 'OR' && value === true)) continue;
        const right = run(attributes, errors);
        value = operator === 'XOR' && right !== undefined ? value !== right : right;
      }
      return value;
    };
  }

  #comparison(node: Comparison): Run {
    const { operator, left, right } = node;
    if (operator !== '=' && operator !== '!=') return this.#order(operator, left, right);
    const wanted = operator === '=';
    if (left.kind === 'attribute' && right.kind === 'literal' && typeof right.value === 'string') {
      return equalsText(left.name, right.value, wanted, attributeRun(left.name, left.position));
    }
    const leftRun = this.compile(left);
    const rightRun = this.compile(right);
    return (attributes, errors) => {
      const x = leftRun(attributes, errors);
      const y = rightRun(attributes, errors);
      if (x === undefined || y === undefined) return undefined;
      // The right operand says which of the operators of this name is meant.
      const same = castOrFail(x, typeOf(y), left.position, errors);
      return same === undefined ? undefined : (same === y) === wanted;
    };
  }

  #order(operator: '<' | '<=' | '>' | '>=', left: Expression, right: Expression): Run {
    const holds = orders[operator];
    const leftRun = this.as('Integer', left);
    const rightRun = this.as('Integer', right);
    return (attributes, errors) => {
      const x = leftRun(attributes, errors);
      const y = rightRun(attributes, errors);
      return typeof x === 'number' && typeof y === 'number' ? holds(x, y) : undefined;
    };
  }

  #arithmetic({ operator, left, right, position }: Arithmetic): Run {
    const calculate = calculations[operator];
    const leftRun = this.as('Integer', left);
    const rightRun = this.as('Integer', right);
    return (attributes, errors) => {
      const x = leftRun(attributes, errors);
      const y = rightRun(attributes, errors);
      if (typeof x !== 'number' || typeof y !== 'number') return undefined;
      if (y === 0 && (operator === '/' || operator === '%')) {
        return fail(errors, 'MathError', `${x} ${operator} 0 has no value`, position);
      }
      return integerOrFail(calculate(x, y), position, errors);
    };
  }

  #like({ negated, operand, pattern }: LikeOperation): Run {
    const run = this.as('String', operand);
    const matches = compileLike(pattern);
    return (attributes, errors) => {
      const text = run(attributes, errors);
      return typeof text === 'string' ? matches(text) !== negated : undefined;
    };
  }

  /** The left operand says what the elements are cast to. All of them are looked at, for their errors. */
  #in({ negated, operand, elements }: InOperation): Run {
    const run = this.compile(operand);
    if (elements.every((element) => element.kind === 'literal')) return inLiterals(run, elements, negated);
    const runs = elements.map((element) => ({ run: this.compile(element), position: element.position }));
    return (attributes, errors) => {
      const value = run(attributes, errors);
      const type = value === undefined ? null : typeOf(value);
      let found = false;
      let failed = type === null;
      for (const element of runs) {
        const other = element.run(attributes, errors);
        if (other === undefined || type === null) {
          failed = true;
          continue;
        }
        const same = castOrFail(other, type, element.position, errors);
        if (same === undefined) failed = true;
        else if (same === value) found = true;
      }
      return failed ? undefined : found !== negated;
    };
  }

  #call(node: FunctionCall, isRoot: boolean): Run {
    const { name, position } = node;
    const called = this.#functions.find(name, node.arguments.length);
    if (called === undefined) {
      const message = missingFunction(node, this.#functions);
      return (_, errors) => fail(errors, 'MissingFunctionError', message, position);
    }
    const runs = node.arguments.map((argument, index) => {
      const type = called.parameters[index] ?? called.variadic ?? 'Any';
      return type === 'Any' ? this.compile(argument) : this.as(type, argument);
    });
    return (attributes, errors) => {
      const values: Value[] = [];
      for (const argument of runs) {
        const value = argument(attributes, errors);
        if (value !== undefined) values.push(value);
      }
      if (values.length < runs.length) return undefined;
      const result = callSafely(called, values);
      if (!(result instanceof CesqlFailure)) return result;
      fail(errors, result.kind, result.message, position);
      return isRoot ? result.value : undefined;
    };
  }
}

/** Says that there is no function of that name, or none that takes so many arguments. */
export function missingFunction(node: FunctionCall, functions: FunctionTable): string {
  const counts = functions.overloads(node.name).map(({ parameters, variadic }) => {
    return variadic === undefined ? `${parameters.length}` : `${parameters.length} or more`;
  });
  if (counts.length === 0) return `there is no function ${node.name}; known: ${functions.names().join(', ')}`;
  const count = node.arguments.length;
  return `${node.name} takes ${counts.join(' or ')} argument${counts.join() === '1' ? '' : 's'}, found ${count}`;
}

function attributeRun(name: string, position: number): Run {
  const missing: CesqlError = Object.freeze({
    kind: 'MissingAttributeError',
    message: `the event has no attribute ${name}`,
    position,
  });
  return (attributes, errors) => {
    const value = attributes[name];
    if (typeof value === 'string') return value;
    const other = attributeValue(value);
    if (other === undefined) errors?.push(missing);
    return other;
  };
}

/** The commonest of all, without the steps in between. */
function equalsText(name: string, text: string, wanted: boolean, other: Run): Run {
  return (attributes, errors) => {
    const value = attributes[name];
    if (typeof value === 'string') return (value === text) === wanted;
    const rare = other(attributes, errors);
    return rare === undefined ? undefined : (String(rare) === text) === wanted;
  };
}

type LiteralElements = readonly { readonly value: Value; readonly position: number }[];

/** A set of literals is cast once for each type, and so looked up in the same time whatever its size. */
function inLiterals(run: Run, elements: LiteralElements, negated: boolean): Run {
  const sets = new Map<Type, { readonly values: ReadonlySet<Value>; readonly errors: readonly CesqlError[] }>();
  for (const type of ['String', 'Integer', 'Boolean'] as const) {
    const errors: CesqlError[] = [];
    const values = elements.flatMap(({ value, position }) => castOrFail(value, type, position, errors) ?? []);
    sets.set(type, { values: new Set(values), errors });
  }
  return (attributes, errors) => {
    const value = run(attributes, errors);
    const set = value === undefined ? undefined : sets.get(typeOf(value));
    if (value === undefined || set === undefined) return undefined;
    if (set.errors.length === 0) return set.values.has(value) !== negated;
    for (const error of set.errors) errors?.push(error);
    return undefined;
  };
}

function callSafely(called: CesqlFunction, values: Value[]): Value | CesqlFailure {
  const { name, returns } = called;
  let result: unknown;
  try {
    result = called.call(...values);
  } catch (error) {
    return new CesqlFailure(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (result instanceof CesqlFailure) {
    return isOf(result.value, returns) ? result : new CesqlFailure(result.message, undefined, result.kind);
  }
  if (isOf(result, returns)) return result;
  return new CesqlFailure(`${name} must return a value of type ${returns}`);
}

function isOf(value: unknown, type: Type): value is Value {
  if (type === 'Integer') return typeof value === 'number' && isInteger(value);
  return typeof value === (type === 'String' ? 'string' : 'boolean');
}

function opposite(value: Value | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

function integerOrFail(value: number, position: number, errors: Errors): number | undefined {
  // -0 is 0.
  if (isInteger(value)) return value | 0;
  return fail(errors, 'MathError', `${value} is no Integer: those go from ${integerMin} to ${integerMax}`, position);
}

function fail(errors: Errors, kind: CesqlError['kind'], message: string, position: number): undefined {
  errors?.push({ kind, message, position });
}

const orders = {
  '<': (x: number, y: number) => x < y,
  '<=': (x: number, y: number) => x <= y,
  '>': (x: number, y: number) => x > y,
  '>=': (x: number, y: number) => x >= y,
} as const;

/** Of 32-bit operands, so that every result but that of a division is exact, and that is cut towards 0. */
const calculations = {
  '+': (x: number, y: number) => x + y,
  '-': (x: number, y: number) => x - y,
  '*': (x: number, y: number) => x * y,
  '/': (x: number, y: number) => Math.trunc(x / y),
  '%': (x: number, y: number) => x % y,
} as const;
