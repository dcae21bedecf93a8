/**
 * Keeps calls under a limit that all replicas share.
 *
 * At most `limit` reservations succeed in any `windowMs` milliseconds for one `key`. `reserve` returns 0 when the
 * caller may go ahead (the reservation is then taken), else how many milliseconds to wait before asking again
 * (nothing is taken).
 *
 * `hold` stops all reservations for a key for so many milliseconds from now, also those of other replicas: GitLab
 * asked for it. The longest hold counts; it cannot be taken back.
 */
export interface RateLimiter {
  reserve(key: string, limit: number, windowMs: number): Promise<number>;
  hold(key: string, ms: number): Promise<void>;
}
