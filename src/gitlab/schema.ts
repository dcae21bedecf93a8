import { z } from 'zod';
import { Retry } from '../errors.ts';

declare const commitBrand: unique symbol;
declare const blobBrand: unique symbol;

/** A full commit id in lower-case hex. */
export type CommitId = string & { readonly [commitBrand]: true };
/** A full blob id in lower-case hex: the SHA-1 (or SHA-256) of the file's content as git stores it. */
export type BlobId = string & { readonly [blobBrand]: true };

const objectId = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
const commitId = objectId.transform((id) => id as CommitId);

/** A whole commit id: anything else would be looked up as the name of a branch or tag. */
export function parseCommit(text: string | undefined): CommitId | undefined {
  return text !== undefined && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? (text as CommitId) : undefined;
}

/** A project or group that waits for its deletion gets such a name until it is restored (Namespaces::MarkForDeletionBaseService, 18.x). */
const DELETION_SCHEDULED = /-deletion_scheduled-\d+(?:\/|$)/;

/** A project's JSON. */
export const projectSchema = z
  .object({
    id: z.number().int(),
    path_with_namespace: z.string(),
    http_url_to_repo: z.string(),
    archived: z.boolean().optional(),
    repository_access_level: z.string().nullish(),
    marked_for_deletion_at: z.string().nullish(),
    created_at: z.coerce.date().optional(),
    last_activity_at: z.coerce.date().optional(),
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

/** A commit's JSON. */
export const commitSchema = z
  .object({ id: commitId, committed_date: z.coerce.date() })
  .transform((commit) => ({ id: commit.id, committedAt: commit.committed_date }));

/** A tag's JSON. */
export const tagSchema = z
  .object({ name: z.string(), commit: commitSchema.nullable(), created_at: z.coerce.date().nullish() })
  .transform((tag) => ({
    name: tag.name,
    commit: tag.commit?.id,
    committedAt: tag.commit?.committedAt,
    createdAt: tag.created_at ?? undefined,
  }));

/** A branch's JSON, of which only the commit at its tip counts. */
export const branchSchema = z
  .object({ commit: commitSchema.nullable() })
  .transform((branch) => branch.commit ?? undefined);

/** A page of a tree's JSON. */
export const treeSchema = z.array(
  z
    .object({ path: z.string(), type: z.string(), mode: z.string(), id: objectId })
    .transform((entry) => ({ path: entry.path, type: entry.type, mode: entry.mode, blob: entry.id as BlobId })),
);

/** A commit, and when it was committed: the time that Go goes by. */
export type Commit = z.output<typeof commitSchema>;
/**
 * A project as the API shows it; `path` is its full path, such as `group/sub/lib`, `httpUrl` the address for git. GitLab
 * notes activity once an hour: a push moves `lastActivityAt` only if it lies an hour back (app/models/event.rb). Without
 * `hasCode` its repository is switched off, and everything in it answers 403. What GitLab calls empty (`empty_repo`) has
 * no branch; it may have tags (Repository#empty?).
 */
export type Project = z.output<typeof projectSchema>;
/** A tag; without commit if it points at something else (a blob, say). Only an annotated one has a time of its own. */
export type Tag = z.output<typeof tagSchema>;
/** An entry of a recursive tree listing; `type` is blob, tree, or commit for a submodule. */
export type TreeEntry = z.output<typeof treeSchema>[number];

/** A GitLab (or a proxy before it) that answers nonsense is treated as an outage: the tag waits. */
export function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T | undefined {
  if (value === undefined) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new Retry(`GitLab's answer for ${what} is not what its API documents: ${z.prettifyError(result.error)}`);
}
