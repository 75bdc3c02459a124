import { shown } from '../../event/errors.ts';
import type { CloudEvent } from '../../event/event.ts';
import { compile, type Expression, parse, print } from './cesql/cesql.ts';
import { cast, castProblem } from './cesql/value.ts';

/** A part of an expression, all of which must be TRUE for the whole to be. */
export interface JudgedPart {
  /** As CESQL, in one form: keywords in upper case. */
  readonly text: string;
  readonly passes: boolean;
  /** Whether it has no value for this event. */
  readonly isError: boolean;
  /** `holds`, `does not hold`, or `can't be evaluated: ` and the error. */
  readonly outcome: string;
  /** What it looks at: attributes with their values, or paths of the data as JSON; null for what the event lacks. */
  readonly seen: Readonly<Record<string, string | null>>;
  /** The same to be read, in quotes and cut. */
  readonly saw: readonly { readonly name: string; readonly text: string | null }[];
}

/**
 * The parts of an expression that AND joins, each as it comes out for the event: the expression passes where all do.
 * Pure; never throws for an expression that `compileFilter` takes.
 */
export function judgeExpression(expression: string, attributes: CloudEvent['attributes']): JudgedPart[] {
  return conjunctsOf(parse(expression)).map((node) => {
    const text = print(node);
    const { value, errors } = compile(text).evaluate(attributes);
    const seen = Object.fromEntries([...attributesIn(node)].map((name) => [name, attributes[name] ?? null]));
    const result = cast(value, 'Boolean');
    const problem = errors[0]?.message ?? (result === undefined ? castProblem(value, 'Boolean') : null);
    const isError = problem !== null;
    const outcome = isError ? `can't be evaluated: ${problem}` : result === true ? 'holds' : 'does not hold';
    const saw = Object.entries(seen).map(([name, value]) => ({
      name,
      text: value && shown(value, shownCharactersMax),
    }));
    return { text, passes: !isError && result === true, isError, outcome, seen, saw };
  });
}

/** Two long values often differ at their ends, so more is shown of them than in most messages. */
export const shownCharactersMax = 200;

/** AND, OR and XOR bind equally, from left to right: in `a OR b AND c` what AND joins is `a OR b` and `c`. */
function conjunctsOf(node: Expression): Expression[] {
  if (node.kind !== 'logic') return [node];
  const { first, rest, position } = node;
  const lastOther = rest.findLastIndex(({ operator }) => operator !== 'AND');
  const tail = rest.slice(lastOther + 1).flatMap(({ operand }) => conjunctsOf(operand));
  const head =
    lastOther === -1 ? first : { kind: 'logic' as const, first, rest: rest.slice(0, lastOther + 1), position };
  return [...(lastOther === -1 ? conjunctsOf(head) : [head]), ...tail];
}

function attributesIn(node: Expression, found: Set<string> = new Set()): Set<string> {
  switch (node.kind) {
    case 'attribute':
    case 'exists':
      found.add(node.name);
      break;
    case 'not':
    case 'negate':
    case 'like':
      attributesIn(node.operand, found);
      break;
    case 'logic':
      for (const part of [node.first, ...node.rest.map(({ operand }) => operand)]) attributesIn(part, found);
      break;
    case 'comparison':
    case 'arithmetic':
      for (const part of [node.left, node.right]) attributesIn(part, found);
      break;
    case 'in':
      for (const part of [node.operand, ...node.elements]) attributesIn(part, found);
      break;
    case 'call':
      for (const part of node.arguments) attributesIn(part, found);
      break;
    case 'literal':
      break;
  }
  return found;
}
