import { setTimeout as wait } from 'node:timers/promises';

/** A timer set for longer than this fires at once (Node's documentation of setTimeout). In milliseconds: 24.8 days. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits so many milliseconds, 24.8 days at most, or until `signal` aborts, which is no error: whoever loops looks at the signal. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(Math.min(ms, LONGEST_TIMER_MS), undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
