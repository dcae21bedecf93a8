import { Retry } from '../errors.ts';
import type { RetryPolicy } from './retry.ts';

/** The attempts while the other side says when to come back: another client may be using up the rate limit. */
const RATE_LIMIT_ATTEMPTS = 10;
/** The attempts during an outage. */
const OUTAGE_ATTEMPTS = 5;
/** The first wait during an outage; each further one is twice as long. */
const FIRST_WAIT_MS = 5_000;
/** A longer wait than this means that a person has to act, for example renew the token. */
const MAX_WAIT_MS = 2 * 60_000;

/**
 * The retries of a command that does many pieces of work: a few for each piece, then the command goes on with the next one.
 * One policy serves all pieces: after one was given up in an outage, the next ones are not retried until one succeeds.
 */
export class CommandRetryPolicy implements RetryPolicy {
  readonly #isTemporary: (error: unknown) => boolean;
  /** Whether the last piece of work was given up during an outage. */
  #isDown = false;

  /** Retries the errors for which `isTemporary` returns true; gives up at once on all others. */
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
