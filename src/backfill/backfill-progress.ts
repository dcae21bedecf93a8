import { z } from 'zod';
import { messageOf } from '../errors.ts';

const count = z.int().nonnegative();

/** How far a backfill has come. It is kept in Redis and sent to whoever follows. */
export const backfillProgressSchema = z.object({
  /** `waiting` for a worker, `running`, `done`, or `failed` as a whole for the reason in `problem`. */
  state: z.enum(['waiting', 'running', 'done', 'failed']),
  dryRun: z.boolean(),
  startedAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  /** Projects in all and done. */
  projects: z.object({ found: count, done: count }),
  /** Tags that had no outcome, found so far and done. */
  tags: z.object({ found: count, done: count }),
  /** Tags that had an outcome before, and so cost nothing. */
  known: count,
  /** Tags that --since leaves out. */
  older: count,
  published: count,
  skipped: count,
  refused: count,
  failed: count,
  /** Tags that were gone when their turn came. */
  dismissed: count,
  /** Of a dry run: tags that have the form of a version, and others. */
  versions: count,
  others: count,
  /** Between 0 and 1. */
  fraction: z.number(),
  /** Why nothing goes on at the moment. */
  waiting: z.string().optional(),
  problem: z.string().optional(),
  /** Why tags were skipped, with how many. */
  skips: z.array(z.object({ reason: z.string(), count })),
  /** Refused and failed tags, the first of them. */
  troubles: z.array(
    z.object({ status: z.enum(['refused', 'failed']), project: z.string(), tag: z.string(), reason: z.string() }),
  ),
});

/** How far a backfill has come. */
export type BackfillProgress = z.infer<typeof backfillProgressSchema>;

/** Whether nothing more will come. */
export function isOver({ state }: Pick<BackfillProgress, 'state'>): boolean {
  return state === 'done' || state === 'failed';
}

/** The progress of a backfill that could not go on for some error. */
export function failedFor(error: unknown, progress: BackfillProgress): BackfillProgress {
  return { ...progress, state: 'failed', problem: messageOf(error), updatedAt: new Date().toISOString() };
}

/** The progress of a backfill that has not begun. */
export function notBegun(dryRun: boolean): BackfillProgress {
  const now = new Date().toISOString();
  const nothing = {
    known: 0,
    older: 0,
    published: 0,
    skipped: 0,
    refused: 0,
    failed: 0,
    dismissed: 0,
    versions: 0,
    others: 0,
  };
  const none = { found: 0, done: 0 };
  return {
    state: 'waiting',
    dryRun,
    startedAt: now,
    updatedAt: now,
    projects: none,
    tags: none,
    ...nothing,
    fraction: 0,
    skips: [],
    troubles: [],
  };
}
