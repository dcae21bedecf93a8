import { setMaxListeners } from 'node:events';
import { sleep } from './sleep.ts';

/** Decides what happens after a failed attempt. */
export interface RetryPolicy {
  /** Returns the wait before the next attempt, in milliseconds, or undefined to give up. `attempt` counts from 1. */
  waitAfter(error: unknown, attempt: number): number | undefined;
  /** Called after each successful attempt, so that a policy can record the end of an outage. */
  succeeded?(): void;
}

/** The options of `retry`. */
export interface RetryOptions {
  /** When this signal aborts, `retry` stops waiting and rejects with the last error. */
  readonly signal?: AbortSignal;
  /** Called before each wait. */
  readonly onWait?: (error: unknown, waitMs: number) => void;
  /** Waits for `waitMs` milliseconds, or until the signal aborts. The default is `sleep`. */
  readonly wait?: (waitMs: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Resolves with the result of the first successful attempt. Rejects with the last error if the policy gives up or the
 * signal aborts.
 */
export async function retry<T>(
  work: () => Promise<T>,
  policy: RetryPolicy,
  { signal = NEVER_ABORTED, onWait, wait = sleep }: RetryOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const result = await work();
      policy.succeeded?.();
      return result;
    } catch (error) {
      const waitMs = signal.aborted ? undefined : policy.waitAfter(error, attempt);
      if (waitMs === undefined) throw error;
      onWait?.(error, waitMs);
      await wait(waitMs, signal);
      if (signal.aborted) throw error;
    }
  }
}

const NEVER_ABORTED = new AbortController().signal;
// Any number of waits may share the signal. By default, Node warns about more than ten listeners.
setMaxListeners(0, NEVER_ABORTED);
