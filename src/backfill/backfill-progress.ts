import { z } from 'zod';
import { messageOf } from '../errors.ts';

const count = z.int().nonnegative();

/**
 * The progress of a backfill. It is stored in Redis and sent to clients that follow the backfill, so its field names
 * are part of the API.
 */
export const backfillProgressSchema = z.object({
  /**
   * `waiting` means waiting for a worker. `failed` means that the whole backfill failed; `problem` contains the reason.
   */
  state: z.enum(['waiting', 'running', 'done', 'failed']),
  dryRun: z.boolean(),
  startedAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  /** Numbers of projects found and projects done. */
  projects: z.object({ found: count, done: count }),
  /** Numbers of tags without an outcome: found so far, and done. */
  tags: z.object({ found: count, done: count }),
  /** Number of tags that already had an outcome. */
  known: count,
  /** Number of tags without an outcome that are older than `--since`. */
  older: count,
  published: count,
  skipped: count,
  refused: count,
  failed: count,
  /** Number of tags that were dismissed, usually because they were deleted before the backfill processed them. */
  dismissed: count,
  /** Number of tags to process whose name ends in a valid version. */
  versions: count,
  /** Number of tags to process whose name does not end in a valid version. They will be skipped. */
  others: count,
  /** Share of the work that is done, from 0 to 1. */
  fraction: z.number(),
  /** Why the backfill is waiting now. */
  waiting: z.string().optional(),
  problem: z.string().optional(),
  /** Reasons for skipped tags, with the number of tags for each reason. */
  skips: z.array(z.object({ reason: z.string(), count })),
  /** The first refused and failed tags. `tag` is empty for a project whose tags could not be read. */
  troubles: z.array(
    z.object({ status: z.enum(['refused', 'failed']), project: z.string(), tag: z.string(), reason: z.string() }),
  ),
});

/** The progress of a backfill. */
export type BackfillProgress = z.infer<typeof backfillProgressSchema>;

/** Whether the backfill has ended, successfully or not. */
export function isOver({ state }: Pick<BackfillProgress, 'state'>): boolean {
  return state === 'done' || state === 'failed';
}

/** Returns the progress of a backfill that failed with `error`. `progress` is its last progress. */
export function failedProgress(error: unknown, progress: BackfillProgress): BackfillProgress {
  return { ...progress, state: 'failed', problem: messageOf(error), updatedAt: new Date().toISOString() };
}

/** Returns the progress of a backfill that has not begun. */
export function initialProgress(dryRun: boolean): BackfillProgress {
  const now = new Date().toISOString();
  return {
    state: 'waiting',
    dryRun,
    startedAt: now,
    updatedAt: now,
    projects: { found: 0, done: 0 },
    tags: { found: 0, done: 0 },
    known: 0,
    older: 0,
    published: 0,
    skipped: 0,
    refused: 0,
    failed: 0,
    dismissed: 0,
    versions: 0,
    others: 0,
    fraction: 0,
    skips: [],
    troubles: [],
  };
}
