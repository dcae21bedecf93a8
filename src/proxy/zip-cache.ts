import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { MAX_ZIP } from '../module/zip/writer.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Cache } from '../store/cache.ts';
import { UpstreamFailed, describe, type Answer, type FileAccess, type StoredAnswer } from './module-source.ts';
import { limitBody, type Download } from './download.ts';
import { protocolPath, type FileRequest } from './protocol-request.ts';
import { Spool } from '../io/spool.ts';
import type { Upstream } from './upstream.ts';
import { findZip } from './stored-zip.ts';
import { checkZip } from './validate-download.ts';
import { MAX_END_BYTES } from './zip-end.ts';

/** A zip that is being downloaded. `size` is in bytes; undefined if the upstream proxy did not report it. */
interface DownloadingZip {
  readonly spool: Spool;
  readonly size: number | undefined;
}

/**
 * A pull-through cache for the zips of external modules. The first request for a zip starts a download into a temporary
 * file. All clients that request the zip during the download read this file as it grows, except for its end. Once the
 * file is complete and has the form of a module zip, the clients get its end, and it is copied to the cache. If the
 * download fails or the zip is wrong, the connections of the clients are closed before the end, so that neither a client
 * nor a cache in front of the service keeps the zip, and nothing is stored. A slow or disconnected client does not
 * affect the download.
 */
export class ZipCache {
  readonly #upstream: Upstream;
  readonly #cache: Cache;
  readonly #log: Logger;
  /** The lookups in progress, by key. A lookup that starts a download stays here until the download has ended. */
  readonly #lookups = new Map<string, Promise<StoredAnswer | DownloadingZip>>();
  readonly #downloads = new Set<Promise<void>>();
  /** The keys of zips that the cache returned damaged. The next request downloads them again. */
  readonly #damaged = new Set<string>();

  constructor(upstream: Upstream, cache: Cache, log: Logger) {
    this.#upstream = upstream;
    this.#cache = cache;
    this.#log = log;
  }

  /** Returns the zip from the cache or from its download. Rejects with NotFound, Gone, Forbidden or UpstreamFailed. */
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
    await Promise.all(this.#downloads);
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
    const readOrDownload = async (): Promise<StoredAnswer | DownloadingZip> =>
      (await this.#readCache(key, access)) ?? (await this.#startDownload(request, receivedVia));
    const lookup = readOrDownload();
    this.#lookups.set(key, lookup);
    const forget = (): boolean => this.#lookups.delete(key);
    lookup.then((zip) => 'object' in zip && forget(), forget);
    return lookup;
  }

  /**
   * Returns undefined if the zip is missing. If the cache cannot be read, logs the failure and also returns undefined,
   * so that the zip is downloaded.
   */
  async #readCache(key: string, access: FileAccess): Promise<StoredAnswer | undefined> {
    if (this.#damaged.has(key)) return undefined;
    try {
      return await findZip(this.#cache, key, access, () => this.#damaged.add(key));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#log.warn({ event: 'cache.failed', operation: 'read', err: error, key }, 'cannot read the cache');
      return undefined;
    }
  }

  async #startDownload(request: FileRequest, receivedVia: string | undefined): Promise<DownloadingZip> {
    const key = protocolPath(request);
    return await this.#upstream.get(key, receivedVia, async (response) => {
      const length = response.headers.get('content-length');
      const size = length === null ? undefined : Number(length);
      if (size !== undefined && size > MAX_ZIP)
        throw new UpstreamFailed(
          `${response.host} has ${size} bytes for ${describe(request)}, more than a module may have`,
        );
      const zip = { spool: await Spool.create(tmpdir(), MAX_END_BYTES), size };
      const download = this.#download(key, request, response, zip);
      this.#downloads.add(download);
      void download.then(() => this.#downloads.delete(download));
      return zip;
    });
  }

  async #download(
    key: string,
    request: FileRequest,
    response: Download,
    { spool, size }: DownloadingZip,
  ): Promise<void> {
    let reader: Readable | undefined;
    try {
      for await (const chunk of limitBody(response, MAX_ZIP)) await spool.write(chunk);
      if (size !== undefined && size !== spool.bytes) {
        throw new UpstreamFailed(`${response.host} sent ${spool.bytes} of the ${size} bytes of ${describe(request)}`);
      }
      await checkZip(spool, request);
      spool.finish();
      reader = spool.reader();
      await this.#cache.put(key, { stream: reader, size: spool.bytes });
      this.#damaged.delete(key);
    } catch (error) {
      // After `finish`, this call has no effect: the clients get the whole zip, and only the write to the cache has
      // failed.
      spool.fail(error);
      if (reader)
        this.#log.warn({ event: 'cache.failed', operation: 'write', err: error, key }, 'cannot write to the cache');
      else this.#log.warn({ event: 'download.failed', err: error, key }, 'the download of a module failed');
    } finally {
      this.#lookups.delete(key);
      reader?.destroy();
      await spool.release();
    }
  }
}
