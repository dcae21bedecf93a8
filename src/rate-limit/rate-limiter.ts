/**
 * Keeps calls under a limit that all processes share.
 *
 * At most `limit` reservations succeed in any `windowMs` milliseconds for one `key`. `reserve` makes a reservation and
 * returns 0. If the limit is reached, it makes no reservation and returns how many milliseconds to wait before the next
 * try.
 *
 * `hold` prevents reservations for a key in all processes for the next `holdMs` milliseconds, because GitLab requested
 * a pause. Of several holds, the longest applies. A hold cannot be cancelled.
 */
export interface RateLimiter {
  reserve(key: string, limit: number, windowMs: number): Promise<number>;
  hold(key: string, holdMs: number): Promise<void>;
}
