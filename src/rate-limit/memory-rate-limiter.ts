import type { RateLimiter } from './rate-limiter.ts';

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

  async reserve(key: string, limit: number, windowMs: number): Promise<number> {
    const now = performance.now();
    const holdMs = (this.#holdEnds.get(key) ?? 0) - now;
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
    return isFree ? 0 : Math.min(windowMs, Math.max(1, Math.ceil(blocking + windowMs - now)));
  }

  async hold(key: string, holdMs: number): Promise<void> {
    this.#holdEnds.set(key, Math.max(this.#holdEnds.get(key) ?? 0, performance.now() + holdMs));
  }

  #forgetIdle(now: number): void {
    for (const [key, { reservedAt, windowMs }] of this.#windows) {
      const last = reservedAt.at(-1);
      if (last !== undefined && last + windowMs > now) return;
      this.#windows.delete(key);
    }
  }
}
