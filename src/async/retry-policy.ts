import { Retry } from '../errors.ts';

/** How often something is tried while the other side says when to come back: somebody else may be using up the limit. */
const TOLD_ATTEMPTS = 10;
/** How often it is tried during an outage. */
const UNTOLD_ATTEMPTS = 5;
/** The first wait during an outage; each further one is twice as long. */
const FIRST_WAIT_MS = 5_000;
/** Who says to come back later than this wants a person to do something, such as renewing the token. */
const LONGEST_WAIT_MS = 2 * 60_000;

/** How long a command waits for what fails and should work later, before it goes on with something else. */
export class Patience {
  /** Whether the last thing was given up: the next ones are not waited for until something works again. */
  #down = false;

  /** How long to wait after the attempt of this number, which counts from 1, in milliseconds; undefined to give up. */
  waitAfter(error: Error, attempt: number): number | undefined {
    const afterMs = error instanceof Retry ? error.afterMs : undefined;
    if (afterMs !== undefined) return attempt < TOLD_ATTEMPTS && afterMs <= LONGEST_WAIT_MS ? afterMs : undefined;
    if (attempt < UNTOLD_ATTEMPTS && !this.#down) return FIRST_WAIT_MS * 2 ** (attempt - 1);
    this.#down = true;
    return undefined;
  }

  /** To be told of what worked. */
  succeeded(): void {
    this.#down = false;
  }
}
