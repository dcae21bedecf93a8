import { LRUCache } from 'lru-cache';
import { Refuse, Retry } from '../errors.ts';
import type { BlobId, CommitId, TreeEntry } from '../gitlab/schema.ts';
import { collect } from '../io/read-body.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';
import type { CommitFiles } from './commit-files.ts';
import type { BlobSupplyParts } from './from-blobs.ts';
import { prefetchFromArchive } from './prefetch.ts';
import { chooseBlobSource, reserveArchive } from './archive-or-blobs.ts';

/** The dependencies of `CommitTrees`. */
export interface CommitTreesParts extends BlobSupplyParts {
  readonly temporaryRoot: string;
}

/** The maximum size of a tree in memory, in bytes. For a larger tree, the directory of each module is listed instead. */
const MAX_TREE_BYTES = 10_000_000;
/** The maximum size of all trees in memory, in bytes. */
const MAX_HELD_BYTES = 20_000_000;
/** The size of an entry in memory without its path, in bytes. */
const ENTRY_BYTES = 200;
/** The size in the cache, in bytes, of the marker for a tree that is too large. */
const TOO_LARGE_BYTES = 20_000;
/** The maximum number of remembered blobs that archives lack or change. */
const MAX_UNARCHIVED_BLOBS = 50_000;
/** How long a repository whose archive is too large is remembered, in milliseconds. */
const TOO_LARGE_MS = 24 * 60 * 60_000;
/** The wait before the next request for the archive if GitLab specified no wait, in milliseconds. */
const RETRY_MS = 60_000;
const SYMLINK_MODE = '120000';

/** The trees of commits on which several versions are tagged. Each tree is read once for all these versions. */
export class CommitTrees {
  /** Blobs that GitLab's archives lack or change. Another archive would not provide them either. */
  readonly #unarchived = new LRUCache<BlobId, true>({ max: MAX_UNARCHIVED_BLOBS });
  /**
   * Projects whose archive is larger than the limit. Without this cache, each commit would cause another download of
   * 500 MiB.
   */
  readonly #tooLarge = new LRUCache<number, true>({ max: 10_000, ttl: TOO_LARGE_MS });
  readonly #trees: LRUCache<string, CommitTree | 'too large', TreePlace>;

  constructor(parts: CommitTreesParts) {
    const memory = { unarchived: this.#unarchived, tooLarge: this.#tooLarge };
    this.#trees = new LRUCache({
      maxSize: MAX_HELD_BYTES,
      // If an entry is evicted during its fetch, its callers still receive the result.
      ignoreFetchAbort: true,
      sizeCalculation: (tree) => (tree === 'too large' ? TOO_LARGE_BYTES : tree.bytes),
      fetchMethod: async (_key, _stale, { context: place }) => await readTree({ ...parts, ...memory, ...place }),
    });
  }

  /**
   * Reads the tree of a commit. Also loads most of the file contents into the blob cache if many are missing and an
   * archive is available. Resolves to undefined for a tree of more than about 50,000 entries.
   */
  async of(projectId: number, commit: CommitId): Promise<CommitFiles | undefined> {
    const tree = await this.#trees.forceFetch(`${projectId} ${commit}`, { context: { projectId, commit } });
    if (tree === 'too large') return undefined;
    await tree.prefetch();
    return tree;
  }
}

interface TreePlace {
  readonly projectId: number;
  readonly commit: CommitId;
}

interface CommitTreeParts extends CommitTreesParts, TreePlace {
  readonly unarchived: LRUCache<BlobId, true>;
  readonly tooLarge: LRUCache<number, true>;
}

async function readTree(parts: CommitTreeParts): Promise<CommitTree | 'too large'> {
  const entries = new Map<string, TreeEntry>();
  let bytes = 0;
  for await (const entry of parts.gitlab.tree(parts.projectId, parts.commit, '')) {
    if (entry.type === 'blob') entries.set(entry.path, entry);
    // Directories count too, because a tree can consist of directories alone.
    bytes += ENTRY_BYTES + entry.path.length;
    if (bytes > MAX_TREE_BYTES) return 'too large';
  }
  return new CommitTree(parts, entries, bytes);
}

/** The tree of a commit in memory. File contents come from the blob cache. */
class CommitTree implements CommitFiles {
  readonly #parts: CommitTreeParts;
  /** The files by their paths, in the order of the listing. */
  readonly #entries: ReadonlyMap<string, TreeEntry>;
  /** The size of the tree in memory, in bytes. */
  readonly bytes: number;
  /** The prefetch that is running or has succeeded. It is not repeated after a success. */
  #prefetching: Promise<void> | undefined;
  /** No archive is requested before this time, which is a value of performance.now(). */
  #notBefore = 0;

  constructor(parts: CommitTreeParts, entries: ReadonlyMap<string, TreeEntry>, bytes: number) {
    this.#parts = parts;
    this.#entries = entries;
    // LRUCache does not accept 0.
    this.bytes = bytes + 1;
  }

  async *tree(directory: string): AsyncGenerator<TreeEntry> {
    const prefix = directory === '' ? '' : `${directory}/`;
    for (const entry of this.#entries.values()) {
      if (entry.path.startsWith(prefix)) yield entry;
    }
  }

  async file(path: string, limit: number): Promise<Buffer | undefined> {
    const entry = this.#entries.get(path);
    if (!entry) return undefined;
    const { body } = await this.#parts.blobs.open(this.#parts.projectId, entry.blob);
    return await collect(body, limit, path);
  }

  /** Downloads one archive of the whole repository with the blobs of all its modules, if enough blobs are missing. */
  async prefetch(): Promise<void> {
    if (performance.now() < this.#notBefore) return;
    this.#prefetching ??= this.#prefetch().catch((error: unknown) => {
      this.#prefetching = undefined;
      throw error;
    });
    await this.#prefetching;
  }

  async #prefetch(): Promise<void> {
    const { blobs, unarchived, tooLarge, projectId, commit, temporaryRoot } = this.#parts;
    if (tooLarge.has(projectId)) return;
    const wanted = new Map<string, BlobId>();
    for (const { path, mode, blob } of this.#entries.values()) {
      if (mode !== SYMLINK_MODE && !unarchived.has(blob) && !blobs.has(blob)) wanted.set(path, blob);
    }
    const source = await chooseBlobSource(new Set(wanted.values()).size, () => reserveArchive(this.#parts, projectId));
    if (source.from === 'single blobs') return;
    if (source.from === 'later archive') return this.#postpone(source.waitMs);
    try {
      await withTemporaryFolder(temporaryRoot, (folder) =>
        prefetchFromArchive(this.#parts, { projectId, commit, directory: '' }, wanted, folder),
      );
    } catch (error) {
      // For example, another program has used up the archive limit. Until the next archive, blobs are fetched one by
      // one.
      if (error instanceof Retry) return this.#postpone(error.afterMs ?? RETRY_MS);
      // The repository is larger than a module may be, but each of its modules may be small enough.
      if (!(error instanceof Refuse)) throw error;
      tooLarge.set(projectId, true);
    }
    for (const blob of wanted.values()) {
      if (!blobs.has(blob)) unarchived.set(blob, true);
    }
  }

  #postpone(waitMs: number): void {
    this.#notBefore = performance.now() + waitMs;
    this.#prefetching = undefined;
  }
}
