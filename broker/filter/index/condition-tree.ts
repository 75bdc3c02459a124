import { Affixes } from './affixes.ts';
import type { Condition } from './term.ts';

/** The attributes of an event by their names. */
export type AttributeTexts = Readonly<Record<string, string | undefined>>;

/**
 * Items, each under some conditions, that finds those whose conditions the attributes meet, without looking at others.
 * A node has, by attribute, the nodes that one more condition leads to: by an equal value in a hash table, by how the
 * value begins or ends in a radix tree. So of all that a node leads to, only what holds is looked at.
 */
export class ConditionTree<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #root = new Node<T>();

  /** @param compare the order of items that are under the same conditions */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get isEmpty(): boolean {
    return this.#root.isEmpty;
  }

  /** @param conditions in an order in which many items share the first ones */
  add(conditions: readonly Condition[], item: T): void {
    let node = this.#root;
    for (const condition of conditions) node = node.below(condition) ?? node.makeBelow(condition);
    node.items.splice(this.#placeOf(item, node.items), 0, item);
  }

  /** @param conditions as they were when it was added */
  remove(conditions: readonly Condition[], item: T): void {
    const path: { readonly node: Node<T>; readonly condition: Condition }[] = [];
    let node = this.#root;
    for (const condition of conditions) {
      path.push({ node, condition });
      const below = node.below(condition);
      if (below === undefined) return;
      node = below;
    }
    const place = node.items.indexOf(item, this.#placeOf(item, node.items));
    if (place >= 0) node.items.splice(place, 1);
    for (const { node: above, condition } of path.toReversed()) {
      if (!node.isEmpty) return;
      above.removeBelow(condition);
      node = above;
    }
  }

  /** The items whose conditions are met; one that was added more than once may be among them as often. */
  find(attributes: AttributeTexts): T[] {
    const found: T[] = [];
    collect(this.#root, attributes, found);
    return found;
  }

  /** The first place whose item does not come before this one. */
  #placeOf(item: T, items: readonly T[]): number {
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(items[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

class Node<T> {
  /** Whose last condition leads here. */
  readonly items: T[] = [];
  /** By attribute; null where no condition leads on, as there are many such nodes. */
  steps: Map<string, Steps<T>> | null = null;

  get isEmpty(): boolean {
    return this.items.length === 0 && this.steps === null;
  }

  below({ attribute, kind, text }: Condition): Node<T> | undefined {
    return this.steps?.get(attribute)?.[kind]?.get(text);
  }

  makeBelow({ attribute, kind, text }: Condition): Node<T> {
    this.steps ??= new Map();
    const steps = this.steps.get(attribute) ?? { equals: null, prefix: null, suffix: null };
    this.steps.set(attribute, steps);
    const made = new Node<T>();
    if (kind === 'equals') {
      steps.equals ??= new Map();
      steps.equals.set(text, made);
    } else {
      steps[kind] ??= new Affixes(kind);
      steps[kind].set(text, made);
    }
    return made;
  }

  removeBelow({ attribute, kind, text }: Condition): void {
    const steps = this.steps?.get(attribute);
    if (!this.steps || !steps) return;
    steps[kind]?.delete(text);
    if (kind === 'equals') {
      if (steps.equals?.size === 0) steps.equals = null;
    } else if (steps[kind]?.isEmpty) {
      steps[kind] = null;
    }
    if (steps.equals || steps.prefix || steps.suffix) return;
    this.steps.delete(attribute);
    if (this.steps.size === 0) this.steps = null;
  }
}

/** Where conditions on one attribute lead to; null where there are none of the kind. */
interface Steps<T> {
  equals: Map<string, Node<T>> | null;
  prefix: Affixes<Node<T>> | null;
  suffix: Affixes<Node<T>> | null;
}

/** Where there are more attributes than this, the event has fewer. */
const stepsMax = 8;

/** The recursion is as deep as the longest list of conditions. */
function collect<T>({ items, steps }: Node<T>, attributes: AttributeTexts, found: T[]): void {
  for (const item of items) found.push(item);
  if (steps === null) return;
  if (steps.size <= stepsMax) {
    for (const [name, own] of steps) step(own, attributes[name], attributes, found);
  } else {
    for (const name in attributes) {
      const own = steps.get(name);
      if (own !== undefined) step(own, attributes[name], attributes, found);
    }
  }
}

function step<T>(
  { equals, prefix, suffix }: Steps<T>,
  value: string | undefined,
  attributes: AttributeTexts,
  found: T[],
): void {
  if (value === undefined) return;
  const equal = equals?.get(value);
  if (equal !== undefined) collect(equal, attributes, found);
  if (prefix !== null) for (const node of prefix.matching(value)) collect(node, attributes, found);
  if (suffix !== null) for (const node of suffix.matching(value)) collect(node, attributes, found);
}
