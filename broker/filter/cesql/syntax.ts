/**
 * The tree of an expression (CESQL 1.0, 2), without its parentheses. `position` is the offset of the token that made
 * the node, in UTF-16 units from 0: an operator's own place, else where the node begins.
 */
export type Expression =
  | Literal
  | Attribute
  | Unary
  | Logic
  | Comparison
  | Arithmetic
  | LikeOperation
  | InOperation
  | ExistsOperation
  | FunctionCall;

export interface Literal {
  readonly kind: 'literal';
  readonly value: string | number | boolean;
  readonly position: number;
}

/** A value identifier: the value of a context attribute or extension. */
export interface Attribute {
  readonly kind: 'attribute';
  /** In lower case. */
  readonly name: string;
  readonly position: number;
}

export interface Unary {
  readonly kind: 'not' | 'negate';
  readonly operand: Expression;
  readonly position: number;
}

/**
 * A chain of AND, OR and XOR, which bind equally and from left to right. It is kept flat, so that a chain of ten
 * thousand is not ten thousand deep.
 */
export interface Logic {
  readonly kind: 'logic';
  readonly first: Expression;
  /** At least one. */
  readonly rest: readonly LogicLink[];
  /** Of the first operator. */
  readonly position: number;
}

export interface LogicLink {
  readonly operator: LogicOperator;
  readonly operand: Expression;
  readonly position: number;
}

export type LogicOperator = 'AND' | 'OR' | 'XOR';

export interface Comparison {
  readonly kind: 'comparison';
  /** `<>` is `!=`. */
  readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>=';
  readonly left: Expression;
  readonly right: Expression;
  readonly position: number;
}

export interface Arithmetic {
  readonly kind: 'arithmetic';
  readonly operator: '+' | '-' | '*' | '/' | '%';
  readonly left: Expression;
  readonly right: Expression;
  readonly position: number;
}

export interface LikeOperation {
  readonly kind: 'like';
  readonly negated: boolean;
  readonly operand: Expression;
  /** With its wildcards and their escapes. */
  readonly pattern: string;
  readonly position: number;
}

export interface InOperation {
  readonly kind: 'in';
  readonly negated: boolean;
  readonly operand: Expression;
  /** At least one. */
  readonly elements: readonly Expression[];
  readonly position: number;
}

export interface ExistsOperation {
  readonly kind: 'exists';
  /** In lower case. */
  readonly name: string;
  readonly position: number;
}

export interface FunctionCall {
  readonly kind: 'call';
  /** In upper case. */
  readonly name: string;
  readonly arguments: readonly Expression[];
  readonly position: number;
}

/** How tightly operators bind (CESQL 1.0, 3.6), loosest first. Operators of one strength go from left to right. */
export const strength = {
  logic: 1,
  comparison: 2,
  additive: 3,
  multiplicative: 4,
  in: 5,
  like: 6,
  unary: 7,
} as const;
