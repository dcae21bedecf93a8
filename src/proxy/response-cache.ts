import type { Logger } from 'pino';
import { StoreUnavailable } from '../store/store.ts';
import type { Cache } from '../store/cache.ts';
import { UpstreamFailed, type BytesAnswer } from './module-source.ts';
import { SingleFlight } from '../async/single-flight.ts';
import { MemoryCache } from './memory-cache.ts';

/**
 * Small responses of upstream servers, cached in memory and in the store. Concurrent requests for one key are sent
 * upstream once. A store that cannot be read or written is logged and costs another request upstream. The client gets
 * its answer in any case.
 */
export class ResponseCache {
  readonly #cache: Cache;
  readonly #log: Logger;
  readonly #memory: MemoryCache;
  readonly #requests = new SingleFlight<BytesAnswer>();
  readonly #writes = new Map<string, Promise<void>>();

  /** `memoryBytes` limits the size of the cache in memory. */
  constructor(cache: Cache, log: Logger, memoryBytes: number) {
    this.#cache = cache;
    this.#log = log;
    this.#memory = new MemoryCache(memoryBytes);
  }

  /** For content that never changes: runs `download` only if the content is not in the cache. */
  async immutable(key: string, download: () => Promise<Buffer>): Promise<BytesAnswer> {
    return await this.#requests.run(key, async () => {
      const body = (await this.#get(key)) ?? this.#store(key, await download());
      return { kind: 'bytes', body, immutable: true };
    });
  }

  /** For content that changes: runs `download` each time. If upstream fails, the result is the last good response, as stale. */
  async lastGood(key: string, download: () => Promise<Buffer>): Promise<BytesAnswer> {
    return await this.#requests.run(key, async () => {
      try {
        return { kind: 'bytes', body: this.#store(key, await download()), immutable: false };
      } catch (error) {
        const body = isOutage(error) ? await this.#get(key) : undefined;
        if (body === undefined) throw error;
        this.#log.warn(
          { event: 'upstream.failed', err: error, key },
          'upstream failed; serving the last good response',
        );
        return { kind: 'bytes', body, immutable: false, stale: true };
      }
    });
  }

  /** Resolves when all writes to the store so far have ended, successfully or not. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  async #get(key: string): Promise<Buffer | undefined> {
    const cached = this.#memory.get(key);
    if (cached) return cached.body;
    try {
      const body = await this.#cache.get(key);
      if (body) this.#memory.set(key, body);
      return body;
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#log.warn({ event: 'cache.failed', operation: 'read', err: error, key }, 'cannot read the cache');
      return undefined;
    }
  }

  /** Starts to write the content, unless it has not changed. Neither the caller nor the client waits for the write. */
  #store(key: string, body: Buffer): Buffer {
    if (this.#memory.get(key)?.body.equals(body)) return body;
    this.#memory.set(key, body);
    const write = this.#put(key, body, this.#writes.get(key)).finally(() => {
      if (this.#writes.get(key) === write) this.#writes.delete(key);
    });
    this.#writes.set(key, write);
    return body;
  }

  /** The writes of one key run one after the other, so that the newest content stays. */
  async #put(key: string, body: Buffer, previous: Promise<void> | undefined): Promise<void> {
    await previous;
    try {
      await this.#cache.put(key, body);
    } catch (error) {
      this.#log.warn({ event: 'cache.failed', operation: 'write', err: error, key }, 'cannot write to the cache');
    }
  }
}

/** Whether upstream failed. The 404 that stands for `direct` counts too, if its cause is such a failure. */
function isOutage(error: unknown): boolean {
  return error instanceof UpstreamFailed || (error instanceof Error && error.cause instanceof UpstreamFailed);
}
