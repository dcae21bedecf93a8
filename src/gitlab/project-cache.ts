import { LRUCache } from 'lru-cache';
import type { GitLabClient } from './client.ts';
import type { Project } from './schema.ts';

/** How long a project stays in the cache, in milliseconds. */
const FRESH_MS = 20_000;
/** How long a missing project stays in the cache, in milliseconds: it may be created, with a tag, at any moment. */
const ABSENT_MS = 2_000;
/** The maximum number of projects in the cache. */
const MAX_PROJECTS = 10_000;

/**
 * Caches projects for a short time, for work on many tags of one project or many requests of one go command. Also
 * caches that a project does not exist, but does not cache failures. Concurrent reads of one project share one call.
 */
export class ProjectCache {
  readonly #entries: LRUCache<string, { readonly project: Project | undefined }, number | string>;

  constructor(gitlab: Pick<GitLabClient, 'project'>) {
    this.#entries = new LRUCache({
      max: MAX_PROJECTS,
      ttl: FRESH_MS,
      // If the cache evicts a project while it is being read, the waiting callers still get the project.
      ignoreFetchAbort: true,
      fetchMethod: async (_key, _stale, { context: id, options }) => {
        const project = await gitlab.project(id);
        if (!project) options.ttl = ABSENT_MS;
        return { project };
      },
    });
  }

  /** Forgets all projects. A project that is being read now is not cached. */
  clear(): void {
    this.#entries.clear();
  }

  /** Returns the project at a full path; undefined if it does not exist. Rejects with Retry if GitLab fails. */
  async atPath(path: string): Promise<Project | undefined> {
    return (await this.#entries.forceFetch(path, { context: path })).project;
  }

  /**
   * Returns the project with an id; undefined if it does not exist. `path` is the path that the caller expects, if any.
   * A project that has moved is read again, because `path` is part of the cache key. Rejects with Retry if GitLab
   * fails.
   */
  async withId(id: number, path: string | undefined): Promise<Project | undefined> {
    return (await this.#entries.forceFetch(`${id} ${path ?? ''}`, { context: id })).project;
  }
}
