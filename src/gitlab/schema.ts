import { z } from 'zod';
import { Retry } from '../errors.ts';
import { InvalidResponse } from './invalid-response.ts';

declare const commitBrand: unique symbol;
declare const blobBrand: unique symbol;

/** A full commit id in lower-case hex. */
export type CommitId = string & { readonly [commitBrand]: true };
/** A full blob id in lower-case hex: the SHA-1 (or SHA-256) of the file's content as git stores it. */
export type BlobId = string & { readonly [blobBrand]: true };

/** A SHA-1 id has 40 digits, and a SHA-256 id has 64. */
const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const objectId = z.string().regex(OBJECT_ID);
const commitId = objectId.transform((id) => id as CommitId);

/**
 * Returns the text as a commit id; undefined if it is not a full id. GitLab would look up any other text as a branch or
 * tag.
 */
export function parseCommit(text: string | undefined): CommitId | undefined {
  return text !== undefined && OBJECT_ID.test(text) ? (text as CommitId) : undefined;
}

/** The latest time that a Date can represent, in the year 275760. It stands for every time after the year 9999. */
const LATEST_TIME = new Date(8.64e15);

/**
 * Parses a time in ISO 8601. A commit can be dated after the year 9999. GitLab writes such a year with five or more
 * digits, as Ruby does, and JavaScript cannot read this form.
 */
const time = z.string().transform((text, context) => {
  const date = new Date(text);
  if (/^\+?\d{5,}-/.test(text) || date.getUTCFullYear() > 9999) return LATEST_TIME;
  if (!Number.isNaN(date.getTime())) return date;
  context.addIssue('not a time');
  return z.NEVER;
});

/**
 * The suffix that GitLab adds to the path of a project or group that is scheduled for deletion
 * (Namespaces::MarkForDeletionBaseService, 18.x).
 */
const DELETION_SCHEDULED = /-deletion_scheduled-\d+(?:\/|$)/;

/** Parses the JSON of a project. */
export const projectSchema = z
  .object({
    id: z.number().int(),
    path_with_namespace: z.string(),
    http_url_to_repo: z.string(),
    archived: z.boolean().optional(),
    repository_access_level: z.string().nullish(),
    marked_for_deletion_at: z.string().nullish(),
    created_at: time.optional().catch(undefined),
    last_activity_at: time.optional().catch(undefined),
  })
  .transform((project) => ({
    id: project.id,
    path: project.path_with_namespace,
    httpUrl: project.http_url_to_repo,
    archived: project.archived === true,
    hasCode: project.repository_access_level !== 'disabled',
    isBeingDeleted:
      typeof project.marked_for_deletion_at === 'string' || DELETION_SCHEDULED.test(project.path_with_namespace),
    createdAt: project.created_at,
    lastActivityAt: project.last_activity_at,
  }));

/** Parses only the id in the JSON of a commit. */
export const commitIdSchema = z.object({ id: commitId }).transform(({ id }) => id);

/** Parses the JSON of a commit. */
export const commitSchema = z
  .object({ id: commitId, committed_date: time })
  .transform((commit) => ({ id: commit.id, committedAt: commit.committed_date }));

/** Parses the id and the parents in the JSON of a commit. */
export const historyCommitSchema = z
  .object({ id: commitId, parent_ids: z.array(commitId) })
  .transform((commit) => ({ id: commit.id, parents: commit.parent_ids }));

/** Parses the JSON of a tag. */
export const tagSchema = z
  .object({
    name: z.string(),
    target: z.string().nullish(),
    commit: commitSchema.nullable(),
    created_at: time.nullish().catch(undefined),
  })
  .transform((tag) => ({
    name: tag.name,
    commit: tag.commit?.id,
    committedAt: tag.commit?.committedAt,
    createdAt: tag.created_at ?? undefined,
    target: tag.target ?? undefined,
  }));

/** Parses what can be read of a tag that does not match `tagSchema`. Without its name, nothing can be read. */
export const unreadableTagSchema = z
  .object({ name: z.string(), commit: z.object({ id: commitId }).optional().catch(undefined) })
  .transform((tag) => ({
    name: tag.name,
    commit: tag.commit?.id,
    committedAt: undefined,
    createdAt: undefined,
    target: undefined,
  }));

/** Parses the JSON of a branch to the commit at its tip. */
export const branchSchema = z
  .object({ commit: commitSchema.nullable() })
  .transform((branch) => branch.commit ?? undefined);

/** Parses the JSON of an entry of a tree listing. */
export const treeEntrySchema = z
  .object({ path: z.string(), type: z.string(), mode: z.string(), id: objectId })
  .transform((entry) => ({ path: entry.path, type: entry.type, mode: entry.mode, blob: entry.id as BlobId }));

/**
 * A commit and its committer date, which the go command uses as the time of a version. A date after the year 9999 is
 * the latest possible one.
 */
export type Commit = z.output<typeof commitSchema>;
/** A page of the history of a commit. `isLast` is true if no page follows. */
export interface HistoryPage {
  readonly commits: readonly z.output<typeof historyCommitSchema>[];
  readonly isLast: boolean;
}
/**
 * A project. `path` is its full path, such as `group/sub/lib`, and `httpUrl` is its URL for git.
 *
 * - GitLab records activity at most once an hour: a push changes `lastActivityAt` only if its value is an hour old
 *   (app/models/event.rb).
 * - If `hasCode` is false, the repository is disabled, and every call for the repository gets a 403.
 * - A project that GitLab calls empty (`empty_repo`) has no branch, but may have tags (Repository#empty?).
 */
export type Project = z.output<typeof projectSchema>;
/**
 * A tag. `commit` is undefined if the tag points to another object, such as a blob. Only an annotated tag has
 * `createdAt`. In a list, `committedAt` is also undefined if GitLab describes the commit in a form that cannot be read.
 */
export type Tag = z.output<typeof tagSchema>;
/** An entry of a recursive tree listing. `type` is `blob`, `tree`, or `commit` for a submodule. */
export type TreeEntry = z.output<typeof treeEntrySchema>;

/**
 * Parses a response; returns undefined for undefined. Throws InvalidResponse if the response does not match the schema,
 * and a plain Retry if it is not JSON: it is then from a server in front of GitLab, which is an outage. `subject` is the
 * name of the response for error messages.
 */
export function parseResponse<T>(schema: z.ZodType<T>, value: unknown, subject: string): T | undefined {
  if (value === undefined) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const message = `GitLab's response for ${subject} does not match the documentation of its API: ${z.prettifyError(result.error)}`;
  throw value instanceof ArrayBuffer ? new Retry(message) : new InvalidResponse(message);
}
