/**
 * Texts with a value each, that finds those with which another text begins, or ends, in as many steps as that has
 * characters: a tree in which what texts have in common stands once (a radix tree).
 */
export class Affixes<T> {
  readonly #isSuffix: boolean;
  readonly #root: Branch<T>;

  constructor(kind: 'prefix' | 'suffix') {
    this.#isSuffix = kind === 'suffix';
    this.#root = { text: '', value: undefined, next: new Map() };
  }

  get isEmpty(): boolean {
    return this.#root.value === undefined && this.#root.next.size === 0;
  }

  get(text: string): T | undefined {
    const path = this.#walk(text);
    const last = path.at(-1);
    return last?.text.length === text.length ? last.value : undefined;
  }

  set(text: string, value: T): void {
    const parent = this.#walk(text).at(-1) ?? this.#root;
    if (parent.text.length === text.length) {
      parent.value = value;
      return;
    }
    const made: Branch<T> = { text, value, next: new Map() };
    const unit = this.#unitAt(text, parent.text.length);
    const sibling = parent.next.get(unit);
    if (sibling === undefined) {
      parent.next.set(unit, made);
      return;
    }
    const common = this.#common(text, sibling.text, parent.text.length);
    const fork = common === text.length ? made : this.#fork(text, common);
    fork.next.set(this.#unitAt(sibling.text, common), sibling);
    if (fork !== made) fork.next.set(this.#unitAt(text, common), made);
    parent.next.set(unit, fork);
  }

  delete(text: string): void {
    const path = this.#walk(text);
    const [above, parent, branch] = [path.at(-3), path.at(-2), path.at(-1)];
    if (branch?.text.length !== text.length) return;
    branch.value = undefined;
    if (parent === undefined) return;
    this.#tidy(branch, parent);
    if (above !== undefined) this.#tidy(parent, above);
  }

  /** The values of the texts with which this one begins (or ends), shortest first. */
  matching(text: string): T[] {
    const found: T[] = [];
    let branch: Branch<T> | undefined = this.#root;
    do {
      if (branch.value !== undefined) found.push(branch.value);
      branch = this.#step(branch, text);
    } while (branch !== undefined);
    return found;
  }

  /** The branches from the root to the last whose text is where this one begins. */
  #walk(text: string): Branch<T>[] {
    const path: Branch<T>[] = [];
    for (let at: Branch<T> | undefined = this.#root; at !== undefined; at = this.#step(at, text)) path.push(at);
    return path;
  }

  #step({ text: { length }, next }: Branch<T>, text: string): Branch<T> | undefined {
    if (text.length === length) return undefined;
    const branch = next.get(this.#unitAt(text, length));
    if (branch === undefined || branch.text.length > text.length) return undefined;
    return this.#common(text, branch.text, length + 1) === branch.text.length ? branch : undefined;
  }

  /** How many units the two have in common, so many of which are known. */
  #common(a: string, b: string, known: number): number {
    const most = Math.min(a.length, b.length);
    let common = known;
    while (common < most && this.#unitAt(a, common) === this.#unitAt(b, common)) common += 1;
    return common;
  }

  #fork(text: string, length: number): Branch<T> {
    const own = this.#isSuffix ? text.slice(text.length - length) : text.slice(0, length);
    return { text: own, value: undefined, next: new Map() };
  }

  /** Takes out a branch that is not needed any more. */
  #tidy({ text, value, next }: Branch<T>, parent: Branch<T>): void {
    if (value !== undefined || next.size > 1) return;
    const unit = this.#unitAt(text, parent.text.length);
    const [only] = next.values();
    if (only === undefined) parent.next.delete(unit);
    else parent.next.set(unit, only);
  }

  #unitAt(text: string, index: number): number {
    return text.charCodeAt(this.#isSuffix ? text.length - 1 - index : index);
  }
}

interface Branch<T> {
  /** From the root to here. */
  readonly text: string;
  value: T | undefined;
  /** By the unit that comes next. */
  readonly next: Map<number, Branch<T>>;
}
