import type { RateLimiter } from './rate-limiter.ts';

interface Window {
  /** When each reservation still counting was made, oldest first, in milliseconds of a clock that never jumps. */
  readonly taken: number[];
  readonly windowMs: number;
}

/** Keeps the pace of one process: an exact sliding window for each key. */
export class MemoryRateLimiter implements RateLimiter {
  /** Least recently used first. */
  readonly #windows = new Map<string, Window>();
  /** Until when nothing is to be had, by the same clock. Apart, because a hold may outlive all reservations. */
  readonly #holds = new Map<string, number>();

  async reserve(key: string, limit: number, windowMs: number): Promise<number> {
    const now = performance.now();
    const held = (this.#holds.get(key) ?? 0) - now;
    if (held > 0) return Math.ceil(held);
    this.#holds.delete(key);
    const taken = (this.#windows.get(key)?.taken ?? []).filter((time) => time + windowMs > now);
    const free = taken.length < limit;
    // The oldest of the newest `limit`: once it leaves, there is room, also if the limit was higher before.
    const blocking = taken[taken.length - limit] ?? now;
    if (free) taken.push(now);
    this.#windows.delete(key);
    this.#windows.set(key, { taken, windowMs });
    this.#forgetIdle(now);
    return free ? 0 : Math.min(windowMs, Math.max(1, Math.ceil(blocking + windowMs - now)));
  }

  async hold(key: string, ms: number): Promise<void> {
    this.#holds.set(key, Math.max(this.#holds.get(key) ?? 0, performance.now() + ms));
  }

  #forgetIdle(now: number): void {
    for (const [key, { taken, windowMs }] of this.#windows) {
      const last = taken.at(-1);
      if (last !== undefined && last + windowMs > now) return;
      this.#windows.delete(key);
    }
  }
}
