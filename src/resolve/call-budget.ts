import { Postponed } from '../errors.ts';

/** The number of calls to GitLab for one request. At the usual rate, they take about as long as a client waits. */
const MAX_CALLS = 300;
/** The wait before the next request, in milliseconds. */
const RETRY_MS = 3_000;

/**
 * Limits the calls to GitLab for one request about a repository with very many tags. What they have shown is kept, so
 * the same request succeeds after a few attempts.
 */
export class CallBudget {
  readonly #subject: string;
  #left: number;

  /** `subject` describes the work in the message for the developer. */
  constructor(subject: string, calls = MAX_CALLS) {
    this.#subject = subject;
    this.#left = calls;
  }

  /** Must be called before each call. Throws Postponed if the budget is used up. */
  spend(): void {
    if (this.#left <= 0) throw new Postponed(`${this.#subject} takes more than one request`, { afterMs: RETRY_MS });
    this.#left--;
  }
}
