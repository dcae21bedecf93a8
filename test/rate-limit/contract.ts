import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { RateLimiter } from '../../src/rate-limit/rate-limiter.ts';
import { waitForPermit } from '../../src/rate-limit/wait-for-permit.ts';

/** What every RateLimiter promises. `open` gives a view of the same pace each time, as another replica has it. */
export function paceContract(open: () => RateLimiter): void {
  it('lets exactly the limit through', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    const waits = [];
    for (let call = 0; call < 7; call++) waits.push(await rateLimiter.reserve(key, 5, 60_000));
    expect(waits.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    for (const wait of waits.slice(5)) {
      expect(wait).toBeGreaterThan(50_000);
      expect(wait).toBeLessThanOrEqual(60_000);
    }
  });

  it('lets exactly the limit through when all ask at once', async () => {
    const [first, second, key] = [open(), open(), randomUUID()];
    const waits = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? first : second).reserve(key, 20, 60_000)),
    );
    expect(waits.filter((wait) => wait === 0)).toHaveLength(20);
  });

  it('keeps keys apart', async () => {
    const rateLimiter = open();
    expect(await rateLimiter.reserve(randomUUID(), 1, 60_000)).toBe(0);
    expect(await rateLimiter.reserve(randomUUID(), 1, 60_000)).toBe(0);
  });

  it('says how long to wait, and takes nothing when it refuses', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    await rateLimiter.reserve(key, 1, 300);
    let wait = 0;
    for (let call = 0; call < 5; call++) wait = await rateLimiter.reserve(key, 1, 300);
    expect(wait).toBeGreaterThan(0);
    // One millisecond for the timer, which may fire early.
    await sleep(wait + 1);
    expect(await rateLimiter.reserve(key, 1, 300)).toBe(0);
  });

  it('slides: room comes back one by one, not at the turn of a window', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    await rateLimiter.reserve(key, 2, 500);
    await sleep(250);
    await rateLimiter.reserve(key, 2, 500);
    await waitForPermit(rateLimiter, key, 2, 500);
    expect(await rateLimiter.reserve(key, 2, 500)).toBeGreaterThan(0);
  });

  it('never lets more than the limit through in any window', async () => {
    const [rateLimiter, key, limit, windowMs] = [open(), randomUUID(), 4, 200];
    const times: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        await waitForPermit(rateLimiter, key, limit, windowMs);
        times.push(performance.now());
      }),
    );
    times.sort((a, b) => a - b);
    expect(times).toHaveLength(20);
    const gaps = times.slice(limit).map((time, index) => time - (times[index] ?? 0));
    // The answers take a moment to arrive, so the gaps seen here can be a little shorter than those reserved.
    expect(Math.min(...gaps)).toBeGreaterThan(windowMs - 50);
  });

  it('waits no longer when the limit was lowered than until enough have left', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    for (let call = 0; call < 5; call++) await rateLimiter.reserve(key, 5, 60_000);
    expect(await rateLimiter.reserve(key, 2, 60_000)).toBeGreaterThan(50_000);
    expect(await rateLimiter.reserve(key, 6, 60_000)).toBe(0);
  });

  it('lets nothing through with a limit of zero', async () => {
    expect(await open().reserve(randomUUID(), 0, 1_000)).toBe(1_000);
  });

  it('gives nothing while it is held, to nobody', async () => {
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

  it('takes the longest hold', async () => {
    const [first, second, key] = [open(), open(), randomUUID()];
    await first.hold(key, 40_000);
    await second.hold(key, 1);
    await second.hold(key, 0);
    expect(await second.reserve(key, 5, 60_000)).toBeGreaterThan(30_000);
    await second.hold(key, 80_000);
    expect(await first.reserve(key, 5, 60_000)).toBeGreaterThan(70_000);
  });

  it('goes on after a hold, and knows what was taken before', async () => {
    const [rateLimiter, key] = [open(), randomUUID()];
    await rateLimiter.reserve(key, 2, 60_000);
    await rateLimiter.hold(key, 100.5);
    const started = performance.now();
    await waitForPermit(rateLimiter, key, 2, 60_000);
    expect(performance.now() - started).toBeGreaterThan(80);
    expect(await rateLimiter.reserve(key, 2, 60_000)).toBeGreaterThan(50_000);
  });

  it('stops waiting when told to', async () => {
    const [rateLimiter, key, stop] = [open(), randomUUID(), new AbortController()];
    await rateLimiter.reserve(key, 1, 60_000);
    const waiting = waitForPermit(rateLimiter, key, 1, 60_000, stop.signal);
    stop.abort();
    await expect(waiting).rejects.toThrow(/abort/);
  });
}
