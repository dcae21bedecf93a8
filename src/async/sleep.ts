import { setTimeout as wait } from 'node:timers/promises';

/** A timer set for longer than this (24.8 days) fires at once (Node's documentation of setTimeout). */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits for this many milliseconds, 24.8 days at most, or until `signal` aborts. An abort is not an error: the caller
 * checks the signal.
 */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(Math.min(ms, LONGEST_TIMER_MS), undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
