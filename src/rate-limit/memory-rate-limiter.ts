import type { RateLimiter } from './rate-limiter.ts';

interface Window {
  /** When each reservation that still counts was made, oldest first, as performance.now(). */
  readonly reservedAt: number[];
  readonly windowMs: number;
}

/** The rate limiter of one process: an exact sliding window for each key. */
export class MemoryRateLimiter implements RateLimiter {
  /** Least recently used first. */
  readonly #windows = new Map<string, Window>();
  /** When each hold ends, as performance.now(). Separate from the windows, because a hold may outlast all reservations. */
  readonly #holdEnds = new Map<string, number>();

  async reserve(key: string, limit: number, windowMs: number): Promise<number> {
    const now = performance.now();
    const holdMs = (this.#holdEnds.get(key) ?? 0) - now;
    if (holdMs > 0) return Math.ceil(holdMs);
    this.#holdEnds.delete(key);
    const reservedAt = (this.#windows.get(key)?.reservedAt ?? []).filter((time) => time + windowMs > now);
    const isFree = reservedAt.length < limit;
    // The oldest of the newest `limit` reservations: when it expires, there is room, even if the limit was higher before.
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
