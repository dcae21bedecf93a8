import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { KeyedQueue } from '../../src/async/keyed-queue.ts';

test('a keyed queue runs the work of one key in order, and the work of several keys concurrently up to its limit', async () => {
  const queue = new KeyedQueue(2);
  const running = new Set<string>();
  const done: string[] = [];
  let maxRunning = 0;
  for (const key of ['a', 'b', 'c', 'a', 'b', 'c', 'a']) {
    await queue.add(key, async () => {
      expect(running.has(key)).toBe(false);
      running.add(key);
      maxRunning = Math.max(maxRunning, running.size);
      await setImmediate();
      running.delete(key);
      done.push(key);
    });
  }
  await queue.settled();
  expect(done.toSorted()).toEqual(['a', 'a', 'a', 'b', 'b', 'c', 'c']);
  expect(maxRunning).toBe(2);
});

test('a keyed queue accepts a bounded amount of work for one key, and more once work is done', async () => {
  const queue = new KeyedQueue(1);
  const gate = new EventEmitter();
  const opened = once(gate, 'open');
  let added = 0;
  let done = 0;
  const adding = (async () => {
    for (; added < 2000; added++) {
      await queue.add('a', async () => {
        await opened;
        done += 1;
      });
    }
  })();
  await expect.poll(() => added).toBeGreaterThan(100);
  // Every addition that does not have to wait finishes before this resolves.
  await setImmediate();
  expect(added).toBeLessThan(1000);
  gate.emit('open');
  await adding;
  await queue.settled();
  expect(done).toBe(2000);
});

test('a keyed queue starts no more work after an error', async () => {
  const queue = new KeyedQueue(1);
  const begun: number[] = [];
  const works = [0, 1, 2].map((number) => async (): Promise<void> => {
    begun.push(number);
    await setImmediate();
    if (number === 1) throw new Error('work 1 failed');
  });
  for (const work of works) await queue.add('a', work);
  await expect(queue.settled()).rejects.toThrow('work 1 failed');
  await expect(queue.add('b', async () => undefined)).rejects.toThrow('work 1 failed');
  expect(begun).toEqual([0, 1]);
});
