/** A binary heap: `pop` returns the first item in the order of `isBefore`. Adding and removing take logarithmic time. */
export class Heap<T> {
  readonly #isBefore: (one: T, other: T) => boolean;
  /** Each item comes before those at twice its index plus 1 and plus 2. */
  #items: T[] = [];

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore;
  }

  /** The number of items. */
  get size(): number {
    return this.#items.length;
  }

  /** Adds an item. */
  push(item: T): void {
    let index = this.#items.length;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#items[parentIndex];
      if (parent === undefined || !this.#isBefore(item, parent)) break;
      this.#items[index] = parent;
      index = parentIndex;
    }
    this.#items[index] = item;
  }

  /** Removes and returns the first item. Returns undefined if the heap is empty. */
  pop(): T | undefined {
    const [first] = this.#items;
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last);
    return first;
  }

  /** Keeps only the items for which `isKept` returns true. */
  retain(isKept: (item: T) => boolean): void {
    const kept = this.#items.filter(isKept);
    this.#items = [];
    for (const item of kept) this.push(item);
  }

  /** Puts an item in the place of the first one. */
  #sink(item: T): void {
    let index = 0;
    for (;;) {
      const [left, right] = [this.#items[2 * index + 1], this.#items[2 * index + 2]];
      const isRight = left !== undefined && right !== undefined && this.#isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || !this.#isBefore(child, item)) break;
      this.#items[index] = child;
      index = 2 * index + (isRight ? 2 : 1);
    }
    this.#items[index] = item;
  }
}
