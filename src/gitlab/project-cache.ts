import { LRUCache } from 'lru-cache';
import type { GitLabClient } from './client.ts';
import type { Project } from './schema.ts';

/** A project that was read this long ago or less is not read again. In milliseconds. */
const FRESH_MS = 20_000;
/** The cache holds at most this many projects. */
const MAX_PROJECTS = 10_000;

/**
 * Projects that were read from GitLab a moment ago, for work on many tags of one project, or many requests of one go
 * command. Also remembers that a project does not exist, but remembers no failure. Concurrent reads of one project
 * share one call.
 */
export class ProjectCache {
  readonly #entries: LRUCache<string, { readonly project: Project | undefined }, number | string>;

  constructor(gitlab: Pick<GitLabClient, 'project'>) {
    this.#entries = new LRUCache({
      max: MAX_PROJECTS,
      ttl: FRESH_MS,
      // A project that leaves the cache while it is being read still reaches the callers that wait for it.
      ignoreFetchAbort: true,
      fetchMethod: async (_key, _stale, { context: id }) => ({ project: await gitlab.project(id) }),
    });
  }

  /** A project by its full path; undefined if it does not exist. Rejects with Retry if GitLab fails. */
  async atPath(path: string): Promise<Project | undefined> {
    return (await this.#entries.forceFetch(path, { context: path })).project;
  }

  /** A project by its id. A caller that knows the path passes it, so that a moved project is read again. Rejects with Retry if GitLab fails. */
  async withId(id: number, path: string | undefined): Promise<Project | undefined> {
    return (await this.#entries.forceFetch(`${id} ${path ?? ''}`, { context: id })).project;
  }
}
