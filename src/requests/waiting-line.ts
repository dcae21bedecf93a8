/** A place in the line. */
export interface Place<T> {
  readonly item: T;
  readonly groups: readonly string[];
  readonly rank: number;
}

/**
 * Items that wait, in the order in which they run. Each item belongs to some groups. Its rank is the sum of its places
 * in them. The first items of all groups therefore run before their second items, and so on: the groups take turns.
 */
export class WaitingLine<T> {
  /** The waiting items by rank, and in the order in which they joined. */
  readonly #ranks = new Map<number, Set<Place<T>>>();
  /** The number of items of each group that have not left. */
  readonly #groups = new Map<string, number>();
  #size = 0;

  /** The number of waiting items. */
  get size(): number {
    return this.#size;
  }

  /** Adds an item. It counts in its groups until `leave`. */
  join(item: T, groups: readonly string[]): Place<T> {
    let rank = 0;
    for (const group of groups) {
      const place = (this.#groups.get(group) ?? 0) + 1;
      this.#groups.set(group, place);
      rank += place;
    }
    const place = { item, groups, rank };
    const waiting = this.#ranks.get(rank);
    if (waiting) waiting.add(place);
    else this.#ranks.set(rank, new Set([place]));
    this.#size++;
    return place;
  }

  /** Takes the next item out of the line. It still counts in its groups until `leave`. */
  take(): Place<T> | undefined {
    if (this.#size === 0) return undefined;
    const [place] = this.#ranks.get(Math.min(...this.#ranks.keys())) ?? [];
    if (place) this.#remove(place);
    return place;
  }

  /** Ends the place of an item in its groups. If the item still waits, takes it out of the line. */
  leave(place: Place<T>): void {
    this.#remove(place);
    for (const group of place.groups) {
      const left = (this.#groups.get(group) ?? 0) - 1;
      if (left > 0) this.#groups.set(group, left);
      else this.#groups.delete(group);
    }
  }

  /** Whether the item still waits. */
  isWaiting(place: Place<T>): boolean {
    return this.#ranks.get(place.rank)?.has(place) === true;
  }

  #remove(place: Place<T>): void {
    const waiting = this.#ranks.get(place.rank);
    if (!waiting?.delete(place)) return;
    if (waiting.size === 0) this.#ranks.delete(place.rank);
    this.#size--;
  }
}
