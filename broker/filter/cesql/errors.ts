/** What kinds of errors there are, by the names of the specification (CESQL 1.0, 3.3). */
export type CesqlErrorKind =
  | 'ParseError'
  | 'MathError'
  | 'CastError'
  | 'MissingAttributeError'
  | 'MissingFunctionError'
  | 'FunctionEvaluationError'
  | 'GenericError';

/** Something that went wrong while an expression was evaluated. It comes together with a value. */
export interface CesqlError {
  readonly kind: CesqlErrorKind;
  /** What was seen and what would be right. */
  readonly message: string;
  /** Where in the expression the part stands that it came from: an offset in UTF-16 units, from 0. */
  readonly position: number;
}

/** An expression that is refused before it is evaluated. */
export class CesqlSyntaxError extends Error {
  /** `ParseError`, unless `compileFilter` foresees that evaluation would always end in another error. */
  readonly kind: CesqlErrorKind;
  /** Where in the expression: an offset in UTF-16 units, from 0 to the expression's length. */
  readonly position: number;
  /** The same as a line and a column of it, both from 1; columns count UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** What was seen there and what would be right; `message` is this and the place. */
  readonly problem: string;

  constructor(expression: string, position: number, problem: string, kind: CesqlErrorKind = 'ParseError') {
    const before = expression.slice(0, position).split('\n');
    const line = before.length;
    const column = (before.at(-1)?.length ?? 0) + 1;
    super(`${problem} (line ${line}, column ${column})`);
    this.name = 'CesqlSyntaxError';
    this.kind = kind;
    this.position = position;
    this.line = line;
    this.column = column;
    this.problem = problem;
  }
}

const shownCharactersMax = 40;

/** For messages that quote an expression or a value. */
export function shorten(text: string): string {
  return text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
}
