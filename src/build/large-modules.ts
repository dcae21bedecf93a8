import { LRUCache } from 'lru-cache';
import { Postponed } from '../errors.ts';

/** The wait before another attempt to build a large module while one is being built, in milliseconds. */
const RETRY_MS = 60_000;
/** The maximum number of large modules that are remembered. */
const MAX_KNOWN = 10_000;

/**
 * Lets one large module be built at a time. The list of its files can take several hundred megabytes of memory, and
 * reading it can take many minutes. Without this limit, a few such modules would use up the memory, and keep all other
 * tags waiting.
 */
export class LargeModules {
  /** The large modules that were found, so that the next attempt to build them does not list their files in vain. */
  readonly #known = new LRUCache<string, true>({ max: MAX_KNOWN });
  #isBusy = false;

  /**
   * Runs `build`, which calls `onLarge` if the module turns out to be large. Rejects with Postponed if the module is
   * large and another large module is being built. `key` is the same for each attempt to build a module.
   */
  async run<T>(key: string, build: (onLarge: () => void) => Promise<T>): Promise<T> {
    let isLarge = false;
    const enter = (): void => {
      if (isLarge) return;
      this.#known.set(key, true);
      if (this.#isBusy)
        throw new Postponed('another module with very many files is being built', { afterMs: RETRY_MS });
      this.#isBusy = true;
      isLarge = true;
    };
    if (this.#known.has(key)) enter();
    try {
      return await build(enter);
    } finally {
      if (isLarge) this.#isBusy = false;
    }
  }
}
