import type { Expression } from '../cesql/cesql.ts';
import { requiredAttributes } from './term.ts';

/** Attributes that an expression reads whatever the event is, so that it has an error where one of them is missing. */
export function alwaysRead(node: Expression): string[] {
  switch (node.kind) {
    case 'literal':
    case 'exists':
      return [];
    case 'attribute':
      return [node.name];
    case 'not':
    case 'negate':
    case 'like':
      return alwaysRead(node.operand);
    case 'logic':
      // The others may be passed over.
      return alwaysRead(node.first);
    case 'comparison':
    case 'arithmetic':
      return [...alwaysRead(node.left), ...alwaysRead(node.right)];
    case 'in':
      return [node.operand, ...node.elements].flatMap(alwaysRead);
    case 'call':
      return node.arguments.flatMap(alwaysRead);
  }
}

/**
 * Attributes, beside those that every event has, that must be there for a Boolean expression to have no error. Null
 * where it may have one all the same.
 */
export function neededBy(node: Expression): ReadonlySet<string> | null {
  switch (node.kind) {
    case 'literal':
      return typeof node.value === 'boolean' ? new Set() : null;
    case 'exists':
      return new Set();
    case 'comparison': {
      const { operator, left, right } = node;
      if (operator !== '=' && operator !== '!=') return null;
      if (left.kind === 'attribute' && isText(right)) return readOf(left.name);
      return right.kind === 'attribute' && isText(left) ? readOf(right.name) : null;
    }
    case 'like':
      return node.operand.kind === 'attribute' ? readOf(node.operand.name) : null;
    case 'in': {
      const isKnown = node.operand.kind === 'attribute' && node.elements.every(({ kind }) => kind === 'literal');
      return isKnown ? readOf(node.operand.name) : null;
    }
    case 'not':
      return neededBy(node.operand);
    case 'logic': {
      const needed = new Set<string>();
      for (const operand of [node.first, ...node.rest.map((link) => link.operand)]) {
        const own = neededBy(operand);
        if (own === null) return null;
        for (const name of own) needed.add(name);
      }
      return needed;
    }
    default:
      return null;
  }
}

function isText(node: Expression): boolean {
  return node.kind === 'literal' && typeof node.value === 'string';
}

function readOf(name: string): ReadonlySet<string> {
  return new Set(requiredAttributes.has(name) ? [] : [name]);
}
