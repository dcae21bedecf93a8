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

/** How to reach GitLab. `url` is the base URL without a final slash; `token` has the scope `read_api`. */
export interface GitLabOptions extends TransportOptions {
  readonly url: string;
  readonly token: string;
}

/** The options of a @gitbeaker resource that calls GitLab through our transport. */
export function resourceOptions(options: GitLabOptions): ConstructorParameters<typeof Gitlab>[0] {
  return {
    host: options.url,
    // As a bearer token: on a redirect to another host, fetch drops it, but would keep a PRIVATE-TOKEN header.
    oauthToken: options.token,
    requesterFn: createTransport(options),
    // The transport has its own time-outs and limits.
    queryTimeout: null,
    rateLimits: {},
  };
}

/**
 * Reads from GitLab. Something that does not exist is `undefined`. Every other failure rejects with Retry, so that an
 * outage never looks like absence. Lists are read page by page: their length costs no memory.
 */
export class GitLabClient {
  readonly #api: InstanceType<typeof Gitlab>;

  constructor(options: GitLabOptions) {
    this.#api = new Gitlab(resourceOptions(options));
  }

  /** A project by its id or full path. GitLab also finds a moved project by its old paths. */
  async project(id: number | string): Promise<Project | undefined> {
    return parseResponse(projectSchema, await undefinedIfNotFound(this.#api.Projects.show(id)), `project ${id}`);
  }

  /** Whether there is a group with this full path. */
  async hasGroup(path: string): Promise<boolean> {
    return (await undefinedIfNotFound(this.#api.Groups.show(path, { withProjects: false }))) !== undefined;
  }

  /** The projects of a group and all groups below it, archived ones included; undefined if there is no such group. */
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

  /** All projects that the token's user is a member of, archived ones included. */
  memberProjects(): AsyncIterable<Project> {
    return this.#items(z.array(projectSchema), 'projects', {
      membership: 'true',
      order_by: 'id',
      sort: 'asc',
      pagination: 'keyset',
    });
  }

  /** One tag in its present state. */
  async tag(projectId: number, name: string): Promise<Tag | undefined> {
    const tag = await undefinedIfNotFound(this.#api.Tags.show(projectId, name));
    return parseResponse(tagSchema, tag, `tag ${name} of project ${projectId}`);
  }

  /**
   * All tags of a project; none if the project is gone or has no repository. Does not use GitLab's `search`: some versions
   * apply it within each page, and then take that page for the last one (app/finders/tags_finder.rb).
   */
  tags(projectId: number): AsyncIterable<Tag> {
    return this.#items(z.array(tagSchema), `projects/${projectId}/repository/tags`, {
      order_by: 'name',
      sort: 'asc',
      pagination: 'keyset',
    });
  }

  /** The present commit at the tip of a branch. */
  async branch(projectId: number, name: string): Promise<Commit | undefined> {
    const branch = await undefinedIfNotFound(this.#api.Branches.show(projectId, name));
    return parseResponse(branchSchema, branch, `branch ${name} of project ${projectId}`);
  }

  /** A commit by its full or abbreviated id, or by `HEAD`. It need not be reachable from a branch or tag. */
  async commit(projectId: number, id: string): Promise<Commit | undefined> {
    const commit = await undefinedIfNotFound(this.#api.Commits.show(projectId, id));
    return parseResponse(commitSchema, commit, `commit ${id} of project ${projectId}`);
  }

  /** Whether a commit is reachable from a branch or tag. A commit that exists only in a merge request is not. */
  async isReachable(projectId: number, commit: CommitId): Promise<boolean> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const first = await this.#items(z.array(z.unknown()), endpoint, { type: 'all' }).next();
    return first.done !== true;
  }

  /** The names of the tags from which a commit is reachable. Tags on the commit itself are included. */
  async *tagsContaining(projectId: number, commit: CommitId): AsyncGenerator<string> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const schema = z.array(z.object({ name: z.string() }));
    for await (const { name } of this.#items(schema, endpoint, { type: 'tag' })) yield name;
  }

  /** The best common ancestor of two commits, if they have one. */
  async mergeBase(projectId: number, first: CommitId, second: CommitId): Promise<CommitId | undefined> {
    const base = await undefinedIfNotFound(this.#api.Repositories.mergeBase(projectId, [first, second]));
    return parseResponse(commitSchema, base, `merge base of ${first} and ${second}`)?.id;
  }

  /** All entries below a directory, recursively. Commit and directory must exist; an empty `directory` is the root. */
  async *tree(projectId: number, commit: CommitId, directory: string): AsyncGenerator<TreeEntry> {
    const endpoint = `projects/${projectId}/repository/tree`;
    const path = directory !== '' && { path: directory };
    const first = await this.#firstPage(endpoint, { ref: commit, recursive: 'true', pagination: 'keyset', ...path });
    // Not an empty list: that would mean a commit without go.mod. GitLab also answers 404 while Gitaly is down (see `isFileNotFound`).
    if (!first) throw new Retry(`GitLab has no tree of commit ${commit} of project ${projectId}`);
    yield* this.#itemsFrom(first, treeSchema, endpoint);
  }

  /**
   * The bytes of a file as git stores them; undefined if the commit lacks the file. For a symlink that is its target.
   * The commit must exist. Rejects with Refuse above `limit` bytes.
   */
  async file(projectId: number, commit: CommitId, path: string, limit: number): Promise<Buffer | undefined> {
    const options = { lfs: false, asStream: true };
    const call = this.#api.RepositoryFiles.showRaw(projectId, path, commit, options);
    const body = await undefinedIfNotFound(call, isFileNotFound);
    if (body === undefined) return undefined;
    return readAtMost(toReadable(body, path), limit, path);
  }

  /** The bytes of a blob as a stream. */
  async blob(projectId: number, blob: BlobId): Promise<Readable> {
    const options = { asStream: true, showExpanded: false } as const;
    const body = await undefinedIfNotFound(this.#api.Repositories.showBlobRaw(projectId, blob, options));
    if (body === undefined) {
      throw new Retry(`GitLab does not find blob ${blob} of project ${projectId}, although its tree lists it`);
    }
    return toReadable(body, `blob ${blob}`);
  }

  /**
   * The tar.gz archive of a commit, or of one directory of it, as a stream. The archive may break off:
   * GitLab sends status 200 before it knows whether it can finish (see `readArchive`).
   */
  async archive(projectId: number, commit: CommitId, directory: string): Promise<Readable> {
    const options = {
      fileType: 'tar.gz',
      sha: commit,
      asStream: true,
      // Files in LFS stay pointers, because the go command sees pointers.
      includeLfsBlobs: false,
      ...(directory !== '' && { path: directory }),
    } as const;
    const body = await undefinedIfNotFound(this.#api.Repositories.showArchive(projectId, options));
    if (body === undefined) throw new Retry(`GitLab has no archive of commit ${commit} of project ${projectId}`);
    return toReadable(body, `archive of ${commit}`);
  }

  /** The items of a list. A list that does not exist is empty. */
  async *#items<T>(schema: z.ZodType<T[]>, endpoint: string, query: PageQuery): AsyncGenerator<T> {
    const first = await this.#firstPage(endpoint, query);
    if (first) yield* this.#itemsFrom(first, schema, endpoint);
  }

  /**
   * The items of a list, from page `first` on. Rejects with Retry if a later page is missing: an incomplete list must
   * not pass as a complete one.
   */
  #itemsFrom<T>(first: Page, schema: z.ZodType<T[]>, endpoint: string): AsyncGenerator<T> {
    return itemsFrom(first, schema, endpoint, async (query) => {
      const page = await this.#page(endpoint, query);
      if (!page) throw new Retry(`GitLab's list ${endpoint} vanished while modpress read it`);
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
