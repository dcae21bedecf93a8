import type { Logger } from 'pino';
import { StoreUnavailable } from '../store/store.ts';
import type { Cache } from '../store/cache.ts';
import { UpstreamFailed, type BytesAnswer } from './module-source.ts';
import { SingleFlight } from '../async/single-flight.ts';
import { MemoryCache } from './memory-cache.ts';

/** A response that can be cached. */
export interface CacheableResponse {
  readonly key: string;
  /**
   * Requests the response from upstream. Rejects with UpstreamFailed if it is not valid, and with the reason of `signal`
   * once it aborts.
   */
  readonly download: (signal: AbortSignal) => Promise<Buffer>;
  /**
   * Returns what is wrong with a body; undefined if it is valid. An earlier version may have stored a page of another
   * server as a response.
   */
  readonly problemOf: (body: Buffer) => string | undefined;
}

/**
 * How many upstream requests may continue after all their clients have left. They fill the cache for the next client,
 * because an upstream may need a minute for its first response about a module. Without a limit, clients that leave at
 * once could start any number of requests.
 */
const MAX_ABANDONED_REQUESTS = 32;

/**
 * Caches small responses of upstream servers in memory and in the store. Concurrent requests for one key share one
 * upstream request. A failure of the store is logged and may cause another upstream request, but the client gets its
 * response in any case.
 */
export class ResponseCache {
  readonly #cache: Cache;
  readonly #log: Logger;
  readonly #memory: MemoryCache;
  readonly #requests = new SingleFlight<BytesAnswer>(MAX_ABANDONED_REQUESTS);
  readonly #writes = new Map<string, Promise<void>>();

  /** `memoryBytes` limits the size of the in-memory cache. */
  constructor(cache: Cache, log: Logger, memoryBytes: number) {
    this.#cache = cache;
    this.#log = log;
    this.#memory = new MemoryCache(memoryBytes);
  }

  /**
   * Returns content that never changes. Calls `download` only if the cache has no valid content. `client` aborts when
   * the client has left.
   */
  async immutable(response: CacheableResponse, client?: AbortSignal): Promise<BytesAnswer> {
    const { key, download } = response;
    const find = async (signal: AbortSignal): Promise<BytesAnswer> => {
      const body = (await this.#get(response)) ?? this.#store(key, await download(signal));
      return { kind: 'bytes', body, immutable: true };
    };
    return await this.#requests.run(key, find, client);
  }

  /**
   * Returns content that can change. Calls `download` each time. If the upstream server fails, returns the last good
   * response, marked as stale. `client` aborts when the client has left.
   */
  async lastGood(response: CacheableResponse, client?: AbortSignal): Promise<BytesAnswer> {
    const { key, download } = response;
    const request = async (signal: AbortSignal): Promise<BytesAnswer> => {
      try {
        return { kind: 'bytes', body: this.#store(key, await download(signal)), immutable: false };
      } catch (error) {
        const body = isOutage(error) ? await this.#get(response) : undefined;
        if (body === undefined) throw error;
        this.#log.warn(
          { event: 'upstream.failed', err: error, key },
          'the upstream request failed; serving the last good response',
        );
        return { kind: 'bytes', body, immutable: false, stale: true };
      }
    };
    return await this.#requests.run(key, request, client);
  }

  /** Resolves when all current writes to the store have ended, successfully or not. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  /** The cached body. Undefined if it is missing or not valid, and if the store cannot be read. */
  async #get({ key, problemOf }: CacheableResponse): Promise<Buffer | undefined> {
    const cached = this.#memory.get(key);
    if (cached) return cached.body;
    try {
      const body = await this.#cache.get(key);
      if (!body) return undefined;
      if (problemOf(body) !== undefined) {
        this.#log.warn({ event: 'cache.invalid', key }, 'the cached response is not valid; requesting it again');
        return undefined;
      }
      this.#memory.set(key, body);
      return body;
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#log.warn({ event: 'cache.failed', operation: 'read', err: error, key }, 'cannot read the cache');
      return undefined;
    }
  }

  /**
   * Returns the content, and starts to write it to the store if it has changed. The client does not wait for the write.
   */
  #store(key: string, body: Buffer): Buffer {
    if (this.#memory.get(key)?.body.equals(body)) return body;
    this.#memory.set(key, body);
    const write = this.#put(key, body, this.#writes.get(key)).finally(() => {
      if (this.#writes.get(key) === write) this.#writes.delete(key);
    });
    this.#writes.set(key, write);
    return body;
  }

  /** Writes the content once the previous write of the key has ended, so that the newest content remains. */
  async #put(key: string, body: Buffer, previous: Promise<void> | undefined): Promise<void> {
    await previous;
    try {
      await this.#cache.put(key, body);
    } catch (error) {
      this.#log.warn({ event: 'cache.failed', operation: 'write', err: error, key }, 'cannot write to the cache');
    }
  }
}

/**
 * Returns whether the upstream server failed. This includes the 404 for a `direct` entry if its cause is an
 * UpstreamFailed.
 */
function isOutage(error: unknown): boolean {
  return error instanceof UpstreamFailed || (error instanceof Error && error.cause instanceof UpstreamFailed);
}
