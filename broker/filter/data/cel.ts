import { type ASTNode, TypeError as CelTypeError, Environment, ParseError } from '@marcbachmann/cel-js';
import { DataFilterSyntaxError } from './errors.ts';

/** An annotation that anybody reads is shorter, and one that nobody does must not hold up the registry. */
export const expressionCharactersMax = 16_384;

/** Of literals, names, operators and calls; the check of types takes a millisecond for some hundreds. */
const partsMax = 4_000;

/** Of parentheses, calls, fields and lists. */
const nestingMax = 100;

/**
 * The package parses and checks types. It is not let evaluate: that can't be interrupted, and its regular expressions
 * may take for ever.
 */
const environment = new Environment({
  homogeneousAggregateLiterals: false,
  limits: { maxAstNodes: partsMax, maxDepth: nestingMax, maxListElements: partsMax, maxMapEntries: partsMax },
})
  .registerVariable('data', 'dyn')
  .registerVariable('event', 'map<string, string>')
  .registerFunction('matches(string, string): bool', () => false)
  .registerFunction('string(google.protobuf.Timestamp): string', () => '')
  .registerFunction('string(google.protobuf.Duration): string', () => '')
  .registerFunction('int(google.protobuf.Timestamp): int', () => 0n)
  .registerFunction('timestamp(google.protobuf.Timestamp): google.protobuf.Timestamp', (value) => value)
  .registerFunction('duration(google.protobuf.Duration): google.protobuf.Duration', (value) => value);

// What `calculate` and `areEqual` take beyond CEL: a number of JSON beside an int may be of any type.
for (const whole of ['int', 'uint']) {
  for (const operator of ['+', '-', '*', '/']) {
    environment.registerOperator(`${whole} ${operator} double: double`, () => 0);
    environment.registerOperator(`double ${operator} ${whole}: double`, () => 0);
  }
  // The package adds `double == int`.
  environment.registerOperator(`${whole} == double: bool`, () => false);
}

export interface ParsedCel {
  readonly tree: ASTNode;
  /** @throws DataFilterSyntaxError where types never fit, and where it can't be true or false */
  checkTypes(): void;
}

/** Parses an expression of CEL. @throws DataFilterSyntaxError */
export function parseCel(expression: string): ParsedCel {
  if (expression.length > expressionCharactersMax) {
    const problem = `the expression has ${expression.length} characters, at most ${expressionCharactersMax} are taken`;
    throw new DataFilterSyntaxError(0, problem);
  }
  if (expression.trim() === '') throw new DataFilterSyntaxError(0, 'an expression is wanted, like data.amount > 100');
  const parsed = attempt(expression, () => environment.parse(expression));
  return {
    tree: parsed.ast,
    checkTypes() {
      const { type, error } = attempt(expression, () => parsed.check());
      if (error !== undefined) throw refusalOf(error, expression);
      if (type === 'bool' || type === 'dyn') return;
      throw new DataFilterSyntaxError(0, `must be true or false for each event, this is of type ${type}`);
    },
  };
}

function attempt<Result>(expression: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw refusalOf(error, expression);
  }
}

function refusalOf(error: unknown, expression: string): DataFilterSyntaxError {
  if (error instanceof RangeError) return new DataFilterSyntaxError(0, 'the expression is too deep');
  // The package stumbles over some that nobody writes, like `1 + [][data]`.
  if (!(error instanceof ParseError || error instanceof CelTypeError)) {
    return new DataFilterSyntaxError(0, 'the types of the expression can not be told; write it more simply');
  }
  const position = Math.min(error.range?.start ?? 0, expression.length);
  return new DataFilterSyntaxError(position, problemOf(error, expression, position));
}

function problemOf({ code, summary }: ParseError | CelTypeError, expression: string, position: number): string {
  const rest = expression.slice(position);
  if (rest.trim() === '') return 'the expression ends where a value is wanted';
  if (/^=(?!=)/.test(rest)) return 'unexpected =; write == to compare';
  const [, word] = /^(and|or|not|is|like)\b/i.exec(rest) ?? [];
  const written = word && cesqlWords[word.toLowerCase()];
  if (written && code.startsWith('unexpected')) return `unexpected ${word}; write ${written}`;
  if (code === 'limit_exceeded') {
    return summary.includes('maxDepth')
      ? `the expression is more than ${nestingMax} levels deep`
      : `the expression has more than ${partsMax} parts`;
  }
  if (code.startsWith('unexpected')) return `unexpected ${shownStart(rest)}`;
  return summary.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

/** What those write who know CESQL. */
const cesqlWords: Readonly<Record<string, string>> = {
  and: '&&',
  or: '||',
  not: '!',
  is: '== null or has(…)',
  like: 'startsWith, endsWith, contains or matches',
};

/** The word or the character that stands there. */
function shownStart(rest: string): string {
  return /^\w{1,40}/.exec(rest)?.[0] ?? String.fromCodePoint(rest.codePointAt(0) ?? 0);
}
