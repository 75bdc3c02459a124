import { type Closures, missingFunction } from './closures.ts';
import { type CesqlError, type CesqlErrorKind, CesqlSyntaxError } from './errors.ts';
import type { FunctionTable } from './function-table.ts';
import { compileLike } from './like.ts';
import { staticType } from './static-type.ts';
import type { Comparison, Expression, FunctionCall, Logic } from './syntax.ts';
import { cast, castProblem, shownValue, type Type, type Value } from './value.ts';

/** Something in an expression that is allowed, and most likely not meant. */
export interface CesqlWarning {
  readonly message: string;
  /** Where in the expression: an offset in UTF-16 units, from 0. */
  readonly position: number;
}

/** What is known of a part before there is an event. */
interface Known {
  readonly node: Expression;
  /** Attributes count as Strings: a filter sees them in that form. */
  readonly type: Type;
  /** Undefined where it depends on the event. */
  readonly value: Value | undefined;
}

/**
 * Finds in the expression of a filter what can't be meant: parts that are an error for every event, comparisons of
 * types that never fit, a value that is no Boolean.
 */
export class FilterCheck {
  readonly warnings: CesqlWarning[] = [];
  readonly #expression: string;
  readonly #functions: FunctionTable;
  readonly #closures: Closures;

  constructor(expression: string, functions: FunctionTable, closures: Closures) {
    this.#expression = expression;
    this.#functions = functions;
    this.#closures = closures;
  }

  /** @throws CesqlSyntaxError that points at the part */
  whole(root: Expression): void {
    const { type, value } = this.#visit(root);
    if (type !== 'Boolean') {
      const hint = root.kind === 'attribute' ? `; write BOOL(${root.name}), or compare it with a value` : '';
      throw this.#refusal(root, 'CastError', `expected an expression that gives a Boolean, this gives ${type}${hint}`);
    }
    if (value === undefined) return;
    const passing = value === true ? 'every event' : 'no event';
    const message = `passes ${passing}, as it looks at no attribute; the name of an attribute has no quotes`;
    this.warnings.push({ message, position: root.position });
  }

  #visit(node: Expression): Known {
    switch (node.kind) {
      case 'literal':
        return this.#known(node, node.value);
      case 'attribute':
      case 'exists':
        if (node.name === 'data') throw this.#refusal(node, 'MissingAttributeError', dataProblem);
        return this.#known(node, undefined);
      case 'not':
        return this.#operation(node, [this.#visitAs('Boolean', node.operand)]);
      case 'negate':
        return this.#operation(node, [this.#visitAs('Integer', node.operand)]);
      case 'logic': {
        this.#warnOfMixed(node);
        const operands = [node.first, ...node.rest.map(({ operand }) => operand)];
        return this.#operation(
          node,
          operands.map((operand) => this.#visitAs('Boolean', operand)),
        );
      }
      case 'arithmetic': {
        const operands = [this.#visitAs('Integer', node.left), this.#visitAs('Integer', node.right)];
        const divisor = node.operator === '/' || node.operator === '%' ? operands[1]?.value : undefined;
        if (divisor !== undefined && cast(divisor, 'Integer') === 0) {
          throw this.#refusal(node, 'MathError', 'nothing can be divided by 0');
        }
        return this.#operation(node, operands);
      }
      case 'comparison':
        return this.#operation(node, this.#comparison(node));
      case 'like': {
        const operand = this.#visit(node.operand);
        const matches = compileLike(node.pattern);
        if (operand.type === 'Boolean' && !matches('true') && !matches('false')) {
          const problem = `a Boolean is never like ${shownValue(node.pattern)}${unaryHint(operand.node, 'LIKE')}`;
          throw this.#refusal(node, 'CastError', problem);
        }
        return this.#operation(node, [operand]);
      }
      case 'in': {
        const operand = this.#visit(node.operand);
        const elements = node.elements.map((element) => this.#visit(element));
        for (const element of elements) this.#checkCast(element, operand.type, unaryHint(operand.node, 'IN'));
        return this.#operation(node, [operand, ...elements]);
      }
      case 'call':
        return this.#operation(node, this.#arguments(node));
    }
  }

  #visitAs(type: Type, node: Expression): Known {
    const known = this.#visit(node);
    this.#checkCast(known, type);
    return known;
  }

  #comparison({ operator, left, right }: Comparison): Known[] {
    if (operator !== '=' && operator !== '!=') return [this.#visitAs('Integer', left), this.#visitAs('Integer', right)];
    const [x, y] = [this.#visit(left), this.#visit(right)];
    this.#checkCast(x, y.type);
    if (x.value !== undefined || typeof y.value !== 'string' || x.type === 'String') return [x, y];
    // Here x is cast to a String, and only some Strings come of that.
    const back = cast(y.value, x.type);
    if (back === undefined || cast(back, 'String') !== y.value) {
      const problem = `the ${x.type} on the left never equals the String ${shownValue(y.value)}`;
      throw this.#refusal(right, 'CastError', `${problem}${unaryHint(left, operator)}`);
    }
    return [x, y];
  }

  #arguments(node: FunctionCall): Known[] {
    const called = this.#functions.find(node.name, node.arguments.length);
    if (called === undefined) {
      throw this.#refusal(node, 'MissingFunctionError', missingFunction(node, this.#functions));
    }
    return node.arguments.map((argument, index) => {
      const type = called.parameters[index] ?? called.variadic ?? 'Any';
      return type === 'Any' ? this.#visit(argument) : this.#visitAs(type, argument);
    });
  }

  /** What is known of a node by its operands; one of constants only is evaluated, once and for all. */
  #operation(node: Expression, operands: readonly Known[]): Known {
    if (operands.some(({ value }) => value === undefined)) return this.#known(node, undefined);
    const errors: CesqlError[] = [];
    const value = this.#closures.compile(node)({}, errors);
    const [error] = errors;
    if (error !== undefined) {
      throw new CesqlSyntaxError(this.#expression, error.position, error.message, error.kind);
    }
    if (value !== undefined) this.#closures.constants.set(node, value);
    return this.#known(node, value);
  }

  #known(node: Expression, value: Value | undefined): Known {
    return { node, type: staticType(node, this.#functions) ?? 'String', value };
  }

  #checkCast({ node, value }: Known, type: Type, hint = ''): void {
    if (value === undefined || cast(value, type) !== undefined) return;
    throw this.#refusal(node, 'CastError', `${castProblem(value, type)}${hint}`);
  }

  /** Whoever knows SQL reads AND before OR; whoever knows Knative, from right to left. */
  #warnOfMixed({ rest }: Logic): void {
    const other = rest.find(({ operator }) => operator !== rest[0]?.operator);
    if (other === undefined) return;
    const message = `AND, OR and XOR bind equally here, from left to right: put what belongs together in parentheses`;
    this.warnings.push({ message, position: other.position });
  }

  #refusal(node: Expression, kind: CesqlErrorKind, problem: string): CesqlSyntaxError {
    return new CesqlSyntaxError(this.#expression, node.position, problem, kind);
  }
}

const dataProblem = 'data is no attribute: an expression sees the attributes of an event only';

/** NOT and - are where SQL and other languages lead astray. */
function unaryHint(node: Expression, operator: string): string {
  return node.kind === 'not' ? `; NOT binds tighter than ${operator}: put what it negates in parentheses` : '';
}
