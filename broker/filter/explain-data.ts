import type { ASTNode } from '@marcbachmann/cel-js';
import type { CloudEvent } from '../../event/event.ts';
import { parseCel } from './data/cel.ts';
import { compileNode } from './data/closures.ts';
import { compileDataFilter } from './data/data-filter.ts';
import { Evaluation, UndecidedError } from './data/evaluation.ts';
import { EventData } from './data/event-data.ts';
import { Failure, Tagged, TypeValue, type Value } from './data/value.ts';
import type { JudgedPart } from './explain-cesql.ts';

/** What a data filter says of an event, and of each of its parts that `&&` joins. */
export type JudgedData =
  | { readonly kind: 'decided'; readonly parts: readonly JudgedPart[] }
  | { readonly kind: 'undecided'; readonly reason: string };

/**
 * The parts of a data filter, each as it comes out for the event: the event passes where all do. Pure; never throws for
 * an expression that `compileDataFilter` takes.
 */
export function judgeData(expression: string, event: CloudEvent): JudgedData {
  const data = new EventData(event);
  const verdict = compileDataFilter(expression).judge(data);
  if (verdict.kind === 'undecided') return { kind: 'undecided', reason: verdict.reason };
  // One bound for all parts, as for the whole: the parts that it did without could take as much again each.
  const parts = new Evaluation(data);
  const paths = new Evaluation(data);
  return {
    kind: 'decided',
    parts: conjunctsOf(parseCel(expression).tree).map((node) => partOf(node, expression, parts, paths)),
  };
}

function conjunctsOf(node: ASTNode): ASTNode[] {
  return node.op === '&&' ? node.args.flatMap(conjunctsOf) : [node];
}

function partOf(node: ASTNode, expression: string, ofParts: Evaluation, ofPaths: Evaluation): JudgedPart {
  const value = evaluate(node, ofParts);
  const isError = value instanceof Failure;
  const outcome = isError ? `can't be evaluated: ${value.message}` : value === true ? 'holds' : 'does not hold';
  const seen: Record<string, string | null> = {};
  for (const path of pathsIn(node)) {
    const found = evaluate(path, ofPaths);
    seen[textOf(path, expression)] = found instanceof Failure ? null : shownData(found);
  }
  const saw = Object.entries(seen).map(([path, text]) => ({ name: path, text }));
  return { text: textOf(node, expression), passes: value === true, isError, outcome, seen, saw };
}

function textOf({ start, end }: ASTNode, expression: string): string {
  return expression.slice(start, end).replaceAll(/\s+/g, ' ');
}

function evaluate(node: ASTNode, evaluation: Evaluation): Value | Failure {
  try {
    return compileNode(node)(evaluation);
  } catch (error) {
    if (error instanceof UndecidedError) return new Failure(error.message, node.start);
    throw error;
  }
}

/** The fields of the data and the attributes that it names, as `data.order.total`. */
function pathsIn(node: ASTNode): ASTNode[] {
  if (isPath(node)) return [node];
  const parts: readonly unknown[] = Array.isArray(node.args) ? node.args.flat(2) : [node.args];
  return parts.flatMap((part) => (isNode(part) ? pathsIn(part) : []));
}

function isPath(node: ASTNode): boolean {
  if (node.op === 'id') return node.args === 'data' || node.args === 'event';
  if (node.op === '.') return isPath(node.args[0]);
  return node.op === '[]' && isPath(node.args[0]) && node.args[1].op === 'value';
}

function isNode(part: unknown): part is ASTNode {
  return typeof part === 'object' && part !== null && 'op' in part && 'args' in part;
}

/** A list or an object of the data can be as long as the data. */
const shownCharactersMax = 200;

/** As JSON. */
function shownData(value: Value): string {
  const text = JSON.stringify(value, (_name, inner: unknown) => {
    if (inner instanceof Tagged || typeof inner === 'bigint')
      return Number(inner instanceof Tagged ? inner.value : inner);
    return inner instanceof TypeValue ? inner.name : inner;
  });
  return text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
}
