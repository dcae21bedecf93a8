import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { backfillProgressSchema, notBegun, type BackfillProgress } from './backfill-progress.ts';
import { backfillRequestSchema, type BackfillRequest } from './backfill-request.ts';

/** A backfill that was asked for over HTTP, as all replicas see it. */
export const backfillRunSchema = z.object({
  id: z.string(),
  /** Who has this may ask how far it is: the id_token that started it runs out sooner. */
  followToken: z.string(),
  request: backfillRequestSchema,
  progress: backfillProgressSchema,
});

/** A backfill that was asked for over HTTP. */
export type BackfillRun = z.infer<typeof backfillRunSchema>;

/** Does a backfill, telling how far it is, until it is over or the signal aborted. Rejects where it cannot be begun. */
export type BackfillWork = (
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
) => Promise<BackfillProgress>;

/**
 * Backfills that run in the background. Promises, for both implementations:
 * - a request that equals one which is not over folds into it;
 * - if the process that works on one dies, another takes it up within 20 seconds, and goes on where it was;
 * - the progress can be asked for until a day after the end;
 * - `close` cuts off what runs; shared with others, it is taken up by them or at the next start.
 */
export interface BackfillRuns {
  /** Starts one. Rejects if it cannot be recorded. */
  start(request: BackfillRequest): Promise<BackfillRun>;
  find(id: string): Promise<BackfillRun | undefined>;
  /** Has this process work on what was started. To be called once. */
  process(work: BackfillWork): void;
  close(): Promise<void>;
}

/** How long a run can be asked for, in milliseconds. */
export const KEPT_MS = 24 * 3_600_000;
/** How many backfills a process works on at a time. */
export const RUNS_AT_ONCE = 2;

/** A run that nobody works on yet. */
export function newRun(request: BackfillRequest): BackfillRun {
  return {
    id: randomUUID(),
    followToken: randomBytes(32).toString('hex'),
    request,
    progress: notBegun(request.dryRun),
  };
}

/** Whether two requests ask for the same. */
export function isSameRequest(one: BackfillRequest, other: BackfillRequest): boolean {
  return textOf(one) === textOf(other);
}

function textOf({ targets, since, dryRun }: BackfillRequest): string {
  return JSON.stringify([targets.toSorted(), since, dryRun]);
}
