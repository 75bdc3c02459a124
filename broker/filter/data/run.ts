import type { ASTNode } from '@marcbachmann/cel-js';
import type { Evaluation } from './evaluation.ts';
import { Failure, type Value } from './value.ts';

/** A part of an expression, compiled. @throws UndecidedError */
export type Run = (evaluation: Evaluation) => Value | Failure;

/** The places of the variables of macros, by their names. */
export type Variables = ReadonlyMap<string, number>;

/** Compiles a part of the part at hand. @throws DataFilterSyntaxError */
export type Compile = (node: ASTNode, variables?: Variables) => Run;

/** What is made of a value, unless an error stands in its place. */
export function unary(target: Run, operate: (value: Value) => Value | Failure): Run {
  return (evaluation) => {
    const value = target(evaluation);
    return value instanceof Failure ? value : operate(value);
  };
}
