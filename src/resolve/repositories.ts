import { LRUCache } from 'lru-cache';
import type { Commit, CommitId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { goModOf, type GoMod } from '../module/modfile.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import { joinPath } from '../module/path-elements.ts';

/** A tag, and the commit it points at. */
export interface RepositoryTag {
  readonly name: string;
  readonly commit: CommitId;
}

/**
 * How long the list of a repository's tags counts as current, in milliseconds. A single go command requests it several
 * times.
 */
const TAGS_FRESH_MS = 5_000;
/** The maximum number of repositories whose lists of tags are cached. */
const MAX_TAG_LISTS = 500;
/** The maximum number of pairs of commits that are cached. */
const MAX_COMMIT_PAIRS = 50_000;
/** The maximum size of the cache of go.mod files, in bytes. */
const GOMOD_CACHE_BYTES = 32 * 2 ** 20;

/**
 * Reads the repositories of modules through GitLab's API. It caches go.mod files of commits, and whether one commit is
 * an ancestor of another, because neither ever changes. It caches lists of tags for a few seconds. Its methods reject
 * with Retry if GitLab cannot be reached.
 */
export class Repositories {
  readonly #gitlab: GitLabClient;
  readonly #tags = new LRUCache<number, readonly RepositoryTag[]>({
    max: MAX_TAG_LISTS,
    ttl: TAGS_FRESH_MS,
    // If a list is evicted from the cache while it is being read, its callers still receive it.
    ignoreFetchAbort: true,
    fetchMethod: (projectId) => this.#readTags(projectId),
  });
  readonly #ancestors = new LRUCache<string, boolean>({ max: MAX_COMMIT_PAIRS });
  /** The go.mod files. A missing file is cached too. */
  readonly #files = new LRUCache<string, { readonly gomod: GoMod | undefined }>({
    maxSize: GOMOD_CACHE_BYTES,
    sizeCalculation: ({ gomod }, key) =>
      (gomod ? gomod.bytes.length + gomod.declaredPath.length : 0) + key.length + 100,
  });

  constructor(gitlab: GitLabClient) {
    this.#gitlab = gitlab;
  }

  /**
   * Reads the commit of a tag. Resolves to undefined if there is no such tag, or if the tag does not point at a commit.
   */
  async tag(projectId: number, name: string): Promise<Commit | undefined> {
    const tag = await this.#gitlab.tag(projectId, name);
    return tag?.commit && tag.committedAt && { id: tag.commit, committedAt: tag.committedAt };
  }

  /** Reads the tip of a branch. Resolves to undefined if there is no such branch. */
  branch(projectId: number, name: string): Promise<Commit | undefined> {
    return this.#gitlab.branch(projectId, name);
  }

  /** Reads the tip of the default branch. Resolves to undefined for a repository without commits. */
  head(projectId: number): Promise<Commit | undefined> {
    return this.#gitlab.commit(projectId, 'HEAD');
  }

  /**
   * Reads the commit whose id begins with these hexadecimal digits. Resolves to undefined if the commit is not
   * reachable from a branch or a tag: the go command does not accept such a commit. In particular, a commit of an open
   * merge request does not count as a commit of the project.
   */
  async commit(projectId: number, digits: string): Promise<Commit | undefined> {
    const commit = await this.#gitlab.commit(projectId, digits);
    if (!commit?.id.startsWith(digits)) return undefined;
    return (await this.#gitlab.isReachable(projectId, commit.id)) ? commit : undefined;
  }

  /** Lists all tags that point at a commit, in the order of their names. */
  tags(projectId: number): Promise<readonly RepositoryTag[]> {
    return this.#tags.forceFetch(projectId);
  }

  /** Forgets the lists of tags. A list that is being read now is not cached. */
  forgetTags(): void {
    this.#tags.clear();
  }

  /** Reads a go.mod as git stores it. Resolves to undefined if the directory has no go.mod at this commit. */
  async goMod(projectId: number, commit: CommitId, directory: string): Promise<GoMod | undefined> {
    const path = joinPath(directory, 'go.mod');
    const key = `${projectId} ${commit} ${path}`;
    const cached = this.#files.get(key);
    if (cached) return cached.gomod;
    const bytes = await this.#gitlab.file(projectId, commit, path, MAX_GOMOD);
    const gomod = bytes && (await goModOf(bytes));
    this.#files.set(key, { gomod });
    return gomod;
  }

  /** Whether `ancestor` is the same commit as `descendant`, or one of its ancestors. */
  async isAncestor(projectId: number, ancestor: CommitId, descendant: CommitId): Promise<boolean> {
    if (ancestor === descendant) return true;
    const key = `${projectId} ${ancestor} ${descendant}`;
    const cached = this.#ancestors.get(key);
    if (cached !== undefined) return cached;
    const isAncestor = (await this.#gitlab.mergeBase(projectId, ancestor, descendant)) === ancestor;
    this.#ancestors.set(key, isAncestor);
    return isAncestor;
  }

  /** Lists the names of the tags from which a commit can be reached. */
  async tagsContaining(projectId: number, commit: CommitId): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for await (const name of this.#gitlab.tagsContaining(projectId, commit)) names.add(name);
    return names;
  }

  async #readTags(projectId: number): Promise<readonly RepositoryTag[]> {
    const tags: RepositoryTag[] = [];
    for await (const { name, commit } of this.#gitlab.tags(projectId)) {
      if (commit) tags.push({ name, commit });
    }
    return tags;
  }
}
