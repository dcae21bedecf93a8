/**
 * The maximum number of items of a key that `take` looks at. Otherwise, many items that cannot run would make every
 * `take` slow.
 */
const MAX_CANDIDATES = 100;

/**
 * Items that wait, in the order in which they run. The keys take turns: after an item of a key, the items of all other
 * keys come first. Many items of one key therefore do not keep the items of other keys waiting. The items of one key
 * run in the order in which they were added.
 */
export class Turns<K, T> {
  /** The items by key and id. The key whose turn it is comes first. */
  readonly #items = new Map<K, Map<string, T>>();
  #size = 0;

  /** The number of items. */
  get size(): number {
    return this.#size;
  }

  /** Adds an item behind the other items of its key. The id must be new among them. */
  add(key: K, id: string, item: T): void {
    const items = this.#items.get(key);
    if (items) items.set(id, item);
    else this.#items.set(key, new Map([[id, item]]));
    this.#size++;
  }

  /** Removes an item. Returns whether it was there. */
  delete(key: K, id: string): boolean {
    const items = this.#items.get(key);
    if (!items?.delete(id)) return false;
    if (items.size === 0) this.#items.delete(key);
    this.#size--;
    return true;
  }

  /** Removes and returns the next item for which `canRun` returns true. Returns undefined if no item can run. */
  take(canRun: (item: T) => boolean = () => true): T | undefined {
    for (const [key, items] of this.#items) {
      let candidates = 0;
      for (const [id, item] of items) {
        if (canRun(item)) {
          this.delete(key, id);
          // The key goes to the end.
          if (this.#items.delete(key)) this.#items.set(key, items);
          return item;
        }
        candidates++;
        if (candidates === MAX_CANDIDATES) break;
      }
    }
    return undefined;
  }
}
