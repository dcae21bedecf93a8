import type { Logger } from 'pino';
import type { Cache } from '../store/cache.ts';
import { parseVersion } from '../module/version.ts';
import { Forbidden, NotFound, type Answer, type ModuleSource } from './module-source.ts';
import { ZipCache } from './zip-cache.ts';
import { readAll } from './download.ts';
import { urlBelow, type GoproxyEntry } from './goproxy.ts';
import { ResponseCache } from './response-cache.ts';
import { protocolPath, type ModuleRequest } from './request.ts';
import type { Upstream } from './upstream.ts';
import { checkSmall } from './validate.ts';

/** What external modules are served from. */
export interface ExternalParts {
  readonly upstream: Upstream;
  /** The cache for `upstream/`. */
  readonly cache: Cache;
  readonly log: Logger;
  /** Bound of what is kept in memory, in bytes; 64 MiB by default. */
  readonly memoryBytes?: number;
  /** Where zips are kept while they arrive; the system's folder for temporary files by default. */
  readonly temporaryFolder?: string;
}

/** MaxGoMod of golang.org/x/mod/zip; lists and the like get as much. In bytes. */
const MAX_SMALL = 16 * 2 ** 20;

/**
 * External modules, by way of a cache. Files of a version are fetched once and kept for good. Lists, `@latest` and
 * names of revisions are asked for each time; the last good answer stands in when no upstream proxy can be reached.
 */
export class ExternalModules implements ModuleSource {
  readonly #upstream: Upstream;
  readonly #kept: ResponseCache;
  readonly #zips: ZipCache;

  constructor(parts: ExternalParts) {
    this.#upstream = parts.upstream;
    this.#kept = new ResponseCache(parts.cache, parts.log, parts.memoryBytes ?? 64 * 2 ** 20);
    this.#zips = new ZipCache(parts.upstream, parts.cache, parts.log, parts.temporaryFolder);
  }

  async answer(request: ModuleRequest): Promise<Answer> {
    if (request.kind === 'file' && request.file === 'zip') return await this.#zips.answer(request);
    const path = protocolPath(request);
    const ask = async (): Promise<Buffer> =>
      await this.#upstream.get(path, async (response) => {
        const body = await readAll(response, MAX_SMALL);
        checkSmall(body, request);
        return body;
      });
    const immutable = request.kind === 'file' && parseVersion(request.version) !== undefined;
    return immutable ? await this.#kept.once(path, ask) : await this.#kept.lastGood(path, ask);
  }

  /** Resolves when no download is under way any more and the cache has all of it. */
  async settled(): Promise<void> {
    await Promise.all([this.#zips.settled(), this.#kept.settled()]);
  }
}

/** External modules in redirect mode: clients fetch them from the first upstream proxy themselves. */
export class RedirectedModules implements ModuleSource {
  readonly #base: string | undefined;
  readonly #off: boolean;

  /** Throws an Error if clients would have to be told credentials. */
  constructor(entries: readonly GoproxyEntry[]) {
    const [first] = entries;
    this.#base = first?.kind === 'proxy' ? first.url : undefined;
    this.#off = first?.kind === 'off';
    if (first?.kind === 'proxy' && first.authorization !== undefined) {
      throw new Error('has credentials in it, which redirect mode would give to every client');
    }
  }

  async answer(request: ModuleRequest): Promise<Answer> {
    if (this.#off) throw new Forbidden('modules from outside are switched off on this proxy (UPSTREAM=off)');
    if (this.#base === undefined) {
      throw new NotFound(
        'not available through this proxy\nTo fetch it from its repository: go env -w GOPROXY=<this proxy>,direct',
      );
    }
    return { kind: 'redirect', url: urlBelow(this.#base, protocolPath(request)) };
  }
}
