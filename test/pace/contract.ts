import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Pace } from '../../src/pace/pace.ts';
import { waitForPace } from '../../src/pace/wait.ts';

/** What every Pace promises. `open` gives a view of the same pace each time, as another replica has it. */
export function paceContract(open: () => Pace): void {
  it('lets exactly the limit through', async () => {
    const [pace, key] = [open(), randomUUID()];
    const waits = [];
    for (let call = 0; call < 7; call++) waits.push(await pace.reserve(key, 5, 60_000));
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
    const pace = open();
    expect(await pace.reserve(randomUUID(), 1, 60_000)).toBe(0);
    expect(await pace.reserve(randomUUID(), 1, 60_000)).toBe(0);
  });

  it('says how long to wait, and takes nothing when it refuses', async () => {
    const [pace, key] = [open(), randomUUID()];
    await pace.reserve(key, 1, 300);
    let wait = 0;
    for (let call = 0; call < 5; call++) wait = await pace.reserve(key, 1, 300);
    expect(wait).toBeGreaterThan(0);
    // One millisecond for the timer, which may fire early.
    await sleep(wait + 1);
    expect(await pace.reserve(key, 1, 300)).toBe(0);
  });

  it('slides: room comes back one by one, not at the turn of a window', async () => {
    const [pace, key] = [open(), randomUUID()];
    await pace.reserve(key, 2, 500);
    await sleep(250);
    await pace.reserve(key, 2, 500);
    await waitForPace(pace, key, 2, 500);
    expect(await pace.reserve(key, 2, 500)).toBeGreaterThan(0);
  });

  it('never lets more than the limit through in any window', async () => {
    const [pace, key, limit, windowMs] = [open(), randomUUID(), 4, 200];
    const times: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        await waitForPace(pace, key, limit, windowMs);
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
    const [pace, key] = [open(), randomUUID()];
    for (let call = 0; call < 5; call++) await pace.reserve(key, 5, 60_000);
    expect(await pace.reserve(key, 2, 60_000)).toBeGreaterThan(50_000);
    expect(await pace.reserve(key, 6, 60_000)).toBe(0);
  });

  it('lets nothing through with a limit of zero', async () => {
    expect(await open().reserve(randomUUID(), 0, 1_000)).toBe(1_000);
  });

  it('gives nothing while it is held, to nobody', async () => {
    const [first, second, key] = [open(), open(), randomUUID()];
    expect(await first.reserve(key, 5, 60_000)).toBe(0);
    await first.hold(key, 40_000);
    for (const pace of [first, second]) {
      const wait = await pace.reserve(key, 5, 60_000);
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
    const [pace, key] = [open(), randomUUID()];
    await pace.reserve(key, 2, 60_000);
    await pace.hold(key, 100.5);
    const started = performance.now();
    await waitForPace(pace, key, 2, 60_000);
    expect(performance.now() - started).toBeGreaterThan(80);
    expect(await pace.reserve(key, 2, 60_000)).toBeGreaterThan(50_000);
  });

  it('stops waiting when told to', async () => {
    const [pace, key, stop] = [open(), randomUUID(), new AbortController()];
    await pace.reserve(key, 1, 60_000);
    const waiting = waitForPace(pace, key, 1, 60_000, stop.signal);
    stop.abort();
    await expect(waiting).rejects.toThrow(/abort/);
  });
}
