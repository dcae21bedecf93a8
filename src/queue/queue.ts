import type { TagJob } from './tag-job.ts';

/** What became of an `add`: a new job, or nothing to do because the same one already waits or runs. */
export type Added = 'queued' | 'folded';

/** Runs one job. Resolving means that an outcome was recorded. Rejecting means: again later (see Retry). */
export type Handler = (job: TagJob) => Promise<void>;

/** How many jobs are in which state; `delayed` ones wait for a retry. */
export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/**
 * Where jobs are put. Promises, for both implementations:
 * - when `add` resolves, the job is safe from everything the queue is safe from (Redis: the death of this process);
 * - jobs with the same project, tag and hint fold into one while it waits, is delayed or runs;
 * - a pushed tag comes before all listed ones: a sweep may have queued thousands, perhaps this tag among them;
 * - with `delivery` (GitLab's `webhook-id` or `Idempotency-Key`), a delivery seen in the last hour folds as well,
 *   also after its job is done; it counts as seen only once its job is safe.
 */
export interface JobSink {
  add(job: TagJob, delivery?: string): Promise<Added>;
}

/**
 * The whole queue, as the worker holds it. Promises, for both implementations:
 * - jobs of one project and tag never run at the same time, in all processes together, whatever their hints;
 * - a handler that rejects is run again: after `Retry.afterMs` if given, else with a backoff that doubles from
 *   one second to five minutes; there is no last attempt;
 * - a job whose worker died is run again by another;
 * - `close` takes no new work, waits for what runs, and then releases every connection and timer.
 */
export interface Queue extends JobSink {
  /** Starts running jobs, at most `concurrency` at a time in this process. To be called once. */
  process(concurrency: number, handler: Handler): void;
  counts(): Promise<QueueCounts>;
  /** Resolves if the queue can take jobs right now, else rejects with the reason. */
  check(): Promise<void>;
  close(): Promise<void>;
}
