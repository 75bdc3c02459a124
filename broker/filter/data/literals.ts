import type { ASTNode } from '@marcbachmann/cel-js';
import { DataFilterSyntaxError } from './errors.ts';
import type { Run } from './run.ts';
import { intMax, intMin, Tagged, uintMax, type Value } from './value.ts';

/** Whether it has the same value for every event: a literal, a number with its sign, or a list of those. */
export function isLiteral(node: ASTNode): boolean {
  if (node.op === 'list') return node.args.every(isLiteral);
  if (node.op === '-_') return node.args.op === 'value' && typeof node.args.args === 'bigint';
  return node.op === 'value';
}

/** The value of one. @throws DataFilterSyntaxError */
export function literal(node: ASTNode): Value {
  const { start } = node;
  if (node.op === 'list') return node.args.map(literal);
  // The least int is no int without its sign.
  if (node.op === '-_') return limited(-BigInt(String(node.args.args)), intMin, intMax, start);
  const value = node.op === 'value' ? node.args : null;
  if (value instanceof Uint8Array) throw new DataFilterSyntaxError(start, 'there are no bytes here: JSON has none');
  if (typeof value === 'bigint') return limited(value, intMin, intMax, start);
  if (typeof value !== 'object' || value === null) return value;
  return new Tagged('uint', limited(value.valueOf(), 0n, uintMax, start));
}

function limited(value: bigint, min: bigint, max: bigint, position: number): bigint {
  if (value >= min && value <= max) return value;
  throw new DataFilterSyntaxError(position, `${value} is out of range: from ${min} to ${max}`);
}

/** What gives the same for every event. */
export function constant(value: Value): Run {
  return () => value;
}
