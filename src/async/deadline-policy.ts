import type { RetryPolicy } from './retry.ts';

/** Retries after every error at a fixed interval, until a deadline. */
export class DeadlinePolicy implements RetryPolicy {
  readonly #deadlineMs: number;
  readonly #intervalMs: number;

  /**
   * The deadline is `timeoutMs` milliseconds from now. `intervalMs` is the wait between two attempts, in milliseconds.
   */
  constructor(timeoutMs: number, intervalMs: number) {
    this.#deadlineMs = performance.now() + timeoutMs;
    this.#intervalMs = intervalMs;
  }

  /** The time until the deadline, in milliseconds. It is negative after the deadline. */
  get remainingMs(): number {
    return this.#deadlineMs - performance.now();
  }

  waitAfter(): number | undefined {
    return this.remainingMs > this.#intervalMs ? this.#intervalMs : undefined;
  }
}
