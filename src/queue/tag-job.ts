import { z } from 'zod';
import type { CommitId } from '../gitlab/schema.ts';

/**
 * Who asked for the job: a `pushed` tag has somebody waiting for it and runs before all `listed` ones, of which a sweep or
 * a backfill may have queued thousands.
 */
export type Priority = 'pushed' | 'listed';

/**
 * Where the bytes of the module come from: `archive` costs the fewest calls for a single version. `blobs` serves one of
 * many versions, since most blobs were in the version before. `shared tree` is the same for a commit on which several
 * versions are tagged: its tree is read once for all of them. All of them give the same bytes (build/strategy.ts).
 */
export type BuildStrategy = 'archive' | 'blobs' | 'shared tree';

/** The tag as a listing of the project's tags showed it. While it is fresh, the job need not read the tag again. */
export interface CachedTag {
  /** Full commit id. */
  readonly commit: string;
  /** Committer time, ISO 8601. */
  readonly committedAt: string;
  /** When the listing was read, ISO 8601. */
  readonly readAt: string;
}

/** A tag to look at. Everything else about it is read from GitLab when the job runs. */
export interface TagJob {
  readonly projectId: number;
  /** The tag's full name, without `refs/tags/`. */
  readonly tag: string;
  /**
   * What the tag was said to point at: a commit, a tag object, or nothing. It comes from outside and only tells
   * deliveries apart (two deliveries about one position fold into one job); the job itself reads the tag again.
   */
  readonly hint: string;
  readonly priority: Priority;
  readonly strategy: BuildStrategy;
  readonly cachedTag?: CachedTag | undefined;
  /** Whether a project that was read a moment ago will do: jobs of one project, which come in numbers, share it. */
  readonly allowCachedProject?: boolean | undefined;
  /** Full path of the project in the listing. An outcome that names another path shows that the project has moved. */
  readonly listedPath?: string | undefined;
}

/** The job for a tag that was pushed. */
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

/** The job for a tag of a listing that was read at `readAt`. `path` is the project's full path, where the listing has it. */
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

/** A job as it is stored in Redis. A job of an older version has no priority and no strategy: it counts as pushed. */
export const tagJobSchema = z.object({
  projectId: z.number(),
  tag: z.string(),
  hint: z.string(),
  priority: z.enum(['pushed', 'listed']).default('pushed'),
  strategy: z.enum(['archive', 'blobs', 'shared tree']).default('archive'),
  cachedTag: z.object({ commit: z.string(), committedAt: z.string(), readAt: z.string() }).optional(),
  allowCachedProject: z.boolean().optional(),
  listedPath: z.string().optional(),
});

/**
 * What must not be worked on twice at once: one tag of one project. Percent-encoding leaves nothing that has a meaning in a
 * Redis key or in one of Bull's job ids (`:` above all), and `@` cannot occur inside a part.
 */
export function subjectOf(job: Pick<TagJob, 'projectId' | 'tag'>): string {
  return `${job.projectId}@${escape(job.tag)}`;
}

/** What makes two jobs the same one: project, tag and hint. */
export function idOf(job: Pick<TagJob, 'projectId' | 'tag' | 'hint'>): string {
  return `${subjectOf(job)}@${escape(job.hint)}`;
}

function escape(text: string): string {
  // A lone surrogate would make encodeURIComponent throw.
  return encodeURIComponent(text.toWellFormed());
}
