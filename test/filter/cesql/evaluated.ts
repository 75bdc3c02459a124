import type { Test } from 'tap';
import { type Attributes, type CesqlErrorKind, compile, type Value } from '../../../broker/filter/cesql/cesql.ts';

/** An expression, its value, and the kinds of its errors where it has any. */
export type Row = readonly [expression: string, value: Value, ...errors: readonly CesqlErrorKind[]];

/** Evaluates each expression with these attributes. */
export function evaluates(t: Test, rows: readonly Row[], attributes: Attributes = {}): void {
  for (const [expression, value, ...kinds] of rows) {
    const result = compile(expression).evaluate(attributes);
    const actual = [expression, result.value, ...result.errors.map(({ kind }) => kind)];
    t.strictSame(actual, [expression, value, ...kinds], nameOf(expression));
  }
}

/** What TAP can hold in a line. */
function nameOf(expression: string): string {
  const visible = expression.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return visible.slice(0, 80);
}
