import type { TagJob } from './tag-job.ts';

/** The result of an `add`: a new job was queued, or the job was folded into an equal one that waits or runs already. */
export type AddResult = 'queued' | 'folded';

/** Runs one job. Resolves once an outcome is recorded. Rejects if the job has to run again later (see Retry). */
export type Handler = (job: TagJob) => Promise<void>;

/** The number of jobs in each state. `delayed` jobs wait for a retry. */
export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/**
 * Accepts jobs. Every implementation guarantees:
 * - when `add` resolves, the job is as safe as the queue itself (on Redis: it survives the death of this process);
 * - a job is folded into another one with the same project, tag and hint that waits, is delayed or runs;
 * - a pushed tag runs before all listed tags: a sweep may have queued thousands of them, even the pushed tag itself;
 * - projects take turns: many tags of one project do not delay a tag of another one by more than a few jobs;
 * - with `delivery` (GitLab's `webhook-id` or `Idempotency-Key`), a repeated delivery of the last hour is folded too,
 *   even after its job is done; the queue remembers a delivery only once its job is safe.
 */
export interface JobSink {
  add(job: TagJob, delivery?: string): Promise<AddResult>;
}

/**
 * The whole queue, for the worker. Every implementation guarantees:
 * - the jobs of one project leave at least one slot of each process free, unless it has only one;
 * - jobs of one project and tag never run at the same time, in all processes together, whatever their hints;
 * - a job whose handler rejects runs again: after `Retry.afterMs` if given, else after a backoff that doubles from one
 *   second to five minutes; there is no last attempt;
 * - a job whose worker died is run by another one;
 * - `close` starts no more jobs, waits for the running ones, and then releases every connection and timer.
 */
export interface Queue extends JobSink {
  /** Starts running jobs, at most `concurrency` at a time in this process. Called once. */
  process(concurrency: number, handler: Handler): void;
  counts(): Promise<QueueCounts>;
  /** Resolves if the queue can accept jobs right now, else rejects with the reason. */
  check(): Promise<void>;
  close(): Promise<void>;
}
