import { parseVersion } from '../module/version.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import type { Client } from './client.ts';
import { Forbidden, NotFound, describe, type Answer, type FileAccess, type ModuleSource } from './module-source.ts';
import { ZipCache } from './zip-cache.ts';
import type { ZipDownloadsParts } from './zip-downloads.ts';
import { readValid } from './download.ts';
import { urlBelow, type GoproxyEntry } from './goproxy.ts';
import { ResponseCache, type CacheableResponse } from './response-cache.ts';
import { protocolPath, type ModuleRequest } from './protocol-request.ts';
import { GO_DIRECT, UPSTREAM_IS_OFF, type Upstream } from './upstream.ts';
import { smallFileProblem } from './validate-download.ts';

const MAX_LIST_BYTES = 4 * 2 ** 20;
const MAX_INFO_BYTES = 2 ** 20;
/** The maximum size of the in-memory cache, in bytes. */
const MEMORY_BYTES = 64 * 2 ** 20;

/**
 * Serves external modules through a cache. Files of a version are downloaded once and kept forever. Lists, `@latest`
 * and revision names are requested from the upstream proxies each time. If the upstream proxies fail, clients get the
 * last good response.
 */
export class ExternalModules implements ModuleSource {
  readonly #upstream: Upstream;
  readonly #responses: ResponseCache;
  readonly #zips: ZipCache;

  /** The cache is the part of the store below `upstream/`. */
  constructor(parts: ZipDownloadsParts) {
    this.#upstream = parts.upstream;
    this.#responses = new ResponseCache(parts.cache, parts.log, MEMORY_BYTES);
    this.#zips = new ZipCache(parts);
  }

  async answer(request: ModuleRequest, access: FileAccess = 'stat', client: Client = {}): Promise<Answer> {
    if (request.kind === 'file' && request.file === 'zip') return await this.#zips.answer(request, access, client.via);
    const path = protocolPath(request);
    const problemOf = (body: Buffer): string | undefined => smallFileProblem(body, request);
    const response: CacheableResponse = {
      key: path,
      problemOf,
      download: (signal) =>
        this.#upstream.get(path, { ...client, signal }, (download) =>
          readValid(download, maxBytesOf(request), problemOf, describe(request)),
        ),
    };
    const immutable = request.kind === 'file' && parseVersion(request.version) !== undefined;
    return immutable
      ? await this.#responses.immutable(response, client.signal)
      : await this.#responses.lastGood(response, client.signal);
  }

  /** Resolves when all downloads and writes to the cache have ended, successfully or not. */
  async settled(): Promise<void> {
    await Promise.all([this.#zips.settled(), this.#responses.settled()]);
  }
}

/** The maximum size of a small file, in bytes. A list can have some thousand versions, and a .info has one. */
function maxBytesOf(request: ModuleRequest): number {
  if (request.kind === 'list') return MAX_LIST_BYTES;
  return request.kind === 'file' && request.file === 'mod' ? MAX_GOMOD : MAX_INFO_BYTES;
}

/** Serves external modules in redirect mode, which redirects clients to the first upstream proxy. */
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
