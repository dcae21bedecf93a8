import { LRUCache } from 'lru-cache';
import type { Commit, CommitId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { goModOf, type GoMod } from '../module/modfile.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import { joinPath } from '../module/path-elements.ts';
import { Histories, type HistoryMemory } from './histories.ts';

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
/** The maximum size of the cache of go.mod files, in bytes. */
const GOMOD_CACHE_BYTES = 32 * 2 ** 20;

/**
 * Reads the repositories of modules through GitLab's API. It caches go.mod files of commits, and which tagged commits are
 * in the history of a commit, because neither ever changes. It caches lists of tags for a few seconds. Its methods reject
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
  readonly #histories: Histories;
  /** The go.mod files. A missing file is cached too. */
  readonly #files = new LRUCache<string, { readonly gomod: GoMod | undefined }>({
    maxSize: GOMOD_CACHE_BYTES,
    sizeCalculation: ({ gomod }, key) =>
      (gomod ? gomod.bytes.length + gomod.declaredPath.length : 0) + key.length + 100,
  });

  /** `memory` keeps what takes many calls to find. By default, nothing is kept. */
  constructor(gitlab: GitLabClient, memory?: HistoryMemory) {
    this.#gitlab = gitlab;
    this.#histories = new Histories(gitlab, memory);
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
    const key = goModKey(projectId, commit, directory);
    const cached = this.#files.get(key);
    if (cached) return cached.gomod;
    const bytes = await this.#gitlab.file(projectId, commit, path, MAX_GOMOD);
    const gomod = bytes && (await goModOf(bytes));
    this.#files.set(key, { gomod });
    return gomod;
  }

  /**
   * Whether `goMod` has read the go.mod in a directory of a commit before, so that it makes no call. The answer may be
   * out of date at once, so it only helps to count calls.
   */
  hasReadGoMod(projectId: number, commit: CommitId, directory: string): boolean {
    return this.#files.has(goModKey(projectId, commit, directory));
  }

  /**
   * Resolves to the first of the candidates whose tag is on a commit or on one of its ancestors, and that `accepts`
   * accepts. Resolves to undefined without such a candidate. `accepts` is only called for candidates in the history.
   * Rejects with Postponed if this takes too many calls for one request.
   */
  async firstInHistory<T extends { readonly tag: RepositoryTag }>(
    projectId: number,
    commit: CommitId,
    candidates: readonly T[],
    accepts: (candidate: T) => Promise<boolean>,
  ): Promise<T | undefined> {
    const tags = await this.tags(projectId);
    const commits = candidates.map(({ tag }) => tag.commit);
    return await this.#histories.open(projectId, commit, commits, tags, async (history) => {
      for (const [index, candidate] of candidates.entries()) {
        const isInHistory = await history.includes(candidate.tag.commit, candidates.length - index);
        if (isInHistory && (await accepts(candidate))) return candidate;
      }
      return undefined;
    });
  }

  async #readTags(projectId: number): Promise<readonly RepositoryTag[]> {
    const tags: RepositoryTag[] = [];
    for await (const { name, commit } of this.#gitlab.tags(projectId)) {
      if (commit) tags.push({ name, commit });
    }
    return tags;
  }
}

function goModKey(projectId: number, commit: CommitId, directory: string): string {
  return `${projectId} ${commit} ${joinPath(directory, 'go.mod')}`;
}
