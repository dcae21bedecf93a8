import type { Logger } from 'pino';
import type { ConcurrencyLimit } from '../async/concurrency-limit.ts';
import type { Cache } from '../store/cache.ts';
import { StoreUnavailable } from '../store/store.ts';
import { type Answer, type FileAccess, type StoredAnswer } from './module-source.ts';
import { protocolPath, type FileRequest } from './protocol-request.ts';
import { findZip } from './stored-zip.ts';
import { ZipDownloads, type DownloadingZip, type ZipDownloadsParts } from './zip-downloads.ts';

/**
 * A pull-through cache for the zips of external modules. The first request for a zip starts a download. All clients
 * that request the zip during the download read it as it arrives (see zip-downloads.ts). A slow or disconnected client
 * does not affect the download.
 */
export class ZipCache {
  readonly #cache: Cache;
  readonly #log: Logger;
  readonly #openZips: ConcurrencyLimit;
  readonly #downloads: ZipDownloads;
  /** The lookups in progress, by key. A lookup that starts a download stays here until the download has ended. */
  readonly #lookups = new Map<string, Promise<StoredAnswer | DownloadingZip>>();
  /** The keys of zips that the cache returned damaged. The next request downloads them again. */
  readonly #damaged = new Set<string>();

  constructor(parts: ZipDownloadsParts) {
    this.#cache = parts.cache;
    this.#log = parts.log;
    this.#openZips = parts.openZips;
    this.#downloads = new ZipDownloads(parts);
  }

  /**
   * Returns the zip from the cache or from its download. Rejects with NotFound, Gone, Forbidden, UpstreamFailed or
   * TryAgainLater.
   */
  async answer(request: FileRequest, access: FileAccess, receivedVia: string | undefined): Promise<Answer> {
    for (;;) {
      const zip = await this.#find(request, access, receivedVia);
      if (zip === undefined) continue;
      if ('object' in zip) return zip;
      if (!zip.spool.closed) return { kind: 'stream', body: zip.spool.reader(), size: zip.size, immutable: true };
      // The download ended before this client could read it. Either the download failed, or the zip is now in the
      // cache.
      if (zip.spool.failure) throw zip.spool.failure;
    }
  }

  /** Resolves when all downloads have ended and their zips have been written to the cache. */
  async settled(): Promise<void> {
    await this.#downloads.settled();
  }

  /**
   * Returns the zip in the cache, or its download. All clients that arrive before the download ends share one lookup,
   * so that only one download runs. If the zip is in the cache, each client opens its own body, because a body has only
   * one reader. Returns undefined if the zip has left the cache in the meantime; the caller must then try again.
   */
  async #find(
    request: FileRequest,
    access: FileAccess,
    receivedVia: string | undefined,
  ): Promise<StoredAnswer | DownloadingZip | undefined> {
    const key = protocolPath(request);
    const running = this.#lookups.get(key);
    if (running === undefined) return await this.#lookUp(request, access, receivedVia);
    const zip = await running;
    return 'object' in zip ? await this.#readCache(key, access) : zip;
  }

  #lookUp(
    request: FileRequest,
    access: FileAccess,
    receivedVia: string | undefined,
  ): Promise<StoredAnswer | DownloadingZip> {
    const key = protocolPath(request);
    const forget = (): void => void this.#lookups.delete(key);
    const onEnd = (isStored: boolean): void => {
      forget();
      if (isStored) this.#damaged.delete(key);
    };
    const readOrDownload = async (): Promise<StoredAnswer | DownloadingZip> =>
      (await this.#readCache(key, access)) ?? (await this.#downloads.start(request, receivedVia, onEnd));
    const lookup = readOrDownload();
    this.#lookups.set(key, lookup);
    lookup.then((zip) => 'object' in zip && forget(), forget);
    return lookup;
  }

  /**
   * Returns undefined if the zip is missing or damaged. If the cache cannot be read, logs the failure and also returns
   * undefined, so that the zip is downloaded.
   */
  async #readCache(key: string, access: FileAccess): Promise<StoredAnswer | undefined> {
    if (this.#damaged.has(key)) return undefined;
    try {
      const onDamaged = (): void => void this.#damaged.add(key);
      return await findZip(this.#cache, key, access, { limit: this.#openZips, onDamaged });
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#log.warn({ event: 'cache.failed', operation: 'read', err: error, key }, 'cannot read the cache');
      return undefined;
    }
  }
}
