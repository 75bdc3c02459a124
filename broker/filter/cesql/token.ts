import { CesqlSyntaxError, shorten } from './errors.ts';

/** The pieces of an expression (CESQL 1.0, 2.2 and 2.3). */
export interface Token {
  /** `word` is a name or a keyword, `integer` is digits without a sign, `end` is the end of the expression. */
  readonly kind: 'word' | 'integer' | 'string' | 'symbol' | 'end';
  /** As it is written. */
  readonly text: string;
  /** What a string says, or a word in upper case; of other tokens ''. */
  readonly value: string;
  readonly start: number;
  /** The offset after it. */
  readonly end: number;
}

const space = /[ \t\r\n]*/y;
const word = /[A-Za-z0-9_]+/y;
const symbol = /[!<>]=|<>|[-()=<>+*/%,]/y;

// Backslash and any character belong together, so that the delimiter after a backslash ends nothing.
const singleQuoted = /'[^'\\]*(?:\\.[^'\\]*)*'/sy;
const doubleQuoted = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;

/** What other languages write, and what it is here. */
const foreign: readonly (readonly [wrong: string, right: string])[] = [
  ['==', '='],
  ['&&', 'AND'],
  ['||', 'OR, or the function CONCAT for strings'],
  ['!', 'NOT, or != between two values'],
  ['`', 'the name of an attribute without quotes, or a string in \' or "'],
];

/** The token at or after the offset. @throws CesqlSyntaxError */
export function readToken(expression: string, offset: number): Token {
  const start = endOf(space, expression, offset) ?? offset;
  const first = expression[start];
  if (first === undefined) return { kind: 'end', text: '', value: '', start, end: start };
  if (first === "'" || first === '"') return readString(expression, start, first);
  const afterWord = endOf(word, expression, start);
  if (afterWord !== undefined) {
    const text = expression.slice(start, afterWord);
    const kind = /^[0-9]+$/.test(text) ? 'integer' : 'word';
    return { kind, text, value: text.toUpperCase(), start, end: afterWord };
  }
  for (const [wrong, right] of foreign) {
    if (expression.startsWith(wrong, start) && !expression.startsWith('!=', start)) {
      throw new CesqlSyntaxError(expression, start, `expected ${right}, found ${wrong}`);
    }
  }
  const end = endOf(symbol, expression, start);
  if (end !== undefined) return { kind: 'symbol', text: expression.slice(start, end), value: '', start, end };
  const problem = `${shownCharacter(expression, start)} has no meaning outside of a string`;
  throw new CesqlSyntaxError(expression, start, problem);
}

/** Only the delimiter can be escaped; a backslash before anything else is a backslash. */
function readString(expression: string, start: number, quote: "'" | '"'): Token {
  const end = endOf(quote === "'" ? singleQuoted : doubleQuoted, expression, start);
  if (end === undefined) {
    const problem = `expected a ${quote} that ends this string, found none; within it, \\${quote} stands for ${quote}`;
    throw new CesqlSyntaxError(expression, start, problem);
  }
  if (expression[end] === quote) {
    const problem = `expected \\${quote} for a ${quote} within a string, found ${quote}${quote}`;
    throw new CesqlSyntaxError(expression, end - 1, problem);
  }
  const text = expression.slice(start, end);
  const value = withoutEscapes(text.slice(1, -1), quote);
  return { kind: 'string', text, value, start, end };
}

function withoutEscapes(text: string, quote: string): string {
  if (!text.includes('\\')) return text;
  return text.replaceAll(/\\(.)/gs, (pair, character) => (character === quote ? quote : pair));
}

/** For messages: what is at a token. */
export function shownToken({ kind, text }: Token): string {
  return kind === 'end' ? 'the end' : shorten(text);
}

function shownCharacter(expression: string, offset: number): string {
  const point = expression.codePointAt(offset) ?? 0;
  const code = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
  const character = String.fromCodePoint(point);
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? `${character} (${code})` : `the character ${code}`;
}

/** Where a match of the sticky pattern at the offset ends. */
function endOf(sticky: RegExp, text: string, offset: number): number | undefined {
  sticky.lastIndex = offset;
  return sticky.test(text) ? sticky.lastIndex : undefined;
}
