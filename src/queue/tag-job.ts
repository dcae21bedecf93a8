import { z } from 'zod';
import type { CommitId } from '../gitlab/schema.ts';

/**
 * Parses a job as Redis stores it. A job from an older version of modpress may lack priority and strategy; it then
 * counts as pushed.
 */
export const tagJobSchema = z.object({
  projectId: z.number(),
  /** The tag's full name, without `refs/tags/`. */
  tag: z.string(),
  /**
   * The object that the tag points to, according to the sender: a commit, a tag object, or nothing. Two
   * deliveries of a tag with the same hint are one job. The job does not trust the hint: it reads the tag, and waits up
   * to a minute if GitLab still returns another object.
   */
  hint: z.string(),
  /** When a webhook announced the tag, ISO 8601. Undefined for a tag from a listing. */
  announcedAt: z.string().optional(),
  /** The full path of the project in the webhook. The job does not trust it, and only invalidates results with it. */
  announcedPath: z.string().optional(),
  /**
   * The origin of the job. A developer waits for a `pushed` tag, so it runs before all `listed` tags, of which a sweep
   * or a push of many tags may have queued thousands.
   */
  priority: z.enum(['pushed', 'listed']).default('pushed'),
  /**
   * The source of the module's bytes:
   * - `archive` needs the fewest calls for a single version.
   * - `blobs` needs the fewest calls for many versions of a module, because most blobs also occur in the previous
   *   version.
   * - `shared tree` means `blobs` for a commit with several tagged versions. The tree is read once for all of them.
   *
   * All strategies produce the same bytes (build/archive-or-blobs.ts).
   */
  strategy: z.enum(['archive', 'blobs', 'shared tree']).default('archive'),
  /** The tag as GitLab listed it. While the listing is recent, the job need not read the tag again. */
  cachedTag: z
    .object({
      /** Full commit id. */
      commit: z.string(),
      /** Committer time, ISO 8601. */
      committedAt: z.string(),
      /** When the listing was read, ISO 8601. */
      readAt: z.string(),
    })
    .optional(),
  /** Whether the job may use a cached project, so that the many jobs of one listing share one read. */
  allowCachedProject: z.boolean().optional(),
  /** The full path of the project in the listing. If an outcome has another path, the project has moved. */
  listedPath: z.string().optional(),
});

/** A tag to process. When the job runs, it reads everything else about the tag from GitLab. */
export type TagJob = Readonly<z.infer<typeof tagJobSchema>>;

/** A tag as GitLab listed it, in the form that a job contains. */
export type CachedTag = NonNullable<TagJob['cachedTag']>;

/** Returns the job for a pushed tag. `announcedPath` is the full path of the project in the webhook. */
export function pushedTag(
  projectId: number,
  tag: string,
  hint: string,
  announcedPath?: string,
  priority: TagJob['priority'] = 'pushed',
): TagJob {
  const job: TagJob = { projectId, tag, hint, priority, strategy: 'archive' };
  return announcedPath === undefined ? job : { ...job, announcedPath };
}

/** A tag in a listing. `sharesCommit` is true if other versions are tagged on the same commit. */
export interface ListedTag {
  readonly name: string;
  readonly commit: CommitId;
  readonly committedAt: Date;
  readonly sharesCommit: boolean;
}

/**
 * Returns the job for a tag of a listing that was read at `readAt`. `path` is the project's full path, if the listing
 * has it.
 */
export function listedTag(
  { id, path }: { readonly id: number; readonly path?: string | undefined },
  { name, commit, committedAt, sharesCommit }: ListedTag,
  readAt: Date,
): TagJob {
  return {
    projectId: id,
    tag: name,
    hint: commit,
    priority: 'listed',
    strategy: sharesCommit ? 'shared tree' : 'blobs',
    cachedTag: { commit, committedAt: committedAt.toISOString(), readAt: readAt.toISOString() },
    allowCachedProject: true,
    listedPath: path,
  };
}

/**
 * Returns a key for project and tag. Jobs with the same key must not run at the same time. Percent-encoding removes all
 * special characters of Redis keys and Bull job ids, above all `:`. It also removes `@`, which separates the parts.
 */
export function subjectOf(job: Pick<TagJob, 'projectId' | 'tag'>): string {
  return `${job.projectId}@${escape(job.tag)}`;
}

/** Returns the id of the job. Jobs with the same project, tag and hint have the same id. */
export function idOf(job: Pick<TagJob, 'projectId' | 'tag' | 'hint'>): string {
  return `${subjectOf(job)}@${escape(job.hint)}`;
}

function escape(text: string): string {
  // A lone surrogate would make encodeURIComponent throw.
  return encodeURIComponent(text.toWellFormed());
}
