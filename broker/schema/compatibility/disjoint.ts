import { common, kindsOf, listed, propertyNodes, requiredNames } from './facts.ts';
import type { Prover } from './prove.ts';
import { child, type Flat, indexes, type Node } from './side.ts';

/** How deep in values it is looked for what sets them apart. */
const depthMax = 3;

/**
 * Whether it is certain that no value is valid under both.
 * @param narrow of the narrower side
 * @param node of the wider side
 */
export function isDisjoint(prover: Prover, narrow: Flat, node: Node, depth = 0): boolean {
  const { narrow: left, wide: right } = prover;
  const other = right.flatten([node]);
  const [leftKinds, rightKinds] = [kindsOf(left, narrow), kindsOf(right, other)];
  const both = common(leftKinds, rightKinds);
  if (both.size === 0) return true;
  const leftValues = listed(narrow, leftKinds);
  if (leftValues?.every((value) => right.accepts(node, value) === false)) return true;
  const rightValues = listed(other, rightKinds);
  const isRefused = (value: unknown): boolean => narrow.parts.some((part) => left.accepts(part, value) === false);
  if (rightValues?.every(isRefused)) return true;
  for (const part of other.parts) {
    for (const keyword of ['anyOf', 'oneOf']) {
      const branches = indexes(part.schema[keyword]);
      if (branches.length === 0 || depth >= depthMax) continue;
      if (branches.every((index) => isDisjoint(prover, narrow, child(part, keyword, index), depth + 1))) return true;
    }
  }
  if (both.size > 1 || !both.has('object') || depth >= depthMax) return false;
  // A property that both must have, with values that only one of them can have.
  const names = new Set([...requiredNames(narrow), ...requiredNames(other)]);
  return [...names].some((name) => {
    const inside = left.flatten(narrow.parts.flatMap((part) => propertyNodes(part, name)));
    const others = other.parts.flatMap((part) => propertyNodes(part, name));
    return others.some((one) => isDisjoint(prover, inside, one, depth + 1));
  });
}
