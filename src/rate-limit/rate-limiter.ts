/**
 * Keeps calls under a limit that all processes share.
 *
 * At most `limit` reservations succeed in any `windowMs` milliseconds for one `key`. `reserve` makes a reservation and
 * returns 0. If the limit is reached, it makes no reservation and returns how many milliseconds to wait before the next
 * try.
 *
 * The work of a `background` reservation can wait. If the limit is reached for other work, background reservations must
 * wait until that work had a chance, for at most half of the time.
 *
 * `hold` prevents reservations for a key in all processes for the next `holdMs` milliseconds, because GitLab requested
 * a pause. Of several holds, the longest applies. A hold cannot be cancelled.
 */
export interface RateLimiter {
  reserve(key: string, limit: number, windowMs: number, urgency?: Urgency): Promise<number>;
  hold(key: string, holdMs: number): Promise<void>;
}

/** How urgent the work behind a reservation is. */
export type Urgency = 'now' | 'background';

/**
 * After a reservation of urgent work failed, the next free place is kept for it this much longer, in milliseconds. The
 * caller needs this time to try again.
 */
export const KEEP_PLACE_MS = 100;
