import { type CesqlWarning, FilterCheck } from './check.ts';
import { Closures } from './closures.ts';
import { type CesqlError, type CesqlErrorKind, CesqlSyntaxError } from './errors.ts';
import { CesqlFailure, type CesqlFunction, FunctionTable } from './function-table.ts';
import { builtIns } from './functions.ts';
import { parse } from './parse.ts';
import { print } from './print.ts';
import { staticType } from './static-type.ts';
import type { Expression } from './syntax.ts';
import { type Attributes, type Type, type Value, zeroOf } from './value.ts';

/** CloudEvents SQL 1.0: what the package exports as `posthorn/cesql`. docs/cesql.md tells of it. */
export {
  type Attributes,
  type CesqlError,
  type CesqlErrorKind,
  CesqlFailure,
  type CesqlFunction,
  CesqlSyntaxError,
  type CesqlWarning,
  type Expression,
  parse,
  print,
  type Type,
  type Value,
};

export interface CesqlOptions {
  /** Beside the built-in ones. */
  readonly functions?: readonly CesqlFunction[];
}

export interface CesqlExpression {
  /**
   * Never throws.
   * @param attributes of an event, by their names in lower case; those that are absent or undefined it lacks
   */
  evaluate(attributes: Attributes): CesqlResult;
}

export interface CesqlResult {
  /** After an error the zero value (`''`, 0 or false) of the expression's type, unless a function says another. */
  readonly value: Value;
  readonly errors: readonly CesqlError[];
}

export interface CesqlFilter {
  /** Whether the expression is TRUE without an error. Never throws. */
  passes(attributes: Attributes): boolean;
  /** To be shown to whoever wrote the expression. */
  readonly warnings: readonly CesqlWarning[];
}

const builtInTable = new FunctionTable(builtIns);

/**
 * Compiles an expression of CESQL 1.0. What has a value by the specification is compiled, even where that always comes
 * with an error.
 * @throws CesqlSyntaxError where it can't be parsed
 * @throws TypeError where the functions of the options contradict each other or the built-in ones
 */
export function compile(expression: string, options: CesqlOptions = {}): CesqlExpression {
  const functions = tableOf(options);
  const root = parse(expression);
  const run = new Closures(functions).whole(root);
  // An attribute that is absent gives false where no type is known (CESQL 1.0, 3.2).
  const zero = zeroOf(staticType(root, functions) ?? 'Boolean');
  return {
    evaluate(attributes) {
      const errors: CesqlError[] = [];
      return { value: run(attributes, errors) ?? zero, errors };
    },
  };
}

/**
 * Compiles an expression as a filter of events (CESQL 1.0, 1.2) whose attributes are all Strings, as on the wire.
 * @throws CesqlSyntaxError where it can't be parsed, and where a part of it can't be meant since it is an error for
 *   every event, or since its types never fit
 * @throws TypeError where the functions of the options contradict each other or the built-in ones
 */
export function compileFilter(expression: string, options: CesqlOptions = {}): CesqlFilter {
  const functions = tableOf(options);
  const closures = new Closures(functions);
  const root = parse(expression);
  const check = new FilterCheck(expression, functions, closures);
  check.whole(root);
  const run = closures.compile(root);
  return { passes: (attributes) => run(attributes, null) === true, warnings: check.warnings };
}

function tableOf({ functions }: CesqlOptions): FunctionTable {
  return functions === undefined ? builtInTable : new FunctionTable([...builtIns, ...functions]);
}
