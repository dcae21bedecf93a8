import { Retry } from '../errors.ts';
import type { RetryPolicy } from './retry.ts';

/** The maximum number of attempts while the server names the wait: another client may be using up the rate limit. */
const RATE_LIMIT_ATTEMPTS = 10;
/** The maximum number of attempts during an outage. */
const OUTAGE_ATTEMPTS = 5;
/** The first wait during an outage; each further one is twice as long. */
const FIRST_WAIT_MS = 5_000;
/** If the server names a longer wait than this, a person has to act, for example renew the token. */
const MAX_WAIT_MS = 2 * 60_000;

/**
 * The retry policy of a command that does many pieces of work. Each piece is tried a few times; then the command continues
 * with the next piece. All pieces share one policy: after a piece failed for good in an outage, the outage retries stop
 * until a piece succeeds.
 */
export class CommandRetryPolicy implements RetryPolicy {
  readonly #isTemporary: (error: unknown) => boolean;
  /** Whether the last piece of work was given up during an outage. */
  #isDown = false;

  /** Retries the errors for which `isTemporary` returns true; gives up at once on any other error. */
  constructor(isTemporary: (error: unknown) => boolean) {
    this.#isTemporary = isTemporary;
  }

  waitAfter(error: unknown, attempt: number): number | undefined {
    if (!this.#isTemporary(error)) return undefined;
    const afterMs = error instanceof Retry ? error.afterMs : undefined;
    if (afterMs !== undefined) return attempt < RATE_LIMIT_ATTEMPTS && afterMs <= MAX_WAIT_MS ? afterMs : undefined;
    if (attempt < OUTAGE_ATTEMPTS && !this.#isDown) return FIRST_WAIT_MS * 2 ** (attempt - 1);
    this.#isDown = true;
    return undefined;
  }

  succeeded(): void {
    this.#isDown = false;
  }
}
