import { Heap } from '../async/heap.ts';

/** A place in the line. `take` and `leave` recognize it. */
export interface Place<T> {
  readonly item: T;
  readonly client: string;
  readonly group: string;
  readonly rank: number;
  /** Decides between equal ranks. */
  readonly number: number;
}

/** A place that has left the line stays in the heap. More than this many such places, and half of all, are removed. */
const MAX_LEFT_PLACES = 1_000;

/**
 * Items that wait, in the order in which they run. Clients take turns, and so do groups: neither many items of one
 * client nor many items of one group delay the items of others by more than a few items. An item waits in one place for
 * each of its clients.
 *
 * The rank of a place is the round in which its turn comes. A client with items of three groups has its first item of
 * each group in round 3 at the latest, and its second items in round 6. The same holds for a group with items of three
 * clients.
 */
export class WaitingLine<T> {
  readonly #heap = new Heap<Place<T>>(
    (one, other) => one.rank < other.rank || (one.rank === other.rank && one.number < other.number),
  );
  /** The places that have not left. */
  readonly #places = new Set<Place<T>>();
  /** The number of places of each client that have not left, by group. */
  readonly #clients = new Counts();
  /** The number of places of each group that have not left, by client. */
  readonly #groups = new Counts();
  #joined = 0;

  /** Adds a place for an item. It counts until `leave`. */
  join(item: T, client: string, group: string): Place<T> {
    const place = this.#clients.add(client, group);
    this.#groups.add(group, client);
    const rank = place * Math.max(this.#clients.of(client), this.#groups.of(group));
    const joined = { item, client, group, rank, number: this.#joined++ };
    this.#places.add(joined);
    this.#heap.push(joined);
    return joined;
  }

  /** Takes the next place out of the line. It still counts until `leave`. */
  take(): Place<T> | undefined {
    for (;;) {
      const place = this.#heap.pop();
      if (place === undefined || this.#places.has(place)) return place;
    }
  }

  /** Ends a place, whether or not it was taken. Has no effect on a place that has left. */
  leave(place: Place<T>): void {
    if (!this.#places.delete(place)) return;
    this.#clients.subtract(place.client, place.group);
    this.#groups.subtract(place.group, place.client);
    if (this.#heap.size > 2 * this.#places.size + MAX_LEFT_PLACES) this.#heap.retain((one) => this.#places.has(one));
  }
}

/** Counts by two keys. */
class Counts {
  readonly #counts = new Map<string, Map<string, number>>();

  /** The number of second keys of a first key. */
  of(first: string): number {
    return this.#counts.get(first)?.size ?? 0;
  }

  /** Adds 1, and returns the count. */
  add(first: string, second: string): number {
    const counts = this.#counts.get(first) ?? new Map<string, number>();
    const count = (counts.get(second) ?? 0) + 1;
    this.#counts.set(first, counts.set(second, count));
    return count;
  }

  /** Subtracts 1. */
  subtract(first: string, second: string): void {
    const counts = this.#counts.get(first);
    const count = (counts?.get(second) ?? 0) - 1;
    if (count > 0) counts?.set(second, count);
    else counts?.delete(second);
    if (counts?.size === 0) this.#counts.delete(first);
  }
}
