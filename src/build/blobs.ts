import pLimit from 'p-limit';
import { Refuse, Retry } from '../errors.ts';
import type { BlobId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { BlobCache, OpenBlob } from './blob-cache.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import { hashBytes, hashUnsized, type HashedFile } from './hashed-file.ts';

/** What fetching blobs needs. */
export interface BlobsParts {
  readonly gitlab: Pick<GitLabClient, 'blob'>;
  readonly cache: BlobCache;
  /** Folder for temporary files. */
  readonly temporaryRoot: string;
}

/** Blobs that are fetched at a time, by one process. */
const AT_A_TIME = 8;
/** A blob that others push out of the cache is fetched so often. */
const ATTEMPTS = 3;

/**
 * The blobs of GitLab's repositories, each fetched once and then read from the cache. Whatever comes in is proved by its
 * id: bytes that are others throw Retry and are not kept.
 */
export class Blobs {
  readonly #parts: BlobsParts;
  readonly #limit = pLimit(AT_A_TIME);
  readonly #fetching = new Map<string, Promise<void>>();

  constructor(parts: BlobsParts) {
    this.#parts = parts;
  }

  has(id: BlobId): boolean {
    return this.#parts.cache.has(id);
  }

  /** Keeps a file that came with an archive, under the blob id that it has. */
  async keep(id: BlobId, hashed: HashedFile): Promise<void> {
    await this.#parts.cache.keep(id, hashed);
  }

  /** Keeps bytes that came in another way. `idLength` as for `hashBytes`. */
  async keepBytes(bytes: Buffer, idLength: number): Promise<void> {
    const hashed = hashBytes(bytes, idLength);
    await this.keep(hashed.blob as BlobId, hashed);
  }

  /** Forgets all of them, so that others have their place on the disk. */
  async clear(): Promise<void> {
    await this.#parts.cache.clear();
  }

  /** A blob of a project; fetched if need be, at once for all who ask for it meanwhile. */
  async open(projectId: number, id: BlobId): Promise<OpenBlob> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#parts.cache.open(id);
      if (found) return found;
      await this.#fetchOnce(projectId, id);
    }
    throw new Retry(`blob ${id} of project ${projectId} does not stay in the cache of blobs`);
  }

  /** Fetches those of a project's blobs that are missing, several at a time. Stops at the first that fails. */
  async fetch(projectId: number, ids: Iterable<BlobId>): Promise<void> {
    let failed = false;
    const fetchNext = async (id: BlobId): Promise<void> => {
      if (failed || this.has(id)) return;
      await this.#fetchOnce(projectId, id).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    };
    const fetched = await Promise.allSettled(Array.from(new Set(ids), (id) => this.#limit(fetchNext, id)));
    const failure = fetched.find((one) => one.status === 'rejected');
    if (failure) throw failure.reason;
  }

  async #fetchOnce(projectId: number, id: BlobId): Promise<void> {
    // Not by the id alone: one project's failure is none of the other's.
    const key = `${projectId} ${id}`;
    const known = this.#fetching.get(key);
    if (known) return await known;
    const fetching = this.#fetch(projectId, id).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetching);
    await fetching;
  }

  async #fetch(projectId: number, id: BlobId): Promise<void> {
    const { gitlab, cache, temporaryRoot } = this.#parts;
    await withTemporaryFolder(temporaryRoot, async (folder) => {
      const hashed = await hashUnsized(await gitlab.blob(projectId, id), id.length, folder).catch((error: unknown) => {
        if (error instanceof Refuse || error instanceof Retry) throw error;
        throw new Retry(`reading blob ${id} of project ${projectId} broke off`, { cause: error });
      });
      if (hashed.blob !== id)
        throw new Retry(`GitLab sent other bytes than those of blob ${id} of project ${projectId}`);
      await cache.keep(id, hashed);
    });
  }
}
