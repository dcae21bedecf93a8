/**
 * Keeps calls under a limit that all replicas share.
 *
 * At most `limit` reservations succeed in any `windowMs` milliseconds for one `key`. `reserve` returns 0 when the
 * caller may go ahead (the reservation is then taken), else how many milliseconds to wait before asking again
 * (nothing is taken).
 */
export interface Pace {
  reserve(key: string, limit: number, windowMs: number): Promise<number>;
}
