import pLimit from 'p-limit';
import { SingleFlight } from '../async/single-flight.ts';
import { asRetry, Retry } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import type { BlobCache, OpenBlob } from './blob-cache.ts';
import { hashBytes, hashUnsized, type HashedFile } from './hashed-file.ts';

/** What fetching blobs needs. */
export interface BlobsParts {
  readonly gitlab: Pick<GitLabClient, 'blob'>;
  readonly cache: BlobCache;
  readonly temporaryRoot: string;
}

/** The maximum number of downloads that `fetch` runs at the same time. */
const CONCURRENCY = 8;
/** How often `open` downloads a blob that other blobs displace from the cache at once. */
const MAX_ATTEMPTS = 3;

/**
 * The blobs of GitLab's repositories. Each is downloaded once and then read from the cache. The id of every download is
 * checked: wrong bytes throw Retry and are not kept.
 */
export class Blobs {
  readonly #parts: BlobsParts;
  readonly #limit = pLimit(CONCURRENCY);
  readonly #downloads = new SingleFlight<void>();

  constructor(parts: BlobsParts) {
    this.#parts = parts;
  }

  has(id: BlobId): boolean {
    return this.#parts.cache.has(id);
  }

  /** Adds a file of an archive to the cache, under its blob id. */
  async keep(id: BlobId, file: HashedFile): Promise<void> {
    await this.#parts.cache.keep(id, file);
  }

  /** Adds bytes to the cache. `idLength` as for `hashBytes`. */
  async keepBytes(bytes: Buffer, idLength: number): Promise<void> {
    const hashed = hashBytes(bytes, idLength);
    await this.keep(hashed.blob as BlobId, hashed);
  }

  /** Empties the cache, to free disk space for other files. */
  async clear(): Promise<void> {
    await this.#parts.cache.clear();
  }

  /** Opens a blob of a project. Downloads it first if necessary, once for all simultaneous callers. */
  async open(projectId: number, id: BlobId): Promise<OpenBlob> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const cached = await this.#parts.cache.open(id);
      if (cached) return cached;
      await this.#download(projectId, id);
    }
    throw new Retry(`blob ${id} of project ${projectId} does not stay in the blob cache: the cache may be too small`);
  }

  /** Downloads the given blobs that are not in the cache, several at a time. Rejects after the first failure. */
  async fetch(projectId: number, ids: Iterable<BlobId>): Promise<void> {
    let failed = false;
    const fetchNext = async (id: BlobId): Promise<void> => {
      if (failed || this.has(id)) return;
      await this.#download(projectId, id).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    };
    const results = await Promise.allSettled(Array.from(new Set(ids), (id) => this.#limit(fetchNext, id)));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
  }

  async #download(projectId: number, id: BlobId): Promise<void> {
    const { gitlab, cache, temporaryRoot } = this.#parts;
    // The key contains the project: a failure in one project must not affect the same blob of another project.
    await this.#downloads.run(`${projectId} ${id}`, () =>
      withTemporaryFolder(temporaryRoot, async (folder) => {
        const file = await hashUnsized(await gitlab.blob(projectId, id), id.length, folder).catch((error: unknown) => {
          throw asRetry(error, `reading blob ${id} of project ${projectId} broke off`);
        });
        if (file.blob !== id) {
          throw new Retry(`GitLab sent wrong bytes for blob ${id} of project ${projectId}`);
        }
        await cache.keep(id, file);
      }),
    );
  }
}
