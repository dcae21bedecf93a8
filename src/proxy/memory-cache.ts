import { LRUCache } from 'lru-cache';

/** A file in memory, and when it was read: milliseconds of the monotonic clock (`performance.now()`). */
export interface CachedFile {
  readonly body: Buffer;
  readonly readAt: number;
}

/** Small files in memory. The total size is bounded; the least recently used file is removed first. */
export class MemoryCache {
  readonly #entries: LRUCache<string, CachedFile>;

  /** `maxBytes` limits the total size of keys and bodies. A file larger than a sixteenth of it is not stored. */
  constructor(maxBytes: number) {
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.max(1, Math.floor(maxBytes / 16)),
      sizeCalculation: ({ body }, key) => body.length + key.length + 100,
    });
  }

  get(key: string): CachedFile | undefined {
    return this.#entries.get(key);
  }

  set(key: string, body: Buffer): void {
    this.#entries.set(key, { body, readAt: performance.now() });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
