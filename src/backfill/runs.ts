import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { backfillProgressSchema, initialProgress, type BackfillProgress } from './backfill-progress.ts';
import { backfillRequestSchema, type BackfillRequest } from './backfill-request.ts';

/** A backfill that was requested over HTTP, as all replicas see it. */
export const backfillRunSchema = z.object({
  id: z.string(),
  /** Allows its holder to follow the progress. The id_token that started the backfill may expire before the end. */
  followToken: z.string(),
  request: backfillRequestSchema,
  progress: backfillProgressSchema,
});

/** A backfill that was requested over HTTP. */
export type BackfillRun = z.infer<typeof backfillRunSchema>;

/**
 * Runs a backfill and reports its progress, until it ends or `signal` is aborted. Resolves to the last progress. Rejects if
 * the backfill cannot begin.
 */
export type BackfillWork = (
  request: BackfillRequest,
  onProgress: (progress: BackfillProgress) => void,
  signal: AbortSignal,
) => Promise<BackfillProgress>;

/**
 * Backfills that run in the background. Both implementations promise:
 * - a request is merged with an equal one whose backfill has not ended: both get the same run;
 * - if the process that works on a run dies, another process of the same Redis takes over within 20 seconds and continues;
 * - the progress of a run can be read until a day after its end;
 * - `close` aborts the runs of this process. With Redis, another process continues them, or this one after its next start.
 */
export interface BackfillRuns {
  /** Starts a backfill. Rejects if the run cannot be stored. */
  start(request: BackfillRequest): Promise<BackfillRun>;
  /** Finds a run by its id. Rejects if Redis cannot be reached. */
  find(id: string): Promise<BackfillRun | undefined>;
  /** Makes this process work on runs. Called once. */
  process(work: BackfillWork): void;
  close(): Promise<void>;
}

/** How long a run can be found after its last change. */
export const RETENTION_MS = 24 * 3_600_000;
/** How many runs a process works on at a time. */
export const MAX_CONCURRENT_RUNS = 2;

/** A new run, on which no process works yet. */
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
