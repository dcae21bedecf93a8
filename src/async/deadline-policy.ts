import type { RetryPolicy } from './retry.ts';

/** Retries at a fixed interval until a deadline, whatever the error. */
export class DeadlinePolicy implements RetryPolicy {
  readonly #deadlineMs: number;
  readonly #intervalMs: number;

  /** The deadline is `timeoutMs` milliseconds from now. `intervalMs` is the wait between two attempts, in milliseconds. */
  constructor(timeoutMs: number, intervalMs: number) {
    this.#deadlineMs = performance.now() + timeoutMs;
    this.#intervalMs = intervalMs;
  }

  /** The time until the deadline, in milliseconds; negative once it has passed. */
  get remainingMs(): number {
    return this.#deadlineMs - performance.now();
  }

  waitAfter(): number | undefined {
    return this.remainingMs > this.#intervalMs ? this.#intervalMs : undefined;
  }
}
