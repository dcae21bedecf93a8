import type { Logger } from 'pino';
import { StoreUnavailable } from '../store/store.ts';
import type { Cache } from '../store/cache.ts';
import { UpstreamFailed, type BytesAnswer } from './module-source.ts';
import { SingleFlight } from '../async/single-flight.ts';
import { Memory } from './memory-cache.ts';

/**
 * Small answers of upstream servers, kept in memory and in a cache. Identical questions at the same time become one.
 * A cache that cannot be read or written is logged and costs a request upstream, never the client's answer.
 */
export class ResponseCache {
  readonly #cache: Cache;
  readonly #log: Logger;
  readonly #memory: Memory;
  readonly #asking = new SingleFlight<BytesAnswer>();
  readonly #writing = new Map<string, Promise<void>>();

  /** `memoryBytes` bounds what is kept in memory. */
  constructor(cache: Cache, log: Logger, memoryBytes: number) {
    this.#cache = cache;
    this.#log = log;
    this.#memory = new Memory(memoryBytes);
  }

  /** For what never changes: asks upstream once and for all. */
  async once(key: string, ask: () => Promise<Buffer>): Promise<BytesAnswer> {
    return await this.#asking.run(key, async () => {
      const body = (await this.#get(key)) ?? this.#keep(key, await ask());
      return { kind: 'bytes', body, immutable: true };
    });
  }

  /** For what changes: asks upstream each time, and falls back to the last good answer when there is none to be had. */
  async lastGood(key: string, ask: () => Promise<Buffer>): Promise<BytesAnswer> {
    return await this.#asking.run(key, async () => {
      try {
        return { kind: 'bytes', body: this.#keep(key, await ask()), immutable: false };
      } catch (error) {
        const body = isOutage(error) ? await this.#get(key) : undefined;
        if (body === undefined) throw error;
        this.#log.warn({ err: error, key }, 'upstream is down; serving the last known answer');
        return { kind: 'bytes', body, immutable: false, stale: true };
      }
    });
  }

  /** Resolves when everything kept so far has reached the cache, or failed to. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing.values());
  }

  async #get(key: string): Promise<Buffer | undefined> {
    const known = this.#memory.get(key);
    if (known) return known.body;
    try {
      const body = await this.#cache.get(key);
      if (body) this.#memory.set(key, body);
      return body;
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#log.warn({ err: error, key }, 'cannot read the cache');
      return undefined;
    }
  }

  /** Not awaited: the client need not wait for the cache. What is known already is not written again. */
  #keep(key: string, body: Buffer): Buffer {
    if (this.#memory.get(key)?.body.equals(body)) return body;
    this.#memory.set(key, body);
    const writing = this.#put(key, body, this.#writing.get(key)).finally(() => {
      if (this.#writing.get(key) === writing) this.#writing.delete(key);
    });
    this.#writing.set(key, writing);
    return body;
  }

  /** One write of a key after the other, so that the last one known is the one that stays. */
  async #put(key: string, body: Buffer, earlier: Promise<void> | undefined): Promise<void> {
    await earlier;
    try {
      await this.#cache.put(key, body);
    } catch (error) {
      this.#log.warn({ err: error, key }, 'cannot write to the cache');
    }
  }
}

/** An upstream that failed, also where the answer to the client is the 404 that `direct` stands for. */
function isOutage(error: unknown): boolean {
  return error instanceof UpstreamFailed || (error instanceof Error && error.cause instanceof UpstreamFailed);
}
