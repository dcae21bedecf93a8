import { Gitlab } from '@gitbeaker/rest';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { Retry } from '../errors.ts';
import { isFileNotFound, undefinedIfNotFound } from './error-response.ts';
import { itemsFrom, MAX_PER_PAGE, type Page, type PageQuery } from './pages.ts';
import { readAtMost, toReadable } from './response-stream.ts';
import {
  branchSchema,
  commitSchema,
  parseResponse,
  projectSchema,
  tagSchema,
  treeSchema,
  type BlobId,
  type Commit,
  type CommitId,
  type Project,
  type Tag,
  type TreeEntry,
} from './schema.ts';
import { createTransport, type TransportOptions } from './transport.ts';

/** The connection to GitLab. `url` is the base URL without a final slash. `token` needs the scope `read_api`. */
export interface GitLabOptions extends TransportOptions {
  readonly url: string;
  readonly token: string;
}

/** Returns the options for a @gitbeaker resource that calls GitLab through the transport of modpress. */
export function resourceOptions(options: GitLabOptions): ConstructorParameters<typeof Gitlab>[0] {
  return {
    host: options.url,
    // The token is sent as a bearer token: on a redirect to another host, fetch removes this header, but would keep a
    // PRIVATE-TOKEN header.
    oauthToken: options.token,
    requesterFn: createTransport(options),
    // The transport has its own timeouts and limits.
    queryTimeout: null,
    rateLimits: {},
  };
}

/**
 * Reads from GitLab. An object that does not exist is `undefined`. Every other failure rejects with Retry, so that an
 * outage never looks like absence. Lists are read page by page, so memory use does not depend on their length.
 */
export class GitLabClient {
  readonly #api: InstanceType<typeof Gitlab>;

  constructor(options: GitLabOptions) {
    this.#api = new Gitlab(resourceOptions(options));
  }

  /** Reads a project by its id or full path. GitLab also finds a moved project by its old paths. */
  async project(id: number | string): Promise<Project | undefined> {
    return parseResponse(projectSchema, await undefinedIfNotFound(this.#api.Projects.show(id)), `project ${id}`);
  }

  /** Returns whether a group with this full path exists. */
  async hasGroup(path: string): Promise<boolean> {
    return (await undefinedIfNotFound(this.#api.Groups.show(path, { withProjects: false }))) !== undefined;
  }

  /**
   * Lists the projects of a group and its subgroups, including archived projects. Resolves to undefined if the group
   * does not exist.
   */
  async groupProjects(group: string): Promise<AsyncIterable<Project> | undefined> {
    const endpoint = `groups/${encodeURIComponent(group)}/projects`;
    const first = await this.#firstPage(endpoint, {
      include_subgroups: 'true',
      with_shared: 'false',
      order_by: 'id',
      sort: 'asc',
    });
    return first && this.#itemsFrom(first, z.array(projectSchema), endpoint);
  }

  /** Lists all projects that the token's user is a member of, including archived projects. */
  memberProjects(): AsyncIterable<Project> {
    return this.#items(z.array(projectSchema), 'projects', {
      membership: 'true',
      order_by: 'id',
      sort: 'asc',
      pagination: 'keyset',
    });
  }

  /** Reads a tag in its current state. */
  async tag(projectId: number, name: string): Promise<Tag | undefined> {
    const tag = await undefinedIfNotFound(this.#api.Tags.show(projectId, name));
    return parseResponse(tagSchema, tag, `tag ${name} of project ${projectId}`);
  }

  /**
   * Lists all tags of a project. The list is empty if the project does not exist or has no repository. GitLab's
   * parameter `search` is not used. Some versions of GitLab apply it within each page, and then treat that page as the
   * last one (app/finders/tags_finder.rb).
   */
  tags(projectId: number): AsyncIterable<Tag> {
    return this.#items(z.array(tagSchema), `projects/${projectId}/repository/tags`, {
      order_by: 'name',
      sort: 'asc',
      pagination: 'keyset',
    });
  }

  /** Reads the current commit at the tip of a branch. */
  async branch(projectId: number, name: string): Promise<Commit | undefined> {
    const branch = await undefinedIfNotFound(this.#api.Branches.show(projectId, name));
    return parseResponse(branchSchema, branch, `branch ${name} of project ${projectId}`);
  }

  /**
   * Reads a commit by its full or abbreviated id, or by `HEAD`. The commit need not be reachable from a branch or tag.
   */
  async commit(projectId: number, id: string): Promise<Commit | undefined> {
    const commit = await undefinedIfNotFound(this.#api.Commits.show(projectId, id));
    return parseResponse(commitSchema, commit, `commit ${id} of project ${projectId}`);
  }

  /**
   * Returns whether a commit is reachable from a branch or tag. A commit that exists only in a merge request is not
   * reachable.
   */
  async isReachable(projectId: number, commit: CommitId): Promise<boolean> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const first = await this.#items(z.array(z.unknown()), endpoint, { type: 'all' }).next();
    return first.done !== true;
  }

  /** Yields the names of the tags from which a commit is reachable, including tags on the commit itself. */
  async *tagsContaining(projectId: number, commit: CommitId): AsyncGenerator<string> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const schema = z.array(z.object({ name: z.string() }));
    for await (const { name } of this.#items(schema, endpoint, { type: 'tag' })) yield name;
  }

  /** Returns the best common ancestor of two commits; undefined if they have none. */
  async mergeBase(projectId: number, first: CommitId, second: CommitId): Promise<CommitId | undefined> {
    const base = await undefinedIfNotFound(this.#api.Repositories.mergeBase(projectId, [first, second]));
    return parseResponse(commitSchema, base, `merge base of ${first} and ${second}`)?.id;
  }

  /**
   * Yields all entries below a directory, recursively. The commit and the directory must exist. An empty `directory` is
   * the root.
   */
  async *tree(projectId: number, commit: CommitId, directory: string): AsyncGenerator<TreeEntry> {
    const endpoint = `projects/${projectId}/repository/tree`;
    const path = directory !== '' && { path: directory };
    const first = await this.#firstPage(endpoint, { ref: commit, recursive: 'true', pagination: 'keyset', ...path });
    // An empty list would mean a commit without go.mod. But GitLab also responds with 404 while Gitaly is down (see
    // `isFileNotFound`).
    if (!first) throw new Retry(`GitLab has no tree of commit ${commit} of project ${projectId}`);
    yield* this.#itemsFrom(first, treeSchema, endpoint);
  }

  /**
   * Reads the bytes of a file as git stores them; for a symlink, these are its target. Resolves to undefined if the
   * commit does not contain the file. The commit must exist. Rejects with Refuse if the file has more than `limit`
   * bytes.
   */
  async file(projectId: number, commit: CommitId, path: string, limit: number): Promise<Buffer | undefined> {
    const options = { lfs: false, asStream: true };
    const call = this.#api.RepositoryFiles.showRaw(projectId, path, commit, options);
    const body = await undefinedIfNotFound(call, isFileNotFound);
    if (body === undefined) return undefined;
    return readAtMost(toReadable(body, path), limit, path);
  }

  /** Opens a blob as a stream of its bytes. */
  async blob(projectId: number, blob: BlobId): Promise<Readable> {
    const options = { asStream: true, showExpanded: false } as const;
    const body = await undefinedIfNotFound(this.#api.Repositories.showBlobRaw(projectId, blob, options));
    if (body === undefined) {
      throw new Retry(`GitLab has no blob ${blob} of project ${projectId}, although a tree contains it`);
    }
    return toReadable(body, `blob ${blob}`);
  }

  /**
   * Opens the tar.gz archive of a commit, or of one of its directories, as a stream. The archive may be truncated,
   * because GitLab sends status 200 before the archive is complete (see `readArchive`).
   */
  async archive(projectId: number, commit: CommitId, directory: string): Promise<Readable> {
    const options = {
      fileType: 'tar.gz',
      sha: commit,
      asStream: true,
      // LFS files stay pointers, because the go command also gets the pointers.
      includeLfsBlobs: false,
      ...(directory !== '' && { path: directory }),
    } as const;
    const body = await undefinedIfNotFound(this.#api.Repositories.showArchive(projectId, options));
    if (body === undefined) throw new Retry(`GitLab has no archive of commit ${commit} of project ${projectId}`);
    return toReadable(body, `archive of ${commit}`);
  }

  /** Yields the items of a list. A list that does not exist counts as empty. */
  async *#items<T>(schema: z.ZodType<T[]>, endpoint: string, query: PageQuery): AsyncGenerator<T> {
    const first = await this.#firstPage(endpoint, query);
    if (first) yield* this.#itemsFrom(first, schema, endpoint);
  }

  /**
   * Yields the items of a list, starting with the page `first`. Throws Retry if a later page is missing, because an
   * incomplete list must not look complete.
   */
  #itemsFrom<T>(first: Page, schema: z.ZodType<T[]>, endpoint: string): AsyncGenerator<T> {
    return itemsFrom(first, schema, endpoint, async (query) => {
      const page = await this.#page(endpoint, query);
      if (!page) throw new Retry(`GitLab's list ${endpoint} disappeared while modpress was reading it`);
      return page;
    });
  }

  async #firstPage(endpoint: string, query: PageQuery): Promise<Page | undefined> {
    return await this.#page(endpoint, { ...query, per_page: `${MAX_PER_PAGE}` });
  }

  async #page(endpoint: string, query: PageQuery): Promise<Page | undefined> {
    return undefinedIfNotFound(this.#api.Projects.requester.get(endpoint, { searchParams: query }));
  }
}
