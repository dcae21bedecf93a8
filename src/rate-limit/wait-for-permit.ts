import { setTimeout as sleep } from 'node:timers/promises';
import type { RateLimiter, Urgency } from './rate-limiter.ts';

/**
 * Waits until a reservation succeeds. Makes no reservation if it rejects, either with the error of the rate limiter or
 * with an AbortError once `signal` aborts.
 */
export async function waitForPermit(
  rateLimiter: RateLimiter,
  key: string,
  limit: number,
  windowMs: number,
  { urgency = 'now', signal }: { readonly urgency?: Urgency; readonly signal?: AbortSignal } = {},
): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const waitMs = await rateLimiter.reserve(key, limit, windowMs, urgency);
    if (waitMs === 0) return;
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
  }
}
