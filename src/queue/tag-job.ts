import { z } from 'zod';
import type { CommitId } from '../gitlab/schema.ts';

/** Parses a job as Redis stores it. A job that an older version stored has no priority and no strategy: it counts as pushed. */
export const tagJobSchema = z.object({
  projectId: z.number(),
  /** The tag's full name, without `refs/tags/`. */
  tag: z.string(),
  /**
   * What the tag points at, according to the sender: a commit, a tag object, or nothing. It only distinguishes jobs: two
   * deliveries of a tag with the same hint are one job. The hint is not trusted; the job reads the tag again.
   */
  hint: z.string(),
  /**
   * Where the job comes from. A developer waits for a `pushed` tag, so it runs before all `listed` tags: a sweep or a
   * backfill may have queued thousands of them.
   */
  priority: z.enum(['pushed', 'listed']).default('pushed'),
  /**
   * Where the bytes of the module come from:
   * - `archive` needs the fewest calls for a single version;
   * - `blobs` needs the fewest calls for many versions of a module, because most blobs are the same in the previous version;
   * - `shared tree` is `blobs` for a commit with several tagged versions, whose tree is read once for all of them.
   *
   * All of them give the same bytes (build/archive-or-blobs.ts).
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
  /** Whether the job may use a cached project. The many jobs of one listing then share one read. */
  allowCachedProject: z.boolean().optional(),
  /** Full path of the project in the listing. An outcome with another path shows that the project has moved. */
  listedPath: z.string().optional(),
});

/** A tag to process. The job reads everything else about it from GitLab when it runs. */
export type TagJob = Readonly<z.infer<typeof tagJobSchema>>;

/** A tag as GitLab listed it, as a job contains it. */
export type CachedTag = NonNullable<TagJob['cachedTag']>;

/** Returns the job for a pushed tag. */
export function pushedTag(projectId: number, tag: string, hint: string): TagJob {
  return { projectId, tag, hint, priority: 'pushed', strategy: 'archive' };
}

/** A tag in a listing, and whether other versions are tagged on the same commit. */
export interface ListedTag {
  readonly name: string;
  readonly commit: CommitId;
  readonly committedAt: Date;
  readonly sharesCommit: boolean;
}

/** Returns the job for a tag of a listing that was read at `readAt`. `path` is the project's full path, if the listing has it. */
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
 * Returns the key of the project and tag: jobs with the same key must not run at the same time. Percent-encoding removes
 * all characters with a meaning in a Redis key or in a job id of Bull (`:` above all), and `@` cannot occur inside a part.
 */
export function subjectOf(job: Pick<TagJob, 'projectId' | 'tag'>): string {
  return `${job.projectId}@${escape(job.tag)}`;
}

/** Returns the id of the job. Two jobs are equal if their project, tag and hint are. */
export function idOf(job: Pick<TagJob, 'projectId' | 'tag' | 'hint'>): string {
  return `${subjectOf(job)}@${escape(job.hint)}`;
}

function escape(text: string): string {
  // A lone surrogate would make encodeURIComponent throw.
  return encodeURIComponent(text.toWellFormed());
}
