import { setTimeout as wait } from 'node:timers/promises';

/**
 * The longest possible delay of a timer, in milliseconds (24.8 days). A timer with a longer delay fires at once (Node's
 * documentation of setTimeout).
 */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits for `ms` milliseconds, but at most 24.8 days, or until `signal` aborts. Resolves in both cases, so the caller
 * has to check the signal.
 */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(Math.min(ms, LONGEST_TIMER_MS), undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
