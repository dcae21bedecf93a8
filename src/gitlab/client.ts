import { Gitlab } from '@gitbeaker/rest';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { Refuse, Retry } from '../errors.ts';
import {
  branchSchema,
  commitSchema,
  parse,
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
import { collect } from '../io/read-body.ts';
import { createTransport, NotFound, type TransportOptions } from './transport.ts';

const streamSchema = z.custom<ReadableStream>((body) => body instanceof globalThis.ReadableStream).nullable();

/** How to reach GitLab. `url` is the base URL without a final slash, `token` one with the scope `read_api`. */
export interface GitLabOptions extends TransportOptions {
  readonly url: string;
  readonly token: string;
}

/**
 * Everything modpress reads from GitLab. What does not exist is `undefined`; every other failure is a Retry, since
 * an outage must never look like absence. Listings come page by page, so that their length costs no memory.
 */
export class GitLabClient {
  readonly #api: InstanceType<typeof Gitlab>;

  constructor(options: GitLabOptions) {
    this.#api = new Gitlab({
      host: options.url,
      // As a bearer token: unlike PRIVATE-TOKEN, fetch does not carry it along to another host on a redirect.
      oauthToken: options.token,
      requesterFn: createTransport(options),
      // The requester has its own time-outs and limits.
      queryTimeout: null,
      rateLimits: {},
    });
  }

  /** A project by its id or full path. */
  async project(id: number | string): Promise<Project | undefined> {
    return parse(projectSchema, await orUndefined(this.#api.Projects.show(id)), `project ${id}`);
  }

  /** Whether there is a group of this full path. */
  async hasGroup(path: string): Promise<boolean> {
    return (await orUndefined(this.#api.Groups.show(path, { withProjects: false }))) !== undefined;
  }

  /** The projects of a group and all groups below it, archived ones included; undefined if there is no such group. */
  async groupProjects(group: string): Promise<AsyncIterable<Project> | undefined> {
    const endpoint = `groups/${encodeURIComponent(group)}/projects`;
    const first = await this.#page(endpoint, {
      include_subgroups: 'true',
      with_shared: 'false',
      order_by: 'id',
      sort: 'asc',
      per_page: PER_PAGE,
    });
    return first && this.#itemsFrom(z.array(projectSchema), endpoint, first);
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

  /** One tag, as it stands now. */
  async tag(projectId: number, name: string): Promise<Tag | undefined> {
    return parse(
      tagSchema,
      await orUndefined(this.#api.Tags.show(projectId, name)),
      `tag ${name} of project ${projectId}`,
    );
  }

  /**
   * All tags of a project; none if it is gone or has no repository. Without GitLab's `search`, which some of its versions
   * apply within each page and then take the page for the last (app/finders/tags_finder.rb).
   */
  tags(projectId: number): AsyncIterable<Tag> {
    return this.#items(z.array(tagSchema), `projects/${projectId}/repository/tags`, {
      order_by: 'name',
      sort: 'asc',
      pagination: 'keyset',
    });
  }

  /** The commit at the tip of a branch, as it stands now. */
  async branch(projectId: number, name: string): Promise<Commit | undefined> {
    return parse(
      branchSchema,
      await orUndefined(this.#api.Branches.show(projectId, name)),
      `branch ${name} of project ${projectId}`,
    );
  }

  /** The commit that a commit id, whole or abbreviated, or `HEAD` names, whether anything leads to it or not. */
  async commit(projectId: number, id: string): Promise<Commit | undefined> {
    return parse(
      commitSchema,
      await orUndefined(this.#api.Commits.show(projectId, id)),
      `commit ${id} of project ${projectId}`,
    );
  }

  /** Whether a branch or tag leads to a commit. One that was only ever offered in a merge request has none. */
  async isReachable(projectId: number, commit: CommitId): Promise<boolean> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    const first = await this.#items(z.array(z.unknown()), endpoint, { type: 'all' }).next();
    return first.done !== true;
  }

  /** The names of the tags from which a commit can be reached, that on the commit itself included. */
  async *tagsContaining(projectId: number, commit: CommitId): AsyncGenerator<string> {
    const endpoint = `projects/${projectId}/repository/commits/${commit}/refs`;
    for await (const { name } of this.#items(z.array(z.object({ name: z.string() })), endpoint, { type: 'tag' }))
      yield name;
  }

  /** The best common ancestor of two commits, if they have one. */
  async mergeBase(projectId: number, one: CommitId, other: CommitId): Promise<CommitId | undefined> {
    const found = await orUndefined(this.#api.Repositories.mergeBase(projectId, [one, other]));
    return parse(commitSchema, found, `merge base of ${one} and ${other}`)?.id;
  }

  /** Everything below a directory of a commit, which both exist, recursively; `directory` is empty for the root. */
  async *tree(projectId: number, commit: CommitId, directory: string): AsyncGenerator<TreeEntry> {
    const endpoint = `projects/${projectId}/repository/tree`;
    const path = directory !== '' && { path: directory };
    const first = await this.#page(endpoint, {
      ref: commit,
      recursive: 'true',
      pagination: 'keyset',
      ...path,
      per_page: PER_PAGE,
    });
    // An empty list would be a commit without a go.mod. GitLab finds no commit either while Gitaly is down (see `isNoSuchFile`).
    if (!first) throw new Retry(`GitLab has no tree of commit ${commit} of project ${projectId}`);
    yield* this.#itemsFrom(treeSchema, endpoint, first);
  }

  /** A file's bytes as git stores them (a symlink's are its target), if a commit, which exists, has one. Refuses more than `limit` bytes. */
  async file(projectId: number, commit: CommitId, path: string, limit: number): Promise<Buffer | undefined> {
    const options = { lfs: false, asStream: true };
    const body = await orUndefined(this.#api.RepositoryFiles.showRaw(projectId, path, commit, options), isNoSuchFile);
    if (body === undefined) return undefined;
    return readAtMost(toReadable(body, path), limit, path);
  }

  /** A blob's bytes as a stream. */
  async blob(projectId: number, blob: BlobId): Promise<Readable> {
    const options = { asStream: true, showExpanded: false } as const;
    const body = await orUndefined(this.#api.Repositories.showBlobRaw(projectId, blob, options));
    if (body === undefined)
      throw new Retry(`GitLab does not find blob ${blob} of project ${projectId}, which its tree names`);
    return toReadable(body, `blob ${blob}`);
  }

  /**
   * The tar.gz archive of a commit, or of one directory of it, as a stream. The caller has to reckon with an archive
   * that ends early: GitLab has sent its 200 by then.
   */
  async archive(projectId: number, commit: CommitId, directory: string): Promise<Readable> {
    const options = {
      fileType: 'tar.gz',
      sha: commit,
      asStream: true,
      // Large files stay pointers: that is what the go command sees.
      includeLfsBlobs: false,
      ...(directory !== '' && { path: directory }),
    } as const;
    const body = await orUndefined(this.#api.Repositories.showArchive(projectId, options));
    if (body === undefined) throw new Retry(`GitLab has no archive of commit ${commit} of project ${projectId}`);
    return toReadable(body, `archive of ${commit}`);
  }

  /**
   * The items of a paginated list, following `Link: rel="next"` however GitLab pages it. A list that does not exist
   * is empty; one that vanishes between two pages is a Retry, for half a list would pass as a whole one.
   */
  async *#items<T>(schema: z.ZodType<T[]>, endpoint: string, query: Record<string, string>): AsyncGenerator<T> {
    const first = await this.#page(endpoint, { ...query, per_page: PER_PAGE });
    if (first) yield* this.#itemsFrom(schema, endpoint, first);
  }

  /** The items of a list from a page on. */
  async *#itemsFrom<T>(schema: z.ZodType<T[]>, endpoint: string, first: Page): AsyncGenerator<T> {
    for (let page = first; ;) {
      yield* parse(schema, page.body, endpoint) ?? [];
      const next = nextQuery(page);
      if (!next) return;
      const following = await this.#page(endpoint, next);
      if (!following) throw new Retry(`GitLab's list ${endpoint} vanished while it was read`);
      page = following;
    }
  }

  /** One page of a list, if there is such a list. */
  async #page(endpoint: string, searchParams: Record<string, string>): Promise<Page | undefined> {
    return orUndefined(this.#api.Projects.requester.get(endpoint, { searchParams }));
  }
}

/** The most that GitLab gives. */
const PER_PAGE = '100';

/** A page of a list, of which the header `Link` leads to the next. */
export interface Page {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** The query of the page after this one, if there is one. */
export function nextQuery({ headers }: Pick<Page, 'headers'>): Record<string, string> | undefined {
  const next = /<([^>]+)>;\s*rel="next"/.exec(headers['link'] ?? '')?.[1];
  return next === undefined ? undefined : Object.fromEntries(new URL(next).searchParams);
}

/** `isAbsent` says whether a 404 means that what was asked for does not exist. */
async function orUndefined<T>(
  call: Promise<T>,
  isAbsent: (error: NotFound) => boolean = () => true,
): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof NotFound)) throw error;
    if (isAbsent(error)) return undefined;
    throw new Retry(error.message, { cause: error });
  }
}

/**
 * The 404 of a commit that lacks the file (lib/api/files.rb). One that says Commit is also what GitLab answers while Gitaly is
 * down (Commit.find in lib/gitlab/git/commit.rb), one that says Project what it answers once the token lost its access: a
 * go.mod that is missing for such a reason would leave its tag skipped for ever.
 */
function isNoSuchFile({ text }: NotFound): boolean {
  return text.includes('404 File Not Found');
}

function toReadable(body: unknown, what: string): Readable {
  const stream = parse(streamSchema, body, what);
  const readable = stream ? Readable.fromWeb(stream) : Readable.from([]);
  // Whoever reads it finds the error. Until then, a connection that drops must not end the process.
  return readable.on('error', () => undefined);
}

async function readAtMost(stream: Readable, limit: number, path: string): Promise<Buffer> {
  try {
    return await collect(stream, limit, path);
  } catch (error) {
    throw error instanceof Refuse ? error : new Retry(`reading ${path} from GitLab broke off`, { cause: error });
  }
}
