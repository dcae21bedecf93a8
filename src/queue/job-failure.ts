import type { Logger } from 'pino';
import { messageOf, Retry } from '../errors.ts';
import { LONGEST_TIMER_MS } from '../async/sleep.ts';
import type { TagJob } from './tag-job.ts';

/** The backoff of failed jobs, in milliseconds: `firstMs` after the first failure, doubling up to `maxMs`. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Called after each failed attempt. `attempt` counts from 1; `delayMs` is the wait before the next attempt. */
export type OnFailure = (job: TagJob, error: unknown, attempt: number, delayMs: number) => void;

/** The options of both queue implementations. */
export interface QueueOptions {
  readonly log: Logger;
  readonly onFailure?: OnFailure;
  /** By default, from one second to five minutes. */
  readonly backoff?: Backoff;
}

/** Handles a failed attempt. `attempt` counts from 1. Returns the delay before the next attempt, in milliseconds. */
export type AfterFailure = (job: TagJob, error: unknown, attempt: number) => number;

const DEFAULT_BACKOFF: Backoff = { firstMs: 1_000, maxMs: 300_000 };

/**
 * Returns the function that both queues call after a handler has failed. The function logs the failure and calls
 * `onFailure`. It returns `Retry.afterMs` if the error has one, or else the delay of the backoff.
 */
export function handleFailures(options: QueueOptions): AfterFailure {
  const { log, onFailure, backoff = DEFAULT_BACKOFF } = options;
  return (job, error, attempt) => {
    const delayMs = delayAfter(error, attempt, backoff);
    const fields = { ...job, attempt, delayMs };
    if (error instanceof Retry)
      log.warn({ event: 'job.retried', ...fields, reason: messageOf(error) }, 'the job failed and will be retried');
    else log.error({ event: 'job.failed', ...fields, err: error }, 'the job failed unexpectedly and will be retried');
    try {
      onFailure?.(job, error, attempt, delayMs);
    } catch (reportError) {
      log.error({ event: 'job.failure-not-counted', err: reportError }, 'the failure of the job could not be counted');
    }
    return delayMs;
  };
}

function delayAfter(error: unknown, attempt: number, { firstMs, maxMs }: Backoff): number {
  if (error instanceof Retry && error.afterMs !== undefined && error.afterMs >= 0) {
    return Math.min(Math.max(1, Math.ceil(error.afterMs)), LONGEST_TIMER_MS);
  }
  const fullMs = Math.min(maxMs, firstMs * 2 ** (attempt - 1), LONGEST_TIMER_MS);
  // A random part of up to a quarter is subtracted, so that jobs that failed together are not retried together.
  return Math.max(1, Math.round(fullMs * (1 - Math.random() / 4)));
}
