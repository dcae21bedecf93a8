import type { RetryPolicy } from '../async/retry.ts';
import { Retry } from '../errors.ts';
import { ErrorResponse } from './error-response.ts';

/** The waits during a short outage, in milliseconds. They let a job keep the work that it has already done. */
const OUTAGE_WAITS_MS = [300, 1500];
/** The statuses that indicate a short outage. */
const OUTAGE_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);
/**
 * The longest Retry-After that a call waits for, in milliseconds. Without this wait, a long listing would start again
 * from the beginning.
 */
const MAX_RATE_LIMIT_WAIT_MS = 120_000;
const MAX_RATE_LIMIT_WAITS = 5;

/** GitLab could not be reached, or its response was truncated. */
export class NoResponse extends Retry {
  constructor(endpoint: string, cause: unknown) {
    super(`GitLab does not answer (${endpoint})`, { cause });
  }

  /**
   * Whether the headers of the response were too long for Node, whose limit is 16 KiB. GitLab repeats paths and page
   * tokens in its headers, so this happens again for the same call.
   */
  get hasLongHeaders(): boolean {
    return this.cause instanceof Error && 'code' in this.cause && this.cause.code === 'HPE_HEADER_OVERFLOW';
  }
}

/**
 * Decides how to retry one call to GitLab. Each call needs a new instance, because the instance counts the waits.
 *
 * - Only reads are retried.
 * - After a short outage, a call is retried twice.
 * - After a 429 with a Retry-After, a call is retried up to five times. A call for an archive is
 *   not retried after a 429: the wait can be a minute, and the job can use blobs instead.
 * - Any other error ends the call at once.
 */
export class CallRetryPolicy implements RetryPolicy {
  readonly #isRead: boolean;
  readonly #isArchive: boolean;
  #outageWaits = 0;
  #rateLimitWaits = 0;

  constructor({ isRead, isArchive }: { readonly isRead: boolean; readonly isArchive: boolean }) {
    this.#isRead = isRead;
    this.#isArchive = isArchive;
  }

  waitAfter(error: unknown): number | undefined {
    if (!this.#isRead) return undefined;
    if (error instanceof ErrorResponse && error.status === 429) return this.#waitForRateLimit(error);
    const isOutage =
      (error instanceof NoResponse && !error.hasLongHeaders) ||
      (error instanceof ErrorResponse && OUTAGE_STATUSES.has(error.status));
    return isOutage ? OUTAGE_WAITS_MS[this.#outageWaits++] : undefined;
  }

  #waitForRateLimit({ retryAfterMs }: ErrorResponse): number | undefined {
    if (this.#isArchive || retryAfterMs === undefined || retryAfterMs > MAX_RATE_LIMIT_WAIT_MS) return undefined;
    return this.#rateLimitWaits++ < MAX_RATE_LIMIT_WAITS ? retryAfterMs : undefined;
  }
}
