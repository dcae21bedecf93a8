import type { Logger } from 'pino';
import type { Cache } from '../store/cache.ts';
import type { Client } from './client.ts';
import { Forbidden, NotFound, type BytesAnswer } from './module-source.ts';
import { readValid, type Download } from './download.ts';
import { parseProxyUrl, type ProxyEntry } from './goproxy.ts';
import { ResponseCache, type CacheableResponse } from './response-cache.ts';
import { sumdbOperation, sumdbPath, type SumdbRequest } from './protocol-request.ts';
import type { Upstream } from './upstream.ts';
import { sumdbProblem } from './validate-sumdb-response.ts';

/**
 * A checksum database that clients may use. modpress sends requests to `server`, or to the upstream proxies if `server`
 * is undefined.
 */
export interface SumdbEntry {
  readonly name: string;
  readonly server: Pick<ProxyEntry, 'url' | 'authorization'> | undefined;
}

/** The dependencies of Sumdb. */
export interface SumdbParts {
  readonly upstream: Upstream;
  /** The part of the store below `sumdb/`. */
  readonly cache: Cache;
  readonly log: Logger;
  /** The databases that clients may use; undefined means all databases that the upstream proxies offer. */
  readonly databases: readonly SumdbEntry[] | undefined;
  readonly isPrivate: (path: string) => boolean;
  /**
   * The patterns of private module paths. The error for a lookup of a private module recommends a GONOSUMDB setting
   * with them.
   */
  readonly privatePatterns: readonly string[];
}

/**
 * The maximum size of a response, in bytes. The protocol allows up to 2^30 hashes in a tile, but all known databases
 * use 256. Records are short.
 */
const MAX_BODY_BYTES = 4 * 2 ** 20;
/** The maximum size of the in-memory cache, in bytes. */
const MEMORY_BYTES = 16 * 2 ** 20;

/**
 * Passes requests on to checksum databases. Caches tiles and lookups, which never change. The go command verifies all
 * responses with the key of the database. modpress never sends the path of a private module to an external server.
 */
export class Sumdb {
  readonly #parts: SumdbParts;
  readonly #responses: ResponseCache;

  constructor(parts: SumdbParts) {
    this.#parts = parts;
    this.#responses = new ResponseCache(parts.cache, parts.log, MEMORY_BYTES);
  }

  /**
   * Returns the response of the checksum database, or the cached response. Rejects with NotFound, Forbidden or
   * UpstreamFailed.
   */
  async answer(request: SumdbRequest, client: Client = {}): Promise<BytesAnswer> {
    if (request.operation === 'lookup' && this.#parts.isPrivate(request.module)) {
      const patterns = this.#parts.privatePatterns.join(',');
      throw new Forbidden(
        `${request.module} is private: its path is not sent to a checksum database\nRun this once: go env -w GONOSUMDB=${patterns}`,
      );
    }
    const problemOf = (body: Buffer): string | undefined => sumdbProblem(body, request);
    const cacheable = {
      key: sumdbPath(request),
      problemOf,
      download: this.#downloadOf(request, client, (response) =>
        readValid(response, MAX_BODY_BYTES, problemOf, sumdbPath(request)),
      ),
    };
    const changes = request.operation === 'supported' || request.operation === 'latest';
    return changes
      ? await this.#responses.lastGood(cacheable, client.signal)
      : await this.#responses.immutable(cacheable, client.signal);
  }

  /** Resolves when all writes to the cache have ended, successfully or not. */
  async settled(): Promise<void> {
    await this.#responses.settled();
  }

  #downloadOf(
    request: SumdbRequest,
    client: Client,
    readBody: (response: Download) => Promise<Buffer>,
  ): CacheableResponse['download'] {
    const { databases, upstream } = this.#parts;
    const entry = databases?.find(({ name }) => name === request.database);
    if (databases !== undefined && entry === undefined) {
      throw new NotFound(`the checksum database ${request.database} is not available through this proxy`);
    }
    const server = entry?.server;
    if (server === undefined)
      return (signal) => upstream.get(`sumdb/${sumdbPath(request)}`, { ...client, signal }, readBody);
    // A proxy implements "supported", but a database does not: https://go.dev/ref/mod#checksum-database.
    if (request.operation === 'supported') return async () => Buffer.alloc(0);
    return (signal) => upstream.getFrom(server, sumdbOperation(request), { ...client, signal }, readBody);
  }
}

/**
 * Parses the setting SUMDB, a comma-separated list of names. A name followed by `=https://…` is a database at that URL.
 * Throws an Error with the reason if the text is invalid.
 */
export function parseSumdbs(text: string): SumdbEntry[] {
  const entries = text.split(',').map((entry) => entry.trim());
  return entries
    .filter((entry) => entry !== '')
    .map((entry) => {
      const equals = entry.indexOf('=');
      const name = equals < 0 ? entry : entry.slice(0, equals);
      if (!/^[A-Za-z0-9._~:/-]+$/.test(name)) throw new Error('has an entry that is neither NAME nor NAME=URL');
      return { name, server: equals < 0 ? undefined : parseProxyUrl(entry.slice(equals + 1)) };
    });
}
