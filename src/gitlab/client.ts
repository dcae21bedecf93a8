import { Gitlab } from '@gitbeaker/rest';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { Refuse, Retry } from '../errors.ts';
import { retryIfNotFound, undefinedIfNotFound } from './error-response.ts';
import { blobHash } from './blob-hash.ts';
import { InvalidResponse } from './invalid-response.ts';
import { Lists, type OnUnreadableProject } from './lists.ts';
import { itemsFrom, nextQuery, type Page, type PageQuery, type ReadInvalidItem } from './pages.ts';
import { readAtMost, toReadable } from './response-stream.ts';
import {
  branchSchema,
  commitIdSchema,
  commitSchema,
  historyCommitSchema,
  parseResponse,
  projectSchema,
  tagSchema,
  treeEntrySchema,
  unreadableTagSchema,
  type BlobId,
  type Commit,
  type CommitId,
  type HistoryPage,
  type Project,
  type Tag,
  type TreeEntry,
} from './schema.ts';
import { hasLongHeaders, refuseIfTooLong } from './too-long.ts';
import { createTransport, type TransportOptions } from './transport.ts';

/** The connection to GitLab. `url` is the base URL without a final slash. `token` needs the scope `read_api`. */
export interface GitLabOptions extends TransportOptions {
  readonly url: string;
  readonly token: string;
  /** Called for each item of a list that cannot be read, and is left out or read in part. */
  readonly onInvalidItem?: (reason: string) => void;
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
 * outage never looks like absence. Only a name or path that is too long for GitLab rejects with Refuse. Lists are read page by page, so memory use does not depend on their length. An item of
 * a list that cannot be read costs only itself, where that does no harm.
 */
export class GitLabClient {
  /** The base URL of GitLab, without a trailing slash. */
  readonly url: string;
  readonly #api: InstanceType<typeof Gitlab>;
  readonly #lists: Lists;

  constructor(options: GitLabOptions) {
    this.url = options.url;
    this.#api = new Gitlab(resourceOptions(options));
    this.#lists = new Lists(this.#api.Projects.requester, options.onInvalidItem);
  }

  /** Returns GitLab's description of itself, unchecked. Rejects with GitLabNotFound if GitLab has no such route. */
  async metadata(): Promise<unknown> {
    // Every supported version of GitLab has this route (lib/api/metadata.rb).
    return (await this.#lists.page('version', {})).body;
  }

  /** Reads a project by its id or full path. GitLab also finds a moved project by its old paths. */
  async project(id: number | string): Promise<Project | undefined> {
    return parseResponse(
      projectSchema,
      await undefinedIfNotFound(this.#api.Projects.show(id), 'Project'),
      `project ${id}`,
    );
  }

  /** Returns whether a group with this full path exists. */
  async hasGroup(path: string): Promise<boolean> {
    const group = await undefinedIfNotFound(this.#api.Groups.show(path, { withProjects: false }), 'Group');
    return parseResponse(z.object({ id: z.number().int() }), group, `group ${path}`) !== undefined;
  }

  /**
   * Lists the projects of a group and its subgroups, including archived projects. Resolves to undefined if the group
   * does not exist.
   */
  async groupProjects(group: string, onUnreadable?: OnUnreadableProject): Promise<AsyncIterable<Project> | undefined> {
    const endpoint = `groups/${encodeURIComponent(group)}/projects`;
    const query = { include_subgroups: 'true', with_shared: 'false', order_by: 'id', sort: 'asc' };
    const first = await undefinedIfNotFound(this.#lists.firstPage(endpoint, query), 'Group');
    return first && this.#lists.itemsFrom(first, projectSchema, endpoint, this.#lists.leaveOut(onUnreadable));
  }

  /** Lists all projects that the token's user is a member of, including archived projects. */
  memberProjects(onUnreadable?: OnUnreadableProject): AsyncIterable<Project> {
    const query = { membership: 'true', order_by: 'id', sort: 'asc', pagination: 'keyset' };
    return this.#lists.items('projects', query, projectSchema, this.#lists.leaveOut(onUnreadable));
  }

  /** Reads a tag in its current state. */
  async tag(projectId: number, name: string): Promise<Tag | undefined> {
    const call = refuseIfTooLong(name, 'the name of the tag', () => this.#api.Tags.show(projectId, name));
    const tag = await undefinedIfNotFound(call, 'Tag', 'Project', 'nothing');
    return parseResponse(tagSchema, tag, `tag ${name} of project ${projectId}`);
  }

  /** Returns whether a tag exists. Rejects with Retry unless GitLab says so about the tag itself. */
  async hasTag(projectId: number, name: string): Promise<boolean> {
    return (await undefinedIfNotFound(this.#api.Tags.show(projectId, name), 'Tag')) !== undefined;
  }

  /**
   * Lists all tags of a project. The list is empty if the project has no repository. A tag that GitLab describes in
   * another form than documented is in the list too, because a tag that is missing counts as deleted. GitLab's parameter
   * `search` is not used. Some versions of GitLab apply it within each page, and then treat that page as the last one
   * (app/finders/tags_finder.rb).
   */
  tags(projectId: number): AsyncIterable<Tag> {
    const query = { order_by: 'name', sort: 'asc', pagination: 'keyset' };
    const readInvalid: ReadInvalidItem<Tag> = (item, reason) => {
      const { data: tag } = unreadableTagSchema.safeParse(item);
      if (tag === undefined) throw new InvalidResponse(reason);
      this.#lists.report(reason);
      return tag;
    };
    return this.#lists.items(tagsEndpoint(projectId), query, tagSchema, readInvalid, 'nothing');
  }

  /** Reads the current commit at the tip of a branch. */
  async branch(projectId: number, name: string): Promise<Commit | undefined> {
    const call = refuseIfTooLong(name, 'the name of the branch', () => this.#api.Branches.show(projectId, name));
    const branch = await undefinedIfNotFound(call, 'Branch', 'Project', 'nothing');
    return parseResponse(branchSchema, branch, `branch ${name} of project ${projectId}`);
  }

  /**
   * Reads a commit by its full or abbreviated id, or by `HEAD`. The commit need not be reachable from a branch or tag.
   */
  async commit(projectId: number, id: string): Promise<Commit | undefined> {
    const commit = await undefinedIfNotFound(this.#api.Commits.show(projectId, id), 'Commit', 'Project', 'nothing');
    if (commit === undefined) await this.#assertRepositoryWorks(projectId);
    return parseResponse(commitSchema, commit, `commit ${id} of project ${projectId}`);
  }

  /**
   * Returns whether a commit is reachable from a branch or tag. A commit that exists only in a merge request is not
   * reachable.
   */
  async isReachable(projectId: number, commit: CommitId): Promise<boolean> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const first = await this.#lists.items(endpoint, { type: 'all' }, z.looseObject({}), this.#lists.leaveOut()).next();
    return first.done !== true;
  }

  /** Yields the names of the tags from which a commit is reachable, including tags on the commit itself. */
  async *tagsContaining(projectId: number, commit: CommitId): AsyncGenerator<string> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const schema = z.object({ name: z.string() });
    for await (const { name } of this.#lists.items(endpoint, { type: 'tag' }, schema, this.#lists.leaveOut()))
      yield name;
  }

  /**
   * Returns the best common ancestor of a commit and of any of the others, as `git merge-base` does. If there are several
   * best ones, returns one of them. Returns undefined if no commit is a common ancestor. All commits must exist.
   */
  async mergeBase(projectId: number, commit: CommitId, ...others: readonly CommitId[]): Promise<CommitId | undefined> {
    const call = this.#api.Repositories.mergeBase(projectId, [commit, ...others]);
    const base = await undefinedIfNotFound(call, 'Merge Base');
    return parseResponse(commitIdSchema, base, `merge base of ${commit} and ${others.join(', ')}`);
  }

  /**
   * Reads a page of the commit `to` and its ancestors, without `from` and its ancestors. The commit `to` is the first one
   * on page 1. Both commits must exist.
   */
  async historyPage(
    projectId: number,
    { from, to }: { readonly from?: CommitId; readonly to: CommitId },
    page: number,
  ): Promise<HistoryPage> {
    const endpoint = `projects/${projectId}/repository/commits`;
    const query = { ref_name: from === undefined ? to : `${from}..${to}`, page: `${page}` };
    const response = await retryIfNotFound(this.#lists.firstPage(endpoint, query));
    const commits = parseResponse(z.array(historyCommitSchema), response.body, endpoint) ?? [];
    // A full page has a successor, even if that is empty (lib/api/commits.rb).
    return { commits, isLast: commits.length === 0 || nextQuery(response) === undefined };
  }

  /**
   * Yields all entries below a directory, recursively. The commit and the directory must exist. An empty `directory` is
   * the root.
   */
  async *tree(projectId: number, commit: CommitId, directory: string): AsyncGenerator<TreeEntry> {
    const endpoint = `projects/${projectId}/repository/tree`;
    const query = {
      ref: commit,
      recursive: 'true',
      pagination: 'keyset',
      ...(directory !== '' && { path: directory }),
    };
    // A page token contains the path of the last entry, and is in the URL and in the headers of the response.
    const read = async (page: Promise<Page>): Promise<Page> =>
      // A 404 is not an empty tree, which would mean a commit without go.mod.
      await retryIfNotFound(page).catch((error: unknown) => {
        if (hasLongHeaders(error))
          throw new Refuse(`a path in the tree of ${commit} is too long for GitLab to list it`);
        throw error;
      });
    const readNext = (next: PageQuery): Promise<Page> =>
      refuseIfTooLong(next['page_token'] ?? '', 'a path in the tree', () => read(this.#lists.page(endpoint, next)));
    const first = await refuseIfTooLong(directory, 'the directory', () => read(this.#lists.firstPage(endpoint, query)));
    // Without one entry, the version would have another checksum, so an invalid entry ends the listing.
    yield* itemsFrom(first, treeEntrySchema, endpoint, readNext);
  }

  /**
   * Reads the bytes of a file as git stores them; for a symlink, these are its target. Resolves to undefined if the
   * commit does not contain the file. The commit must exist. Rejects with Refuse if the file has more than `limit`
   * bytes or a path that is too long for GitLab.
   */
  async file(projectId: number, commit: CommitId, path: string, limit: number): Promise<Buffer | undefined> {
    // Like @gitbeaker, encodes dots too. Its own method does not return the headers.
    const file = encodeURIComponent(path).replaceAll('.', '%2E');
    const endpoint = `projects/${projectId}/repository/files/${file}/raw`;
    const searchParams = { ref: commit, lfs: 'false' };
    const call = refuseIfTooLong(path, 'the path of the file', () =>
      this.#api.RepositoryFiles.requester.get(endpoint, { searchParams, asStream: true }),
    );
    const response = await undefinedIfNotFound(call, 'File');
    if (response === undefined) return undefined;
    const body = toReadable(response.body, path);
    const blob = response.headers['x-gitlab-blob-id'];
    if (blob === undefined) {
      body.destroy();
      throw new Retry(
        `the response for ${path} of project ${projectId} is not from GitLab: it has no X-Gitlab-Blob-Id`,
      );
    }
    const bytes = await readAtMost(body, limit, path);
    if (blobHash(blob.length, bytes.length).update(bytes).digest('hex') === blob) return bytes;
    throw new InvalidResponse(`GitLab sent wrong bytes for ${path} of project ${projectId}`);
  }

  /** Opens a blob as a stream of its bytes. */
  async blob(projectId: number, blob: BlobId): Promise<Readable> {
    const options = { asStream: true, showExpanded: false } as const;
    const call = this.#api.Repositories.showBlobRaw(projectId, blob, options);
    // A tree contains the blob, so the blob exists.
    return toReadable(await retryIfNotFound(call), `blob ${blob}`);
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
    const call = refuseIfTooLong(directory, 'the directory', () =>
      this.#api.Repositories.showArchive(projectId, options),
    );
    // GitLab responds with 404 to every failure of an archive (lib/api/repositories.rb).
    return toReadable(await retryIfNotFound(call), `archive of ${commit}`);
  }

  /**
   * Rejects with Retry unless GitLab can read the repository. While Gitaly is down, GitLab responds with 404 for every
   * commit, and with 503 for the list of tags.
   */
  async #assertRepositoryWorks(projectId: number): Promise<void> {
    await undefinedIfNotFound(this.#lists.page(tagsEndpoint(projectId), { per_page: '1' }), 'Project', 'nothing');
  }
}

function tagsEndpoint(projectId: number): string {
  return `projects/${projectId}/repository/tags`;
}
