import { LRUCache } from 'lru-cache';

/** Bytes that were read once, and when (milliseconds of the monotonic clock). */
export interface Remembered {
  readonly body: Buffer;
  readonly at: number;
}

/** Small files in memory, least recently used first out, bounded by their bytes. */
export class Memory {
  readonly #entries: LRUCache<string, Remembered>;

  /** `maxBytes` bounds the sum of keys and bodies; a single file takes at most a sixteenth of it. */
  constructor(maxBytes: number) {
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.max(1, Math.floor(maxBytes / 16)),
      sizeCalculation: ({ body }, key) => body.length + key.length + 100,
    });
  }

  get(key: string): Remembered | undefined {
    return this.#entries.get(key);
  }

  set(key: string, body: Buffer): void {
    this.#entries.set(key, { body, at: performance.now() });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
