import { LRUCache } from 'lru-cache';
import type { Commit, CommitId } from '../gitlab/schema.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import { MAX_GOMOD } from '../module/zip/writer.ts';
import { joinPath } from '../module/elements.ts';

/** A tag that comes to a commit. */
export interface RepositoryTag {
  readonly name: string;
  readonly commit: CommitId;
}

/** For how long the list of a repository's tags may be taken as it was, in milliseconds: one command asks several times. */
const TAGS_FRESH_MS = 5_000;

/**
 * What can be asked of the repositories behind modules, with what cannot change remembered: a file of a commit, and
 * whether a commit is an ancestor of another. Rejects with Retry where GitLab cannot be asked.
 */
export class Repositories {
  readonly #gitlab: GitLabClient;
  readonly #tags = new LRUCache<number, Promise<readonly RepositoryTag[]>>({ max: 500, ttl: TAGS_FRESH_MS });
  readonly #ancestors = new LRUCache<string, boolean>({ max: 50_000 });
  /** Bytes of go.mod files; what is not there is remembered as well. */
  readonly #files = new LRUCache<string, { readonly bytes: Buffer | undefined }>({
    maxSize: 32 * 2 ** 20,
    sizeCalculation: ({ bytes }, key) => (bytes?.length ?? 0) + key.length + 100,
  });

  constructor(gitlab: GitLabClient) {
    this.#gitlab = gitlab;
  }

  /** What a tag comes to; undefined if there is none, or if it is the tag of something else than a commit. */
  async tag(projectId: number, name: string): Promise<Commit | undefined> {
    const tag = await this.#gitlab.tag(projectId, name);
    return tag?.commit && tag.committedAt && { id: tag.commit, committedAt: tag.committedAt };
  }

  branch(projectId: number, name: string): Promise<Commit | undefined> {
    return this.#gitlab.branch(projectId, name);
  }

  /** The tip of the default branch. */
  head(projectId: number): Promise<Commit | undefined> {
    return this.#gitlab.commit(projectId, 'HEAD');
  }

  /**
   * The commit whose id begins with these hexadecimal digits, if a branch or tag leads to it: the go command takes no
   * others, so that what was only offered in a merge request does not pass for the project's own.
   */
  async commit(projectId: number, digits: string): Promise<Commit | undefined> {
    const commit = await this.#gitlab.commit(projectId, digits);
    if (!commit?.id.startsWith(digits)) return undefined;
    return (await this.#gitlab.isReachable(projectId, commit.id)) ? commit : undefined;
  }

  /** All tags that come to a commit, in the order of their names. */
  tags(projectId: number): Promise<readonly RepositoryTag[]> {
    const known = this.#tags.get(projectId);
    if (known) return known;
    const tags = this.#readTags(projectId);
    this.#tags.set(projectId, tags);
    tags.catch(() => this.#tags.delete(projectId));
    return tags;
  }

  /** The bytes of a go.mod as git stores them, if the directory has one at this commit. */
  async goMod(projectId: number, commit: CommitId, directory: string): Promise<Buffer | undefined> {
    const path = joinPath(directory, 'go.mod');
    const key = `${projectId} ${commit} ${path}`;
    const known = this.#files.get(key);
    if (known) return known.bytes;
    const bytes = await this.#gitlab.file(projectId, commit, path, MAX_GOMOD);
    this.#files.set(key, { bytes });
    return bytes;
  }

  /** Whether the one commit is the other, or comes before it. */
  async isAncestor(projectId: number, ancestor: CommitId, descendant: CommitId): Promise<boolean> {
    if (ancestor === descendant) return true;
    const key = `${projectId} ${ancestor} ${descendant}`;
    const known = this.#ancestors.get(key);
    if (known !== undefined) return known;
    const found = (await this.#gitlab.mergeBase(projectId, ancestor, descendant)) === ancestor;
    this.#ancestors.set(key, found);
    return found;
  }

  /** The names of the tags from which a commit can be reached. */
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
