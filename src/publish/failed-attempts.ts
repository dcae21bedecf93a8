import { LRUCache } from 'lru-cache';
import { Retry } from '../errors.ts';
import { NoResponse } from '../gitlab/call-retry-policy.ts';
import { InvalidResponse } from '../gitlab/invalid-response.ts';
import type { TagJob } from '../queue/tag-job.ts';
import { isSystemError } from '../store/disk-errors.ts';

/**
 * The number of counted failures after which a tag is given up. With the delays of the queue, they take about an hour.
 */
const MAX_FAILURES = 20;
/** The maximum number of failing tags that are remembered. A forgotten tag begins again. */
const MAX_TAGS = 10_000;

interface Failures {
  count: number;
  /** The number of tags that had been processed at the last counted failure. */
  processed: number;
}

/**
 * Counts the failed attempts to process each tag, and decides when an attempt was the last one.
 *
 * - An outage never counts: that of GitLab, of the store or of Redis, a rate limit, a full disk, and every other error of
 *   the operating system, such as too many open files. No tag may be lost because of an outage.
 * - An invalid response of GitLab counts if modpress has processed another tag since. Otherwise, it can be an outage too.
 * - Every other error is a bug, or data that modpress does not expect. It always counts.
 */
export class FailedAttempts {
  readonly #failures = new LRUCache<string, Failures>({ max: MAX_TAGS });
  #processed = 0;

  /** Records that a tag was processed. */
  succeeded(job: TagJob): void {
    this.#processed++;
    this.#failures.delete(keyOf(job));
  }

  /** Records a failed attempt. Returns whether it was the last one. */
  isLast(job: TagJob, error: unknown): boolean {
    if (isOutage(error)) return false;
    const failures = this.#failures.get(keyOf(job));
    if (!failures) {
      this.#failures.set(keyOf(job), { count: 1, processed: this.#processed });
      return false;
    }
    if (error instanceof Retry && failures.processed === this.#processed) return false;
    failures.count++;
    failures.processed = this.#processed;
    return failures.count >= MAX_FAILURES;
  }
}

function keyOf({ projectId, tag, hint }: TagJob): string {
  return JSON.stringify([projectId, tag, hint]);
}

function isOutage(error: unknown): boolean {
  if (error instanceof InvalidResponse) return false;
  // A response that is not JSON, although its header says so.
  if (error instanceof NoResponse) return !(error.cause instanceof SyntaxError);
  return error instanceof Retry || isSystemError(error);
}
