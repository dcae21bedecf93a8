import { setMaxListeners } from 'node:events';
import { sleep } from './sleep.ts';

/** Decides what happens after a failed attempt. */
export interface RetryPolicy {
  /** How long to wait before the next attempt, in milliseconds; undefined gives up. `attempt` counts from 1. */
  waitAfter(error: unknown, attempt: number): number | undefined;
  /** Called after each success, for a policy that remembers outages. */
  succeeded?(): void;
}

/** The options of `retry`. */
export interface RetryOptions {
  /** Ends the waiting: `retry` then rejects with the last error at once. */
  readonly signal?: AbortSignal;
  /** Called before each wait. */
  readonly onWait?: (error: unknown, waitMs: number) => void;
  /** Waits this many milliseconds, or until the signal aborts; `sleep` by default. */
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
// Any number of waits may share the signal. Node would warn from the eleventh listener on.
setMaxListeners(0, NEVER_ABORTED);
