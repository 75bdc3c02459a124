import type { Filter } from '../../trigger/trigger.ts';
import { type Expression, parse } from '../cesql/cesql.ts';
import type { InOperation, LikeOperation, Logic, LogicOperator } from '../cesql/syntax.ts';
import { alwaysRead, neededBy } from './cesql-reads.ts';
import { textsOf } from './like-texts.ts';
import { anyPart, type Condition, everyPart, type Term, unknown } from './term.ts';

type CesqlFilter = Extract<Filter, { dialect: 'cesql' }>;

/**
 * The terms of an expression. An event's attributes are Strings, and it passes only where the expression is TRUE without
 * an error: so what is always read must be there (CESQL 1.0, 3.2), whatever becomes of it.
 * Pure. @throws CesqlSyntaxError
 */
export function expressionTerms(filter: CesqlFilter): readonly Term[] {
  return nodeTerms(parse(filter.expression), filter);
}

/** The terms of a node's being TRUE without an error. Their rest is nothing or the whole filter. */
function nodeTerms(node: Expression, filter: CesqlFilter): readonly Term[] {
  switch (node.kind) {
    case 'literal':
      if (typeof node.value !== 'boolean') return [unknown(filter)];
      return node.value ? [proven()] : [];
    case 'exists':
      return [proven(presence(node.name))];
    case 'comparison': {
      const condition = node.operator === '=' ? equality(node.left, node.right) : undefined;
      return [condition ? proven(condition) : readTerm(node, filter)];
    }
    case 'like':
      return [likeTerm(node, filter) ?? readTerm(node, filter)];
    case 'in':
      return inTerms(node, filter) ?? [readTerm(node, filter)];
    case 'logic':
      return logicTerms(node, filter);
    default:
      return [readTerm(node, filter)];
  }
}

/** Of a node of which nothing is known but what it reads. */
function readTerm(node: Expression, filter: CesqlFilter): Term {
  return unproven(filter, ...[...new Set(alwaysRead(node))].map(presence));
}

function equality(left: Expression, right: Expression): Condition | undefined {
  const [attribute, literal] = left.kind === 'attribute' ? [left, right] : [right, left];
  if (attribute.kind !== 'attribute' || literal.kind !== 'literal' || typeof literal.value !== 'string')
    return undefined;
  return { attribute: attribute.name, kind: 'equals', text: literal.value };
}

function likeTerm({ negated, operand, pattern }: LikeOperation, filter: CesqlFilter): Term | undefined {
  if (negated || operand.kind !== 'attribute') return undefined;
  const attribute = operand.name;
  const { first, last, hasWildcard, hasMore } = textsOf(pattern);
  if (!hasWildcard) return proven({ attribute, kind: 'equals', text: first });
  const begins: Condition = { attribute, kind: 'prefix', text: first };
  const ends: Condition = { attribute, kind: 'suffix', text: last };
  if (hasMore) return unproven(filter, begins, ends);
  if (last === '') return proven(begins);
  // Where there are both, they may overlap in a text that is too short.
  return first === '' ? proven(ends) : unproven(filter, begins, ends);
}

function inTerms({ negated, operand, elements }: InOperation, filter: CesqlFilter): readonly Term[] | undefined {
  if (negated || operand.kind !== 'attribute') return undefined;
  const texts = new Set<string>();
  for (const element of elements) {
    if (element.kind !== 'literal') return undefined;
    // Elements are cast to the type on the left.
    texts.add(String(element.value));
  }
  const terms = [...texts].map((text) => proven({ attribute: operand.name, kind: 'equals', text }));
  return anyPart([{ terms, whole: filter }], filter);
}

/** Of AND and OR in turn, without parentheses: each costs as much as there are terms by then. */
const runsMax = 32;

function logicTerms(node: Logic, filter: CesqlFilter): readonly Term[] {
  const runs = runsOf(node);
  if (runs.length > runsMax) return [readTerm(node, filter)];
  const reads = alwaysRead(node.first).map(presence);
  let terms = nodeTerms(node.first, filter);
  let needed = neededBy(node.first);
  for (const { operator, operands } of runs) {
    const parts = [{ terms, whole: filter }];
    for (const operand of operands) {
      let own = nodeTerms(operand, filter);
      if (operator !== 'AND') own = own.map((term) => ({ ...term, conditions: [...term.conditions, ...reads] }));
      // An operand of OR counts only if those before it have no error.
      if (operator === 'OR') own = own.map((term) => (isThere(needed, term) ? term : withWhole(term, filter)));
      parts.push({ terms: own, whole: filter });
      needed = unionOf(needed, neededBy(operand));
    }
    terms = operator === 'AND' ? everyPart(parts) : anyPart(parts, filter);
    if (operator === 'XOR') terms = terms.map((term) => withWhole(term, filter));
  }
  return terms;
}

interface Run {
  readonly operator: LogicOperator;
  readonly operands: Expression[];
}

/** The links of a chain, those together that have one operator. */
function runsOf({ rest }: Logic): Run[] {
  const runs: Run[] = [];
  for (const { operator, operand } of rest) {
    const last = runs.at(-1);
    if (last?.operator === operator) last.operands.push(operand);
    else runs.push({ operator, operands: [operand] });
  }
  return runs;
}

/** Whether the conditions of the term, or every event, have these attributes. */
function isThere(needed: ReadonlySet<string> | null, { conditions }: Term): boolean {
  if (needed === null) return false;
  return [...needed].every((name) => conditions.some(({ attribute }) => attribute === name));
}

/** More than this are hardly all there; and a chain may have thousands. */
const neededMax = 8;

function unionOf(a: ReadonlySet<string> | null, b: ReadonlySet<string> | null): ReadonlySet<string> | null {
  if (a === null || b === null) return null;
  const union = new Set([...a, ...b]);
  return union.size <= neededMax ? union : null;
}

function presence(attribute: string): Condition {
  return { attribute, kind: 'prefix', text: '' };
}

function proven(...conditions: Condition[]): Term {
  return { conditions, rest: [] };
}

function unproven(filter: CesqlFilter, ...conditions: Condition[]): Term {
  return { conditions, rest: [filter] };
}

function withWhole({ conditions }: Term, filter: CesqlFilter): Term {
  return unproven(filter, ...conditions);
}
