import { LRUCache } from 'lru-cache';
import type { GitLabClient } from './client.ts';
import type { Project } from './schema.ts';

/** How long a project counts as it was when it was read, in milliseconds. */
const FRESH_MS = 20_000;
/** How many projects are kept. */
const MAX_PROJECTS = 10_000;

/**
 * Projects as they were a moment ago, absent ones included, for work that comes in numbers: the tags of one project, the
 * requests of one go command. Simultaneous reads of one project are one call. Failures are not kept.
 */
export class ProjectCache {
  readonly #entries: LRUCache<string, { readonly project: Project | undefined }, number | string>;

  constructor(gitlab: Pick<GitLabClient, 'project'>) {
    this.#entries = new LRUCache({
      max: MAX_PROJECTS,
      ttl: FRESH_MS,
      // A fetch whose place others need still has a result for its callers.
      ignoreFetchAbort: true,
      fetchMethod: async (_key, _stale, { context: id }) => ({ project: await gitlab.project(id) }),
    });
  }

  /** A project by its full path. Rejects with Retry where GitLab cannot be asked. */
  async atPath(path: string): Promise<Project | undefined> {
    return (await this.#entries.forceFetch(path, { context: path })).project;
  }

  /** A project by its id. A caller that knows its path passes it, so that a moved project is read again. */
  async withId(id: number, path: string | undefined): Promise<Project | undefined> {
    return (await this.#entries.forceFetch(`${id} ${path ?? ''}`, { context: id })).project;
  }
}
