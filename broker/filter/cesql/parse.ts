import { CesqlSyntaxError } from './errors.ts';
import { type Expression, type Logic, type LogicLink, strength } from './syntax.ts';
import { readToken, shownToken, type Token } from './token.ts';
import { integerMax, integerMin } from './value.ts';

/** No hand-written expression is longer. It bounds what compiling and evaluating one can take. */
export const expressionCharactersMax = 65_536;

/** Deeper than anyone reads, and shallow enough for the stack. A chain of AND, OR and XOR is one level. */
export const nestingMax = 256;

const literalWords: Readonly<Record<string, boolean | undefined>> = { TRUE: true, FALSE: false };
const keywords = new Set(['AND', 'OR', 'XOR', 'NOT', 'LIKE', 'EXISTS', 'IN', 'TRUE', 'FALSE']);

const valueExpected = 'an attribute, a literal or a function';

type Infix =
  | { readonly kind: 'logic'; readonly operator: LogicLink['operator'] }
  | { readonly kind: 'comparison'; readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>=' }
  | { readonly kind: 'additive' | 'multiplicative'; readonly operator: '+' | '-' | '*' | '/' | '%' }
  | { readonly kind: 'in' | 'like' };

const infixes: ReadonlyMap<string, Infix> = new Map<string, Infix>([
  ['AND', { kind: 'logic', operator: 'AND' }],
  ['OR', { kind: 'logic', operator: 'OR' }],
  ['XOR', { kind: 'logic', operator: 'XOR' }],
  ['=', { kind: 'comparison', operator: '=' }],
  ['!=', { kind: 'comparison', operator: '!=' }],
  ['<>', { kind: 'comparison', operator: '!=' }],
  ['<', { kind: 'comparison', operator: '<' }],
  ['<=', { kind: 'comparison', operator: '<=' }],
  ['>', { kind: 'comparison', operator: '>' }],
  ['>=', { kind: 'comparison', operator: '>=' }],
  ['+', { kind: 'additive', operator: '+' }],
  ['-', { kind: 'additive', operator: '-' }],
  ['*', { kind: 'multiplicative', operator: '*' }],
  ['/', { kind: 'multiplicative', operator: '/' }],
  ['%', { kind: 'multiplicative', operator: '%' }],
  ['IN', { kind: 'in' }],
  ['LIKE', { kind: 'like' }],
]);

/**
 * The tree of an expression (CESQL 1.0, 2 and 3.6). Keywords, functions and attributes may be in any case.
 * @throws CesqlSyntaxError that points at the first token that fits nothing there
 */
export function parse(expression: string): Expression {
  if (typeof expression !== 'string') throw new TypeError(`a CESQL expression is a string, found ${typeof expression}`);
  if (expression.length > expressionCharactersMax) {
    const problem = `expected at most ${expressionCharactersMax} characters, found ${expression.length}`;
    throw new CesqlSyntaxError(expression, expressionCharactersMax, problem);
  }
  return new Parser(expression).whole();
}

/** Precedence climbing: each operand takes the operators that bind tighter than what it is an operand of. */
class Parser {
  readonly #expression: string;
  #token: Token;
  /** How deep the rules call each other now. */
  #depth = 0;
  /** Of the node that was read last: how many nodes lie on the longest way down. */
  #height = 0;

  constructor(expression: string) {
    this.#expression = expression;
    this.#token = readToken(expression, 0);
  }

  whole(): Expression {
    const whole = this.#operand(strength.logic);
    if (this.#token.kind === 'end') return whole;
    return this.#unexpected(this.#isSymbol(')') ? 'a ( before this )' : 'an operator or the end');
  }

  /** An expression without operators looser than that, unless they are in parentheses. */
  #operand(loosest: number): Expression {
    this.#depth += 1;
    if (this.#depth > nestingMax) this.#tooDeep(this.#token);
    let left = this.#prefix();
    let height = this.#height;
    let chain: (Logic & { readonly rest: LogicLink[] }) | undefined;
    for (;;) {
      const operator = this.#token;
      const negated = this.#isWord('NOT');
      const infix = this.#infix(negated);
      const bindsAs = infix && strength[infix.kind];
      if (infix === undefined || bindsAs === undefined || bindsAs < loosest) break;
      const position = operator.start;
      this.#advance();
      if (negated) this.#advance();
      switch (infix.kind) {
        case 'logic': {
          const link = { operator: infix.operator, operand: this.#operand(bindsAs + 1), position };
          if (chain === undefined) left = chain = { kind: 'logic', first: left, rest: [link], position };
          else chain.rest.push(link);
          break;
        }
        case 'comparison':
          left = { kind: infix.kind, operator: infix.operator, left, right: this.#operand(bindsAs + 1), position };
          break;
        case 'additive':
        case 'multiplicative':
          left = { kind: 'arithmetic', operator: infix.operator, left, right: this.#operand(bindsAs + 1), position };
          break;
        case 'in':
          left = { kind: infix.kind, negated, operand: left, elements: this.#set(), position };
          break;
        case 'like':
          left = { kind: infix.kind, negated, operand: left, pattern: this.#pattern(), position };
          break;
      }
      // A further link makes a chain broader, not higher.
      const below = chain !== undefined && chain.rest.length > 1 ? height - 1 : height;
      height = 1 + Math.max(below, this.#height);
      if (height > nestingMax) this.#tooDeep(operator);
    }
    this.#depth -= 1;
    this.#height = height;
    return left;
  }

  /** The operator that continues an expression here; undefined where it ends. */
  #infix(negated: boolean): Infix | undefined {
    if (!negated) return infixOf(this.#token);
    const after = readToken(this.#expression, this.#token.end);
    const infix = infixOf(after);
    if (infix?.kind === 'in' || infix?.kind === 'like') return infix;
    this.#token = after;
    return this.#unexpected('LIKE or IN after NOT');
  }

  #prefix(): Expression {
    const token = this.#token;
    const position = token.start;
    switch (token.kind) {
      case 'string':
        this.#advance();
        return this.#leaf({ kind: 'literal', value: token.value, position });
      case 'integer':
        return this.#integer('', position);
      case 'word':
        return this.#word(token);
      case 'symbol':
        break;
      case 'end':
        return this.#unexpected(valueExpected);
    }
    if (token.text === '(') {
      this.#advance();
      const nested = this.#operand(strength.logic);
      this.#close('an operator or )');
      return nested;
    }
    if (token.text !== '-' && token.text !== '+') return this.#unexpected(valueExpected);
    this.#advance();
    // A sign and the digits right after it are one literal, so that the smallest Integer can be written.
    if (this.#token.kind === 'integer' && this.#token.start === token.end) return this.#integer(token.text, position);
    if (token.text === '+') return this.#unexpected('digits right after +');
    return this.#unary('negate', position);
  }

  #word(token: Token): Expression {
    const { text, value: upper, start: position } = token;
    this.#advance();
    const literal = literalWords[upper];
    if (literal !== undefined) return this.#leaf({ kind: 'literal', value: literal, position });
    if (upper === 'NOT') return this.#unary('not', position);
    if (upper === 'EXISTS') return this.#exists(position);
    if (keywords.has(upper)) return this.#fail(token, `expected ${valueExpected}, found ${shownToken(token)}`);
    if (this.#isSymbol('(')) return this.#call(token);
    if (text.includes('_')) {
      return this.#fail(token, `expected the name of an attribute, of letters and digits, found ${shownToken(token)}`);
    }
    return this.#leaf({ kind: 'attribute', name: text.toLowerCase(), position });
  }

  #unary(kind: 'not' | 'negate', position: number): Expression {
    const operand = this.#operand(strength.unary);
    return this.#above({ kind, operand, position });
  }

  #integer(sign: string, position: number): Expression {
    const digits = this.#token.text;
    const value = Number(sign + digits);
    if (value < integerMin || value > integerMax) {
      this.#fail(
        this.#token,
        `expected an Integer from ${integerMin} to ${integerMax}, found ${sign}${digits}`,
        position,
      );
    }
    this.#advance();
    return this.#leaf({ kind: 'literal', value, position });
  }

  #exists(position: number): Expression {
    const { kind, text, value } = this.#token;
    const isName = (kind === 'word' && !keywords.has(value) && !text.includes('_')) || kind === 'integer';
    if (!isName) {
      const hint = this.#isSymbol('(') ? ' without parentheses' : '';
      return this.#unexpected(`the name of an attribute${hint} after EXISTS`);
    }
    this.#advance();
    return this.#leaf({ kind: 'exists', name: text.toLowerCase(), position });
  }

  #call(token: Token): Expression {
    if (!/^[A-Z][A-Z_]*$/.test(token.value)) {
      this.#fail(token, `expected the name of a function, of letters and _, found ${shownToken(token)}`);
    }
    const name = token.value;
    this.#advance();
    if (this.#isSymbol(')')) {
      this.#advance();
      return this.#leaf({ kind: 'call', name, arguments: [], position: token.start });
    }
    return this.#above({ kind: 'call', name, arguments: this.#list(), position: token.start });
  }

  #set(): Expression[] {
    if (!this.#isSymbol('(')) return this.#unexpected('( and the elements of a set after IN');
    this.#advance();
    return this.#list();
  }

  #pattern(): string {
    const { kind, value } = this.#token;
    if (kind !== 'string') return this.#unexpected('a pattern in quotes after LIKE');
    this.#advance();
    return value;
  }

  /** Expressions with commas between them, at least one, and the parenthesis after them. */
  #list(): Expression[] {
    const list: Expression[] = [];
    let height = 0;
    for (;;) {
      list.push(this.#operand(strength.logic));
      height = Math.max(height, this.#height);
      if (!this.#isSymbol(',')) break;
      this.#advance();
    }
    this.#close('an operator, a comma or )');
    this.#height = height;
    return list;
  }

  #close(expected: string): void {
    if (!this.#isSymbol(')')) this.#unexpected(expected);
    this.#advance();
  }

  #leaf(node: Expression): Expression {
    this.#height = 1;
    return node;
  }

  /** A node above the one that was read last. */
  #above(node: Expression): Expression {
    this.#height += 1;
    if (this.#height > nestingMax) this.#tooDeep(this.#token);
    return node;
  }

  #advance(): void {
    this.#token = readToken(this.#expression, this.#token.end);
  }

  #isSymbol(text: string): boolean {
    return this.#token.kind === 'symbol' && this.#token.text === text;
  }

  #isWord(word: string): boolean {
    return this.#token.kind === 'word' && this.#token.value === word;
  }

  #tooDeep(at: Token): never {
    return this.#fail(at, `nested more than ${nestingMax} deep`);
  }

  #unexpected(expected: string): never {
    return this.#fail(this.#token, `expected ${expected}, found ${shownToken(this.#token)}`);
  }

  #fail(token: Token, problem: string, position = token.start): never {
    throw new CesqlSyntaxError(this.#expression, position, problem);
  }
}

function infixOf({ kind, text, value }: Token): Infix | undefined {
  if (kind === 'word') return infixes.get(value);
  return kind === 'symbol' ? infixes.get(text) : undefined;
}
