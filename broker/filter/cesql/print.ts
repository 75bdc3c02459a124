import { type Expression, strength } from './syntax.ts';

/**
 * The expression that a tree stands for, in one form: keywords in upper case, parentheses where they are needed.
 * `parse` makes the same tree of it, but for the positions.
 * @throws TypeError where the tree has a string that no literal can stand for (one that ends in a single backslash),
 *   which `parse` never gives
 */
export function print(node: Expression): string {
  switch (node.kind) {
    case 'literal':
      return typeof node.value === 'string' ? quote(node.value) : String(node.value).toUpperCase();
    case 'attribute':
      return node.name;
    case 'exists':
      return `EXISTS ${node.name}`;
    case 'not':
      return `NOT ${operand(node.operand, strength.unary)}`;
    case 'negate': {
      const text = operand(node.operand, strength.unary);
      // A sign right before digits would be part of them.
      return /^[0-9]+$/.test(text) ? `-(${text})` : `-${text}`;
    }
    case 'logic': {
      const links = node.rest.map((link) => ` ${link.operator} ${operand(link.operand, strength.logic + 1)}`);
      return `${operand(node.first, strength.logic + 1)}${links.join('')}`;
    }
    case 'comparison':
    case 'arithmetic': {
      const own = strengthOf(node);
      return `${operand(node.left, own)} ${node.operator} ${operand(node.right, own + 1)}`;
    }
    case 'like':
      return `${operand(node.operand, strength.like)} ${node.negated ? 'NOT ' : ''}LIKE ${quote(node.pattern)}`;
    case 'in': {
      const elements = node.elements.map(print).join(', ');
      return `${operand(node.operand, strength.in)} ${node.negated ? 'NOT ' : ''}IN (${elements})`;
    }
    case 'call':
      return `${node.name}(${node.arguments.map(print).join(', ')})`;
  }
}

function operand(node: Expression, loosest: number): string {
  return strengthOf(node) < loosest ? `(${print(node)})` : print(node);
}

function strengthOf(node: Expression): number {
  switch (node.kind) {
    case 'logic':
    case 'comparison':
    case 'in':
    case 'like':
      return strength[node.kind];
    case 'arithmetic':
      return node.operator === '+' || node.operator === '-' ? strength.additive : strength.multiplicative;
    default:
      return strength.unary;
  }
}

function quote(text: string): string {
  // A backslash escapes what comes after it, unless an odd number of them stands before it.
  const escapes = [...text.matchAll(/(?<!\\)\\(?:\\\\)*(?!\\)/g)];
  const escaped = escapes.map(({ 0: backslashes, index }) => text[index + backslashes.length]);
  const mark = ["'", '"'].find((one) => !escaped.includes(one) && !escaped.includes(undefined));
  if (mark !== undefined) return `${mark}${text.replaceAll(mark, `\\${mark}`)}${mark}`;
  throw new TypeError(`no CESQL literal stands for the string ${JSON.stringify(text)}`);
}
