import { KEEP_PLACE_MS, type RateLimiter, type Urgency } from './rate-limiter.ts';

interface Window {
  /** The times of the reservations that still count, oldest first, as values of performance.now(). */
  readonly reservedAt: number[];
  readonly windowMs: number;
}

/** A rate limiter for one process, with an exact sliding window for each key. */
export class MemoryRateLimiter implements RateLimiter {
  /** The windows by key, least recently used first. */
  readonly #windows = new Map<string, Window>();
  /**
   * The end of each hold, as a value of performance.now(). The holds are separate from the windows, because a hold may
   * outlast all reservations.
   */
  readonly #holdEnds = new Map<string, number>();

  /**
   * The last time in which background work was held, by key. `endMs` is its end, and `againMs` is when background work
   * may be held again, as values of performance.now().
   */
  readonly #keptPlaces = new Map<string, { readonly endMs: number; readonly againMs: number }>();

  async reserve(key: string, limit: number, windowMs: number, urgency: Urgency = 'now'): Promise<number> {
    const now = performance.now();
    const keptMs = urgency === 'background' ? (this.#keptPlaces.get(key)?.endMs ?? 0) - now : 0;
    const holdMs = Math.max(keptMs, (this.#holdEnds.get(key) ?? 0) - now);
    if (holdMs > 0) return Math.ceil(holdMs);
    this.#holdEnds.delete(key);
    const reservedAt = (this.#windows.get(key)?.reservedAt ?? []).filter((time) => time + windowMs > now);
    const isFree = reservedAt.length < limit;
    // This is the oldest of the newest `limit` reservations. Once it expires, a new reservation is possible, even if
    // the limit was higher before.
    const blocking = reservedAt[reservedAt.length - limit] ?? now;
    if (isFree) reservedAt.push(now);
    this.#windows.delete(key);
    this.#windows.set(key, { reservedAt, windowMs });
    this.#forgetIdle(now);
    if (isFree) return 0;
    const waitMs = Math.min(windowMs, Math.max(1, Math.ceil(blocking + windowMs - now)));
    if (urgency === 'now') this.#keepPlace(key, now, waitMs + KEEP_PLACE_MS);
    return waitMs;
  }

  async hold(key: string, holdMs: number): Promise<void> {
    this.#holdEnds.set(key, Math.max(this.#holdEnds.get(key) ?? 0, performance.now() + holdMs));
  }

  /** Holds background work for `keptMs` milliseconds, but not in the same time after the last such hold. */
  #keepPlace(key: string, now: number, keptMs: number): void {
    if ((this.#keptPlaces.get(key)?.againMs ?? 0) > now) return;
    this.#keptPlaces.set(key, { endMs: now + keptMs, againMs: now + 2 * keptMs });
  }

  #forgetIdle(now: number): void {
    for (const [key, { reservedAt, windowMs }] of this.#windows) {
      const last = reservedAt.at(-1);
      if (last !== undefined && last + windowMs > now) return;
      this.#windows.delete(key);
      this.#keptPlaces.delete(key);
    }
  }
}
