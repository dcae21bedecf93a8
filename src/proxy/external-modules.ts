import type { Logger } from 'pino';
import type { Cache } from '../store/cache.ts';
import { parseVersion } from '../module/version.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import { Forbidden, NotFound, type Answer, type FileAccess, type ModuleSource } from './module-source.ts';
import { ZipCache } from './zip-cache.ts';
import { readAll } from './download.ts';
import { urlBelow, type GoproxyEntry } from './goproxy.ts';
import { ResponseCache } from './response-cache.ts';
import { protocolPath, type ModuleRequest } from './protocol-request.ts';
import { GO_DIRECT, UPSTREAM_IS_OFF, type Upstream } from './upstream.ts';
import { checkSmallFile } from './validate-download.ts';

/** What ExternalModules needs. */
export interface ExternalParts {
  readonly upstream: Upstream;
  /** The part of the store below `upstream/`. */
  readonly cache: Cache;
  readonly log: Logger;
}

/** Maximum size of the cache in memory, in bytes. */
const MEMORY_BYTES = 64 * 2 ** 20;

/**
 * External modules, through a cache. The files of a version are downloaded once and kept forever. Lists, `@latest` and
 * names of revisions are requested from upstream each time; during an outage of upstream, the last good response is
 * served instead.
 */
export class ExternalModules implements ModuleSource {
  readonly #upstream: Upstream;
  readonly #responses: ResponseCache;
  readonly #zips: ZipCache;

  constructor(parts: ExternalParts) {
    this.#upstream = parts.upstream;
    this.#responses = new ResponseCache(parts.cache, parts.log, MEMORY_BYTES);
    this.#zips = new ZipCache(parts.upstream, parts.cache, parts.log);
  }

  async answer(request: ModuleRequest, access: FileAccess = 'stat'): Promise<Answer> {
    if (request.kind === 'file' && request.file === 'zip') return await this.#zips.answer(request, access);
    const path = protocolPath(request);
    const download = async (): Promise<Buffer> =>
      await this.#upstream.get(path, async (response) => {
        // Lists and .info files have the same limit as a go.mod.
        const body = await readAll(response, MAX_GOMOD);
        checkSmallFile(body, request);
        return body;
      });
    const immutable = request.kind === 'file' && parseVersion(request.version) !== undefined;
    return immutable ? await this.#responses.immutable(path, download) : await this.#responses.lastGood(path, download);
  }

  /** Resolves when all downloads have ended and all of their results are in the cache. */
  async settled(): Promise<void> {
    await Promise.all([this.#zips.settled(), this.#responses.settled()]);
  }
}

/** External modules in redirect mode: clients download them from the first upstream proxy themselves. */
export class RedirectedModules implements ModuleSource {
  readonly #base: string | undefined;
  readonly #off: boolean;

  /** Throws an Error if the redirects would disclose credentials to clients. */
  constructor(entries: readonly GoproxyEntry[]) {
    const [first] = entries;
    this.#base = first?.kind === 'proxy' ? first.url : undefined;
    this.#off = first?.kind === 'off';
    if (first?.kind === 'proxy' && first.authorization !== undefined) {
      throw new Error('contains credentials, which redirect mode would send to every client');
    }
  }

  async answer(request: ModuleRequest): Promise<Answer> {
    if (this.#off) throw new Forbidden(UPSTREAM_IS_OFF);
    if (this.#base === undefined) throw new NotFound(`not available through this proxy\n${GO_DIRECT}`);
    return { kind: 'redirect', url: urlBelow(this.#base, protocolPath(request)) };
  }
}
