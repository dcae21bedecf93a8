import type { Logger } from 'pino';
import { messageOf, Retry } from '../errors.ts';
import { LONGEST_TIMER_MS } from '../async/sleep.ts';
import type { TagJob } from './tag-job.ts';

/** How long failed jobs wait: `firstMs` after the first failure, doubling up to `maxMs`. Milliseconds. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Called after each failed attempt. `attempt` counts from 1; `delayMs` is how long the job now waits. */
export type OnFailure = (job: TagJob, error: unknown, attempt: number, delayMs: number) => void;

/** What both queues are made with. */
export interface QueueOptions {
  readonly log: Logger;
  readonly onFailure?: OnFailure;
  /** One second to five minutes unless given. */
  readonly backoff?: Backoff;
}

const usual: Backoff = { firstMs: 1_000, maxMs: 300_000 };

/**
 * Returns the function that both queues call when a handler has failed. It logs the failure, reports it to
 * `onFailure`, and returns for how many milliseconds the job is to wait: what Retry asked for, else the backoff.
 */
export function failureRule(options: QueueOptions): (job: TagJob, error: unknown, attempt: number) => number {
  const { log, onFailure, backoff = usual } = options;
  return (job, error, attempt) => {
    const delayMs = delayAfter(error, attempt, backoff);
    const facts = { ...job, attempt, delayMs };
    if (error instanceof Retry) log.warn({ ...facts, reason: messageOf(error) }, 'the job failed and will be retried');
    else log.error({ ...facts, err: error }, 'the job failed unexpectedly and will be retried');
    try {
      onFailure?.(job, error, attempt, delayMs);
    } catch (fault) {
      log.error({ err: fault }, 'the failure could not be reported');
    }
    return delayMs;
  };
}

function delayAfter(error: unknown, attempt: number, { firstMs, maxMs }: Backoff): number {
  if (error instanceof Retry && error.afterMs !== undefined && error.afterMs >= 0) {
    return Math.min(Math.max(1, Math.ceil(error.afterMs)), LONGEST_TIMER_MS);
  }
  const full = Math.min(maxMs, firstMs * 2 ** (attempt - 1), LONGEST_TIMER_MS);
  // Up to a quarter less, so that what failed together does not come back together.
  return Math.max(1, Math.round(full * (1 - Math.random() / 4)));
}
