import type { Logger } from 'pino';
import type { Cache } from '../store/cache.ts';
import { Forbidden, NotFound, UpstreamFailed, type BytesAnswer } from './module-source.ts';
import { readAll, type Download } from './download.ts';
import { parseProxyUrl, type ProxyEntry } from './goproxy.ts';
import { ResponseCache } from './response-cache.ts';
import { sumdbOperation, sumdbPath, type SumdbRequest } from './request.ts';
import type { Upstream } from './upstream.ts';

/** A checksum database that may be asked: at a URL of its own, or by way of the upstream proxies. */
export interface SumdbEntry {
  readonly name: string;
  readonly server: Pick<ProxyEntry, 'url' | 'authorization'> | undefined;
}

/** What the pass-through is made of. */
export interface SumdbParts {
  readonly upstream: Upstream;
  /** The cache for `sumdb/`. */
  readonly cache: Cache;
  readonly log: Logger;
  /** The databases that may be asked; any that the upstream proxies know, if undefined. */
  readonly databases: readonly SumdbEntry[] | undefined;
  readonly isPrivate: (path: string) => boolean;
  /** For the advice to a developer whose go command asks for a private module. */
  readonly privatePrefixes: readonly string[];
  /** Bound of what is kept in memory, in bytes; 16 MiB by default. */
  readonly memoryBytes?: number;
}

/** Tiles have up to 2^30 hashes by the protocol and 256 in every known database; records are short. In bytes. */
const MAX_BODY = 4 * 2 ** 20;

/**
 * Checksum databases, passed through. Tiles and lookups never change and are kept; the go command checks all of it
 * against the database's key. Which private modules there are is never told to anybody outside.
 */
export class Sumdb {
  readonly #parts: SumdbParts;
  readonly #kept: ResponseCache;

  constructor(parts: SumdbParts) {
    this.#parts = parts;
    this.#kept = new ResponseCache(parts.cache, parts.log, parts.memoryBytes ?? 16 * 2 ** 20);
  }

  /** Throws NotFound, Forbidden or UpstreamFailed. */
  async answer(request: SumdbRequest): Promise<BytesAnswer> {
    if (request.operation === 'lookup' && this.#parts.isPrivate(request.module)) {
      const patterns = this.#parts.privatePrefixes.map((prefix) => `${prefix}/*`).join(',');
      throw new Forbidden(
        `${request.module} is private: no checksum database is asked about it\nSet this once: go env -w GONOSUMDB=${patterns}`,
      );
    }
    const ask = this.#requests(request);
    const changes = request.operation === 'supported' || request.operation === 'latest';
    return changes
      ? await this.#kept.lastGood(sumdbPath(request), ask)
      : await this.#kept.once(sumdbPath(request), ask);
  }

  /** Resolves when the cache has everything. */
  async settled(): Promise<void> {
    await this.#kept.settled();
  }

  #requests(request: SumdbRequest): () => Promise<Buffer> {
    const { databases, upstream } = this.#parts;
    const entry = databases?.find(({ name }) => name === request.database);
    if (databases !== undefined && entry === undefined) {
      throw new NotFound(`the checksum database ${request.database} is not passed through here`);
    }
    const use = async (response: Download): Promise<Buffer> => {
      const body = await readAll(response, MAX_BODY);
      checkBody(body, request, response.host);
      return body;
    };
    const server = entry?.server;
    if (server === undefined) return () => upstream.get(`sumdb/${sumdbPath(request)}`, use);
    // "supported" is a question to a proxy, not to a database: https://go.dev/ref/mod#checksum-database.
    if (request.operation === 'supported') return async () => Buffer.alloc(0);
    return () => upstream.getFrom(server, sumdbOperation(request), use);
  }
}

/**
 * Parses the setting: names separated by commas, each with `=https://…` after it if it is to be asked directly.
 * Throws an Error whose message says what is wrong.
 */
export function parseSumdbs(text: string): SumdbEntry[] {
  const words = text.split(',').map((word) => word.trim());
  return words
    .filter((word) => word !== '')
    .map((word) => {
      const equals = word.indexOf('=');
      const name = equals < 0 ? word : word.slice(0, equals);
      if (!/^[A-Za-z0-9._~:/-]+$/.test(name)) throw new Error('has an entry that is neither NAME nor NAME=URL');
      return { name, server: equals < 0 ? undefined : parseProxyUrl(word.slice(equals + 1)) };
    });
}

/** A tile of hashes has 32 bytes for each, and its path says how many: a body of another length is no tile. */
function checkBody(body: Buffer, request: SumdbRequest, host: string): void {
  if (request.operation !== 'tile') return;
  const [, height = '', level, partial] = /^tile\/([0-9]+)\/([^/]+)\/.*?(?:\.p\/([0-9]+))?$/.exec(request.tile) ?? [];
  if (level === 'data') return;
  const hashes = partial === undefined ? 2 ** Number(height) : Number(partial);
  if (body.length !== hashes * 32)
    throw new UpstreamFailed(`${host} sent a tile of ${body.length} bytes instead of ${hashes * 32}`);
}
