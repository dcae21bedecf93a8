import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { RateLimiter } from '../../src/rate-limit/rate-limiter.ts';
import { waitForPermit } from '../../src/rate-limit/wait-for-permit.ts';

/**
 * Tests the promises of every RateLimiter. Each call of `open` returns the same limiter, as another process sees it.
 */
export function rateLimiterContract(open: () => RateLimiter): void {
  it('permits exactly as many calls as the limit', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    const waits = [];
    for (let call = 0; call < 7; call++) waits.push(await rateLimiter.reserve(key, 5, 60_000));
    expect(waits.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    for (const wait of waits.slice(5)) {
      expect(wait).toBeGreaterThan(50_000);
      expect(wait).toBeLessThanOrEqual(60_000);
    }
  });

  it('permits exactly as many calls as the limit if all reserve at once', async () => {
    const [first, second, key] = [open(), open(), randomUUID()];
    const waits = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? first : second).reserve(key, 20, 60_000)),
    );
    expect(waits.filter((wait) => wait === 0)).toHaveLength(20);
  });

  it('limits each key separately', async () => {
    const rateLimiter = open();
    expect(await rateLimiter.reserve(randomUUID(), 1, 60_000)).toBe(0);
    expect(await rateLimiter.reserve(randomUUID(), 1, 60_000)).toBe(0);
  });

  it('returns how long to wait if the limit is reached, and makes no reservation', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    await rateLimiter.reserve(key, 1, 300);
    let wait = 0;
    for (let call = 0; call < 5; call++) wait = await rateLimiter.reserve(key, 1, 300);
    expect(wait).toBeGreaterThan(0);
    // The extra millisecond is for the timer, which can fire early.
    await sleep(wait + 1);
    expect(await rateLimiter.reserve(key, 1, 300)).toBe(0);
  });

  it('keeps the next free place for urgent work, and lets background work have its turn afterwards', async () => {
    const [rateLimiter, key, windowMs] = [open(), randomUUID(), 400];
    expect(await rateLimiter.reserve(key, 1, windowMs, 'background')).toBe(0);
    const waitMs = await rateLimiter.reserve(key, 1, windowMs, 'now');
    expect(await rateLimiter.reserve(key, 1, windowMs, 'background')).toBeGreaterThan(waitMs);
    await sleep(waitMs + 1);
    expect(await rateLimiter.reserve(key, 1, windowMs, 'background')).toBeGreaterThan(0);
    expect(await rateLimiter.reserve(key, 1, windowMs, 'now')).toBe(0);
    // Urgent work that waits again does not hold background work a second time.
    expect(await rateLimiter.reserve(key, 1, windowMs, 'now')).toBeGreaterThan(0);
    await waitForPermit(rateLimiter, key, 1, windowMs, { urgency: 'background' });
    expect(await rateLimiter.reserve(key, 1, windowMs, 'now')).toBeGreaterThan(0);
  });

  it('uses a sliding window, in which each reservation expires separately', async () => {
    const [rateLimiter, key, windowMs] = [open(), randomUUID(), 1_500];
    await rateLimiter.reserve(key, 2, windowMs);
    // A limit of 1 is reached, so this makes no reservation, and returns for how long the first reservation still
    // counts.
    await expect
      .poll(() => rateLimiter.reserve(key, 1, windowMs), { interval: 20, timeout: windowMs })
      .toBeLessThan(windowMs / 2);
    await rateLimiter.reserve(key, 2, windowMs);
    await waitForPermit(rateLimiter, key, 2, windowMs);
    expect(await rateLimiter.reserve(key, 2, windowMs)).toBeGreaterThan(0);
  });

  it('never permits more calls than the limit in any window', async () => {
    const [inner, key, limit, windowMs] = [open(), randomUUID(), 4, 200];
    const [sent, received]: [number[], number[]] = [[], []];
    const observed: RateLimiter = {
      async reserve(...request) {
        const sentAt = performance.now();
        const waitMs = await inner.reserve(...request);
        if (waitMs === 0) {
          sent.push(sentAt);
          received.push(performance.now());
        }
        return waitMs;
      },
      hold: (...request) => inner.hold(...request),
    };
    await Promise.all(Array.from({ length: 20 }, () => waitForPermit(observed, key, limit, windowMs)));
    expect(received).toHaveLength(20);
    // A reservation happens after its request is sent and before its reply is received. This also holds for the first,
    // second, ... times in order. For this reason, these gaps are never shorter than the real gaps.
    const sentInOrder = inOrder(sent);
    const gaps = inOrder(received)
      .slice(limit)
      .map((time, index) => time - (sentInOrder[index] ?? Number.NaN));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(windowMs);
  });

  it('with a lowered limit, makes callers wait only until enough reservations have expired', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    for (let call = 0; call < 5; call++) await rateLimiter.reserve(key, 5, 60_000);
    expect(await rateLimiter.reserve(key, 2, 60_000)).toBeGreaterThan(50_000);
    expect(await rateLimiter.reserve(key, 6, 60_000)).toBe(0);
  });

  it('permits nothing with a limit of zero', async () => {
    expect(await open().reserve(randomUUID(), 0, 1_000)).toBe(1_000);
  });

  it('makes no reservation for any process during a hold', async () => {
    const [first, second, key] = [open(), open(), randomUUID()];
    expect(await first.reserve(key, 5, 60_000)).toBe(0);
    await first.hold(key, 40_000);
    for (const rateLimiter of [first, second]) {
      const wait = await rateLimiter.reserve(key, 5, 60_000);
      expect(wait).toBeGreaterThan(30_000);
      expect(wait).toBeLessThanOrEqual(40_000);
    }
    expect(await second.reserve(randomUUID(), 5, 60_000)).toBe(0);
  });

  it('applies the longest hold', async () => {
    const [first, second, key] = [open(), open(), randomUUID()];
    await first.hold(key, 40_000);
    await second.hold(key, 1);
    await second.hold(key, 0);
    expect(await second.reserve(key, 5, 60_000)).toBeGreaterThan(30_000);
    await second.hold(key, 80_000);
    expect(await first.reserve(key, 5, 60_000)).toBeGreaterThan(70_000);
  });

  it('continues after a hold, and still counts the reservations before the hold', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    await rateLimiter.reserve(key, 2, 60_000);
    await rateLimiter.hold(key, 100.5);
    const started = performance.now();
    await waitForPermit(rateLimiter, key, 2, 60_000);
    expect(performance.now() - started).toBeGreaterThan(80);
    expect(await rateLimiter.reserve(key, 2, 60_000)).toBeGreaterThan(50_000);
  });

  it('stops waiting when the signal aborts', async () => {
    const [rateLimiter, key, stop] = [open(), randomUUID(), new AbortController()];
    await rateLimiter.reserve(key, 1, 60_000);
    const waiting = waitForPermit(rateLimiter, key, 1, 60_000, { signal: stop.signal });
    stop.abort();
    await expect(waiting).rejects.toThrow(/abort/);
  });
}

function inOrder(times: readonly number[]): number[] {
  return times.toSorted((a, b) => a - b);
}
