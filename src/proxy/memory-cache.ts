import { LRUCache } from 'lru-cache';

/** A file in memory. `readAt` is the value of `performance.now()` when the file was read. */
export interface CachedFile {
  readonly body: Buffer;
  readonly readAt: number;
}

/** A cache of small files in memory. Its total size is bounded, and the least recently used file is removed first. */
export class MemoryCache {
  readonly #entries: LRUCache<string, CachedFile>;

  /**
   * `maxBytes` limits the total size of keys and bodies. A file larger than a sixteenth of `maxBytes` is not stored.
   */
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
