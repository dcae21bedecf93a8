import { LRUCache } from 'lru-cache';
import { Refuse, Retry } from '../errors.ts';
import type { BlobId, CommitId, TreeEntry } from '../gitlab/schema.ts';
import { collect } from '../io/read-body.ts';
import { reserveArchive } from './archive-limit.ts';
import type { FromBlobsParts } from './from-blobs.ts';
import type { CommitFiles } from './commit-files.ts';
import { areFew, prefetchFromArchive } from './prefetch.ts';
import { withTemporaryFolder } from '../io/temporary-folder.ts';

/** What reading whole trees needs. */
export interface CommitTreesParts extends FromBlobsParts {
  /** Folder for temporary files. */
  readonly temporaryRoot: string;
}

/** A larger tree is not held in memory: each module's directory is listed instead. About 200 bytes an entry. */
const MAX_ENTRIES = 50_000;
/** Of all trees that are held. */
const HELD_ENTRIES = 100_000;
/** Trees too large to be held are remembered as such; so many entries each. */
const TOO_LARGE_SIZE = 100;
/** So many blobs are remembered that no archive has as they are. */
const HELD_ABSENT = 50_000;
/** A repository whose archive is too large is remembered as such for so long, in milliseconds. */
const TOO_LARGE_MS = 24 * 60 * 60_000;
/** An archive that GitLab did not give is asked for again after so long, in milliseconds. */
const AGAIN_MS = 60_000;
const SYMLINK_MODE = '120000';

/** The trees of commits on which several versions are tagged: each is read once for all of them. */
export class CommitTrees {
  readonly #parts: CommitTreesParts;
  /** Blobs that GitLab leaves out of archives or changes there: they are no reason for another one. */
  readonly #absent = new LRUCache<BlobId, true>({ max: HELD_ABSENT });
  /** The projects whose archive is larger than any may be: half a gigabyte for nothing, for each commit. */
  readonly #tooLarge = new LRUCache<number, true>({ max: 10_000, ttl: TOO_LARGE_MS });
  readonly #held = new LRUCache<string, CommitTree | 'too large'>({
    maxSize: HELD_ENTRIES,
    sizeCalculation: (tree) => (tree === 'too large' ? TOO_LARGE_SIZE : tree.size),
  });
  readonly #reading = new Map<string, Promise<CommitTree | 'too large'>>();

  constructor(parts: CommitTreesParts) {
    this.#parts = parts;
  }

  /** The files of a commit, with most of their contents at hand if there is an archive to be had; undefined if they are too many. */
  async of(projectId: number, commit: CommitId): Promise<CommitFiles | undefined> {
    const tree = await this.#treeOf(projectId, commit);
    if (tree === 'too large') return undefined;
    await tree.fill();
    return tree;
  }

  async #treeOf(projectId: number, commit: CommitId): Promise<CommitTree | 'too large'> {
    const key = `${projectId} ${commit}`;
    const known = this.#held.get(key) ?? this.#reading.get(key);
    if (known) return await known;
    const reading = this.#read(projectId, commit).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    const tree = await reading;
    this.#held.set(key, tree);
    return tree;
  }

  async #read(projectId: number, commit: CommitId): Promise<CommitTree | 'too large'> {
    const entries: TreeEntry[] = [];
    for await (const entry of this.#parts.gitlab.tree(projectId, commit, '')) {
      if (entry.type === 'blob') entries.push(entry);
      if (entries.length > MAX_ENTRIES) return 'too large';
    }
    return new CommitTree({
      ...this.#parts,
      absent: this.#absent,
      tooLarge: this.#tooLarge,
      projectId,
      commit,
      entries,
    });
  }
}

interface CommitTreeParts extends CommitTreesParts {
  readonly absent: LRUCache<BlobId, true>;
  readonly tooLarge: LRUCache<number, true>;
  readonly projectId: number;
  readonly commit: CommitId;
  readonly entries: readonly TreeEntry[];
}

/** The tree of a commit, held in memory, with the contents from the cache of blobs. */
class CommitTree implements CommitFiles {
  readonly #parts: CommitTreeParts;
  /** Unless it has failed, it is not begun again. */
  #filling: Promise<void> | undefined;
  /** No archive is to be had before this time, in milliseconds of a clock that never jumps. */
  #fillAt = 0;

  constructor(parts: CommitTreeParts) {
    this.#parts = parts;
  }

  /** What it takes of the trees that may be held: never nothing. */
  get size(): number {
    return this.#parts.entries.length + 1;
  }

  async *tree(directory: string): AsyncGenerator<TreeEntry> {
    const prefix = directory === '' ? '' : `${directory}/`;
    for (const entry of this.#parts.entries) {
      if (entry.path.startsWith(prefix)) yield entry;
    }
  }

  async file(path: string, limit: number): Promise<Buffer | undefined> {
    const entry = this.#parts.entries.find((one) => one.path === path);
    if (!entry) return undefined;
    const { body } = await this.#parts.blobs.open(this.#parts.projectId, entry.blob);
    return await collect(body, limit, path);
  }

  /** One archive of the whole repository for the blobs of all modules in it, if many are missing and an archive is to be had. */
  async fill(): Promise<void> {
    if (performance.now() < this.#fillAt) return;
    this.#filling ??= this.#fill().catch((error: unknown) => {
      this.#filling = undefined;
      throw error;
    });
    await this.#filling;
  }

  async #fill(): Promise<void> {
    const { blobs, absent, tooLarge, projectId, commit, entries, temporaryRoot } = this.#parts;
    const wanted = new Map<string, BlobId>();
    for (const { path, mode, blob } of entries) {
      if (mode !== SYMLINK_MODE && !absent.has(blob) && !blobs.has(blob)) wanted.set(path, blob);
    }
    if (tooLarge.has(projectId) || areFew(new Set(wanted.values()))) return;
    const waitMs = await reserveArchive(this.#parts, projectId);
    if (waitMs > 0) {
      this.#fillAt = performance.now() + waitMs;
      this.#filling = undefined;
      return;
    }
    try {
      await withTemporaryFolder(temporaryRoot, (folder) =>
        prefetchFromArchive(this.#parts, { projectId, commit, directory: '' }, wanted, folder),
      );
    } catch (error) {
      // Somebody else has used up the limit, say: the blobs come one by one meanwhile.
      if (error instanceof Retry) {
        this.#fillAt = performance.now() + (error.afterMs ?? AGAIN_MS);
        this.#filling = undefined;
        return;
      }
      // Larger than any module may be. Those of the single modules are not.
      if (!(error instanceof Refuse)) throw error;
      tooLarge.set(projectId, true);
    }
    for (const blob of wanted.values()) {
      if (!blobs.has(blob)) absent.set(blob, true);
    }
  }
}
