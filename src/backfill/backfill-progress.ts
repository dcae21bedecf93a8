import { z } from 'zod';
import { messageOf } from '../errors.ts';

const count = z.int().nonnegative();

/**
 * The progress of a backfill. It is stored in Redis and sent to clients that follow the backfill, so its field names are a
 * contract.
 */
export const backfillProgressSchema = z.object({
  /** `waiting` for a worker, `running`, `done`, or `failed` as a whole, with the reason in `problem`. */
  state: z.enum(['waiting', 'running', 'done', 'failed']),
  dryRun: z.boolean(),
  startedAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  /** Projects found and projects done. */
  projects: z.object({ found: count, done: count }),
  /** Tags without an outcome: found so far, and done. */
  tags: z.object({ found: count, done: count }),
  /** Tags that already had an outcome. They cost no call. */
  known: count,
  /** Tags without an outcome that are older than `--since`. */
  older: count,
  published: count,
  skipped: count,
  refused: count,
  failed: count,
  /** Tags that were dismissed, mostly because they were deleted before their turn came. */
  dismissed: count,
  /** Tags to publish whose name ends in a valid version. */
  versions: count,
  /** Tags to publish that are no versions, and so will be skipped. */
  others: count,
  /** Share of the work that is done, from 0 to 1. */
  fraction: z.number(),
  /** Why the backfill is waiting at the moment. */
  waiting: z.string().optional(),
  problem: z.string().optional(),
  /** Why tags were skipped, with the number of tags for each reason. */
  skips: z.array(z.object({ reason: z.string(), count })),
  /** The first of the refused and failed tags. `tag` is empty for a project that failed. */
  troubles: z.array(
    z.object({ status: z.enum(['refused', 'failed']), project: z.string(), tag: z.string(), reason: z.string() }),
  ),
});

/** The progress of a backfill. */
export type BackfillProgress = z.infer<typeof backfillProgressSchema>;

/** Whether the backfill has ended, with success or without. */
export function isOver({ state }: Pick<BackfillProgress, 'state'>): boolean {
  return state === 'done' || state === 'failed';
}

/** The progress of a backfill that an error has ended. */
export function failedProgress(error: unknown, progress: BackfillProgress): BackfillProgress {
  return { ...progress, state: 'failed', problem: messageOf(error), updatedAt: new Date().toISOString() };
}

/** The progress of a backfill that has not begun. */
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
