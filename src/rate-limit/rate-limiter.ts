/**
 * Keeps calls under a limit that all processes share.
 *
 * At most `limit` reservations succeed in any `windowMs` milliseconds for one `key`. `reserve` makes a reservation and
 * returns 0. If the limit is reached, it makes no reservation and returns how many milliseconds to wait before the next
 * try.
 *
 * `hold` stops all reservations for a key for `holdMs` milliseconds from now, in all processes: GitLab asked for a pause.
 * The longest hold counts; it cannot be taken back.
 */
export interface RateLimiter {
  reserve(key: string, limit: number, windowMs: number): Promise<number>;
  hold(key: string, holdMs: number): Promise<void>;
}
