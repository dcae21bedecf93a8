import { Retry } from '../errors.ts';
import type { RetryPolicy } from './retry.ts';

/**
 * The maximum number of attempts if the server specifies the wait. It is high because another client may be using up
 * the rate limit.
 */
const RATE_LIMIT_ATTEMPTS = 10;
/** The maximum number of attempts during an outage. */
const OUTAGE_ATTEMPTS = 5;
/** The first wait during an outage, in milliseconds. Each further wait is twice as long. */
const FIRST_WAIT_MS = 5_000;
/**
 * The maximum wait that a server may specify, in milliseconds. If a server specifies a longer wait, the policy gives
 * up: a person has to act, for example renew the token.
 */
const MAX_WAIT_MS = 2 * 60_000;

/**
 * The retry policy of a command that processes many items. The command tries each item several times, and then
 * continues with the next item. All items share one policy. After the policy has given up on an item because of an
 * outage, it no longer retries outages until an item succeeds.
 */
export class CommandRetryPolicy implements RetryPolicy {
  readonly #isTemporary: (error: unknown) => boolean;
  /** Whether the policy has given up on an item because of an outage, and no item has succeeded since. */
  #isDown = false;

  /** Retries the errors for which `isTemporary` returns true. Gives up at once on any other error. */
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
