import pLimit from 'p-limit';
import { SingleFlight } from '../async/single-flight.ts';
import { asRetry, Retry } from '../errors.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { InvalidResponse } from '../gitlab/invalid-response.ts';
import type { BlobId } from '../gitlab/schema.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import type { BlobCache, OpenBlob } from './blob-cache.ts';
import { hashBytes, hashUnsized, type HashedFile } from './hashed-file.ts';

/** The dependencies of `Blobs`. */
export interface BlobsParts {
  readonly gitlab: Pick<GitLabClient, 'blob'>;
  readonly cache: BlobCache;
  readonly temporaryRoot: string;
}

/** The maximum number of downloads that `fetch` runs at the same time. */
const CONCURRENCY = 8;
/**
 * The maximum number of downloads of one blob in a call of `open`. Other blobs may displace the blob from the cache
 * right after each download.
 */
const MAX_ATTEMPTS = 3;

/**
 * Provides the blobs of GitLab's repositories. Each blob is downloaded once and then read from the cache. The id of
 * every download is checked. A download with wrong bytes is not cached and rejects with Retry.
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

  /** Adds a file of an archive to the cache under its blob id. */
  async keep(id: BlobId, file: HashedFile): Promise<void> {
    await this.#parts.cache.keep(id, file);
  }

  /** Adds bytes to the cache under their blob id. `idLength` has the same meaning as in `hashFile`. */
  async keepBytes(bytes: Buffer, idLength: number): Promise<void> {
    const hashed = hashBytes(bytes, idLength);
    await this.keep(hashed.blob as BlobId, hashed);
  }

  /** Removes all blobs from the cache, to free disk space for other files. */
  async clear(): Promise<void> {
    await this.#parts.cache.clear();
  }

  /** Opens a blob of a project. Downloads the blob first if necessary, once for all concurrent callers. */
  async open(projectId: number, id: BlobId): Promise<OpenBlob> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const cached = await this.#parts.cache.open(id);
      if (cached) return cached;
      await this.#download(projectId, id);
    }
    throw new Retry(
      `other blobs displace blob ${id} of project ${projectId} from the blob cache, which may be too small`,
    );
  }

  /**
   * Downloads those of the given blobs that are not in the cache, several at the same time. After a failure, starts no
   * further download and rejects.
   */
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
    // The key contains the project, because a failure in one project must not affect the same blob of another project.
    await this.#downloads.run(`${projectId} ${id}`, () =>
      withTemporaryFolder(temporaryRoot, async (folder) => {
        const file = await hashUnsized(await gitlab.blob(projectId, id), id.length, folder).catch((error: unknown) => {
          throw asRetry(error, `the download of blob ${id} of project ${projectId} failed`);
        });
        if (file.blob !== id) {
          throw new InvalidResponse(`GitLab sent wrong bytes for blob ${id} of project ${projectId}`);
        }
        await cache.keep(id, file);
      }),
    );
  }
}
