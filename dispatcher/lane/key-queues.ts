/**
 * Items in queues by key: of each key one is out at a time, in the order in which they came. Items without a key don't
 * wait for one another. Keys come in turn.
 *
 *   push(a1) push(a2) push(b1)    takes a1    takes b1    nothing ready    done(a)    takes a2
 */
export class KeyQueues<Item extends { readonly key: string | null }> {
  /** By key that has an item ready or out: those behind it. */
  readonly #behind = new Map<string, Item[]>();
  #ready: (Item | undefined)[] = [];
  /** Index of the first of `#ready` that was not taken; those before it are not held any more. */
  #first = 0;

  push(item: Item): void {
    const behind = item.key === null ? undefined : this.#behind.get(item.key);
    if (behind) {
      behind.push(item);
      return;
    }
    if (item.key !== null) this.#behind.set(item.key, []);
    this.#ready.push(item);
  }

  /** The first item whose key has none out; undefined if there is none. */
  get first(): Item | undefined {
    return this.#ready[this.#first];
  }

  /** Takes the first out. */
  shift(): void {
    if (this.#first < this.#ready.length) this.#ready[this.#first++] = undefined;
    // Compacts now and then: removing at the front of a long array each time would cost its length.
    if (this.#first < 1_024 && this.#first < this.#ready.length) return;
    this.#ready = this.#ready.slice(this.#first);
    this.#first = 0;
  }

  /** An item that was out is ready again, before those of its key that are behind it. */
  putBack(item: Item): void {
    this.#ready.push(item);
  }

  /** The item of this key that was out is done: the next of the key is ready. */
  done(key: string | null): void {
    if (key === null) return;
    const behind = this.#behind.get(key);
    const next = behind?.shift();
    if (next === undefined) this.#behind.delete(key);
    else this.#ready.push(next);
  }

  /** Takes out all items that are not out and that `isRemoved` says, and returns them. */
  remove(isRemoved: (item: Item) => boolean): Item[] {
    const removed: Item[] = [];
    for (const [key, behind] of this.#behind) {
      const kept: Item[] = [];
      for (const item of behind) (isRemoved(item) ? removed : kept).push(item);
      this.#behind.set(key, kept);
    }
    const ready = this.#ready.slice(this.#first).filter((item) => item !== undefined);
    this.#ready = [];
    this.#first = 0;
    for (const item of ready) {
      if (!isRemoved(item)) this.#ready.push(item);
      else {
        removed.push(item);
        this.done(item.key);
      }
    }
    return removed;
  }
}
