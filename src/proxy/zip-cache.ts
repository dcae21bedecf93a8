import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { MAX_ZIP } from '../module/zip/writer.ts';
import { StoreUnavailable, type StoredObject } from '../store/store.ts';
import type { Cache } from '../store/cache.ts';
import { UpstreamFailed, describe, type Answer } from './module-source.ts';
import { limited, type Download } from './download.ts';
import { protocolPath, type FileRequest } from './request.ts';
import { Spool } from '../io/spool.ts';
import type { Upstream } from './upstream.ts';
import { checkZip } from './validate.ts';

/** A zip that is in the cache, or one that is on its way into it. */
type Opened = { readonly object: StoredObject } | { readonly spool: Spool; readonly size: number | undefined };

/**
 * Zips of external modules. The first request for one starts a download into a temporary file, which every client
 * that asks meanwhile follows as it grows. Once it is complete and has the form of a module zip, it goes to the cache;
 * a download that fails breaks the clients' connections off and leaves nothing behind. No client can spoil or slow it.
 */
export class ZipCache {
  readonly #upstream: Upstream;
  readonly #cache: Cache;
  readonly #log: Logger;
  readonly #folder: string;
  readonly #opened = new Map<string, Promise<Opened>>();
  readonly #filling = new Set<Promise<void>>();

  /** `folder` is for the temporary files; the system's by default. */
  constructor(upstream: Upstream, cache: Cache, log: Logger, folder = tmpdir()) {
    this.#upstream = upstream;
    this.#cache = cache;
    this.#log = log;
    this.#folder = folder;
  }

  async answer(request: FileRequest): Promise<Answer> {
    const key = protocolPath(request);
    for (;;) {
      const opened = await this.#open(key, request);
      if ('object' in opened) {
        return {
          kind: 'stored',
          object: opened.object,
          immutable: true,
          open: (range) => this.#cache.open(key, range),
        };
      }
      const { spool, size } = opened;
      if (!spool.closed) return { kind: 'stream', body: spool.reader(), size, immutable: true };
      // Over before it could be read: it failed at its very start, or else it is in the cache by now.
      if (spool.failure) throw spool.failure;
    }
  }

  /** Resolves when no download is under way any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#filling);
  }

  /** Everybody who asks between the look into the cache and the end of the download joins the first one. */
  #open(key: string, request: FileRequest): Promise<Opened> {
    const known = this.#opened.get(key);
    if (known) return known;
    const opened = this.#look(key, request);
    this.#opened.set(key, opened);
    const forget = (): boolean => this.#opened.delete(key);
    opened.then((result) => 'object' in result && forget(), forget);
    return opened;
  }

  async #look(key: string, request: FileRequest): Promise<Opened> {
    const object = await this.#stat(key);
    if (object) return { object };
    return await this.#upstream.get(key, async (response) => {
      const spool = await Spool.create(this.#folder);
      const length = response.headers.get('content-length');
      const size = length === null ? undefined : Number(length);
      const filling = this.#fill(key, request, response, spool, size);
      this.#filling.add(filling);
      void filling.then(() => this.#filling.delete(filling));
      return { spool, size };
    });
  }

  async #stat(key: string): Promise<StoredObject | undefined> {
    try {
      return await this.#cache.stat(key);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      this.#log.warn({ err: error, key }, 'cannot read the cache');
      return undefined;
    }
  }

  async #fill(
    key: string,
    request: FileRequest,
    response: Download,
    spool: Spool,
    size: number | undefined,
  ): Promise<void> {
    let reader: Readable | undefined;
    try {
      for await (const chunk of limited(response, MAX_ZIP)) await spool.write(chunk);
      if (size !== undefined && size !== spool.bytes) {
        throw new UpstreamFailed(`${response.host} sent ${spool.bytes} of the ${size} bytes of ${describe(request)}`);
      }
      await checkZip(spool, request);
      spool.finish();
      reader = spool.reader();
      await this.#cache.put(key, { stream: reader, size: spool.bytes });
    } catch (error) {
      // Clients that have everything already are not affected: then it was the cache that failed.
      spool.fail(error);
      this.#log.warn({ err: error, key }, reader ? 'cannot write to the cache' : 'the download of a module failed');
    } finally {
      this.#opened.delete(key);
      reader?.destroy();
      await spool.release();
    }
  }
}
