import { expect, test } from 'vitest';
import { ConcurrencyLimit } from '../../src/async/concurrency-limit.ts';

test('work waits for a place, and gets it in the order of its calls', async () => {
  const limit = new ConcurrencyLimit(2, 10_000);
  const [first, second] = [await limit.acquire(), await limit.acquire()];
  const started: string[] = [];
  const third = limit.acquire().then((release) => (started.push('third'), release));
  const fourth = limit.acquire().then((release) => (started.push('fourth'), release));
  first?.();
  first?.();
  (await third)?.();
  await fourth;
  expect(started).toEqual(['third', 'fourth']);
  second?.();
  expect(await limit.acquire()).toEqual(expect.any(Function));
});

test('work gets no place after the time, and the place of others stays available', async () => {
  const limit = new ConcurrencyLimit(1, 50);
  const release = await limit.acquire();
  expect(await limit.acquire()).toBeUndefined();
  release?.();
  const next = await limit.acquire();
  expect(next).toEqual(expect.any(Function));
  expect(await limit.acquire()).toBeUndefined();
  next?.();
});
