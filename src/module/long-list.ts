/** The number of items in a piece. */
const CHUNK = 2 ** 14;

/**
 * A list that grows without copying its items. An array with a million items blocks the event loop for 100 milliseconds
 * or more when it grows.
 */
export class LongList<T> implements Iterable<T> {
  readonly #chunks: T[][] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length % CHUNK === 0) this.#chunks.push([]);
    this.#chunks.at(-1)?.push(item);
    this.#length++;
  }

  /** Removes the last item. */
  pop(): void {
    if (this.#length === 0) return;
    this.#chunks.at(-1)?.pop();
    this.#length--;
    if (this.#length % CHUNK === 0) this.#chunks.pop();
  }

  /** Returns the item at an index from 0 on, or undefined after the end. */
  at(index: number): T | undefined {
    return this.#chunks[Math.floor(index / CHUNK)]?.[index % CHUNK];
  }

  *[Symbol.iterator](): Generator<T, undefined> {
    for (const chunk of this.#chunks) yield* chunk;
  }
}
