import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { backfillProgressSchema, initialProgress, type BackfillProgress } from './backfill-progress.ts';
import { backfillRequestSchema, type BackfillRequest } from './backfill-request.ts';

/** The schema of a backfill run, as it is stored in Redis. */
export const backfillRunSchema = z.object({
  id: z.string(),
  /**
   * A token that allows its holder to follow the progress. The id_token of the caller may expire before the backfill
   * ends.
   */
  followToken: z.string(),
  request: backfillRequestSchema,
  progress: backfillProgressSchema,
});

/** A backfill that was requested over HTTP. */
export type BackfillRun = z.infer<typeof backfillRunSchema>;

/**
 * Runs a backfill and reports its progress, until the backfill ends or `signal` is aborted. Resolves to the last
 * progress. Rejects if the backfill cannot start.
 */
export type BackfillWork = (
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
) => Promise<BackfillProgress>;

/**
 * Backfills that run in the background. Both implementations promise:
 * - Equal requests share one run until it has ended.
 * - If the process that works on a run dies, another process on the same Redis continues the run within 20 seconds.
 * - The progress of a run can be read until a day after its end.
 * - `close` aborts the runs of this process. With Redis, another process continues them, or this process after a
 *   restart.
 */
export interface BackfillRuns {
  /** Starts a backfill, or returns the run of an equal request. Rejects if the run cannot be stored. */
  start(request: BackfillRequest): Promise<BackfillRun>;
  /** Finds a run by its id. Rejects if Redis cannot be reached. */
  find(id: string): Promise<BackfillRun | undefined>;
  /** Starts to process runs in this process. Called once. */
  process(work: BackfillWork): void;
  close(): Promise<void>;
}

/** How long a run can be found after its last change, in milliseconds. */
export const RETENTION_MS = 24 * 3_600_000;
/** The maximum number of runs that a process works on concurrently. */
export const MAX_CONCURRENT_RUNS = 2;

/** Creates a run that no process works on yet. */
export function newRun(request: BackfillRequest): BackfillRun {
  return {
    id: randomUUID(),
    followToken: randomBytes(32).toString('hex'),
    request,
    progress: initialProgress(request.dryRun),
  };
}

/** Whether two requests are equal. The order of the targets does not matter. */
export function isSameRequest(a: BackfillRequest, b: BackfillRequest): boolean {
  return canonicalText(a) === canonicalText(b);
}

function canonicalText({ targets, since, dryRun }: BackfillRequest): string {
  return JSON.stringify([targets.toSorted(), since, dryRun]);
}
