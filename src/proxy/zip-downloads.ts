import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { ConcurrencyLimit } from '../async/concurrency-limit.ts';
import { Spool } from '../io/spool.ts';
import { MAX_ZIP } from '../module/zip/writer.ts';
import type { Cache } from '../store/cache.ts';
import { StoreUnavailable } from '../store/store.ts';
import { limitBody, type Download } from './download.ts';
import { TryAgainLater, UpstreamFailed, describe } from './module-source.ts';
import { protocolPath, type FileRequest } from './protocol-request.ts';
import { openZip, RETRY_AFTER_SECONDS } from './stored-zip.ts';
import type { Upstream } from './upstream.ts';
import { checkZip } from './validate-download.ts';
import { MAX_END_BYTES } from './zip-end.ts';

/** The dependencies of ZipDownloads. */
export interface ZipDownloadsParts {
  readonly upstream: Upstream;
  readonly cache: Cache;
  readonly log: Logger;
  /** Limits how many zips in the cache are open at the same time. */
  readonly openZips: ConcurrencyLimit;
  /** Limits how many zips are downloaded at the same time. Each needs a temporary file and a connection. */
  readonly zipDownloads: ConcurrencyLimit;
}

/** A zip that is being downloaded. `size` is in bytes; undefined if the upstream proxy did not report it. */
export interface DownloadingZip {
  readonly spool: Spool;
  readonly size: number | undefined;
}

/** Called once when a download has ended. `isStored` is true if the zip is now in the cache. */
export type OnEnd = (isStored: boolean) => void;

/**
 * Downloads the zips of external modules into temporary files, and copies them to the cache. Clients read the temporary
 * file as it grows, except for its end. Once the file is complete and has the form of a module zip, the clients get its
 * end. Once the zip is in the cache, the remaining clients read it from there, so that a stalled client does not keep
 * the temporary file. If the download fails or the zip is wrong, the connections of the clients are closed before the
 * end, so that neither a client nor a cache in front of the service keeps the zip, and nothing is stored.
 */
export class ZipDownloads {
  readonly #parts: ZipDownloadsParts;
  readonly #running = new Set<Promise<void>>();

  constructor(parts: ZipDownloadsParts) {
    this.#parts = parts;
  }

  /**
   * Starts a download. Resolves once the headers of the response have arrived. Rejects with TryAgainLater if too many
   * downloads are running, and as `Upstream.get` does; `onEnd` is then not called.
   */
  async start(request: FileRequest, receivedVia: string | undefined, onEnd: OnEnd): Promise<DownloadingZip> {
    const { upstream, zipDownloads } = this.#parts;
    const release = await zipDownloads.acquire();
    if (!release)
      throw new TryAgainLater('modpress downloads too many zips at the moment\nTry again in a moment.', {
        timedOut: false,
        retryAfter: RETRY_AFTER_SECONDS,
      });
    try {
      return await upstream.get(protocolPath(request), { via: receivedVia }, async (response) => {
        const size = sizeOf(response, request);
        const zip = { spool: await Spool.create(tmpdir(), MAX_END_BYTES), size };
        const download = this.#run(request, response, zip, onEnd).finally(release);
        this.#running.add(download);
        void download.then(() => this.#running.delete(download));
        return zip;
      });
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Resolves when all downloads have ended and their zips have been written to the cache. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #run(request: FileRequest, response: Download, { spool, size }: DownloadingZip, onEnd: OnEnd): Promise<void> {
    const { cache, log } = this.#parts;
    const key = protocolPath(request);
    let reader: Readable | undefined;
    let isStored = false;
    try {
      for await (const chunk of limitBody(response, MAX_ZIP)) await spool.write(chunk);
      if (size !== undefined && size !== spool.bytes) {
        throw new UpstreamFailed(`${response.host} sent ${spool.bytes} of the ${size} bytes of ${describe(request)}`);
      }
      await checkZip(spool, request);
      spool.finish();
      reader = spool.reader();
      await cache.put(key, { stream: reader, size: spool.bytes });
      isStored = true;
      await spool.handOver((start, end) => this.#openCopy(key, spool.bytes, start, end));
    } catch (error) {
      // After `finish`, this call has no effect: the clients get the whole zip, and only the write to the cache has
      // failed.
      spool.fail(error);
      if (reader) log.warn({ event: 'cache.failed', operation: 'write', err: error, key }, 'cannot write to the cache');
      else log.warn({ event: 'download.failed', err: error, key }, 'the download of a module failed');
    } finally {
      onEnd(isStored);
      reader?.destroy();
      await spool.release();
    }
  }

  /** Opens a part of a zip that has just been stored with this size. */
  async #openCopy(key: string, size: number, start: number, end: number): Promise<Readable> {
    const zip = await openZip(this.#parts.cache, key, this.#parts.openZips, { first: start, last: end - 1 });
    if (zip?.size === size) return zip.body;
    zip?.body.destroy();
    throw new StoreUnavailable(`the store no longer has the zip that was just stored as ${key}`);
  }
}

/** Returns the size that the response reports. Throws UpstreamFailed if it is too large. */
function sizeOf({ headers, host }: Download, request: FileRequest): number | undefined {
  const length = headers.get('content-length');
  if (length === null) return undefined;
  const size = Number(length);
  if (size <= MAX_ZIP) return size;
  throw new UpstreamFailed(`${host} has ${size} bytes for ${describe(request)}, more than a module may have`);
}
