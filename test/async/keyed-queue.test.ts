import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { KeyedQueue } from '../../src/async/keyed-queue.ts';

test('within a lane all goes in order, and as many lanes as allowed go side by side', async () => {
  const lanes = new KeyedQueue(2);
  const running = new Set<string>();
  const done: string[] = [];
  let most = 0;
  for (const lane of ['a', 'b', 'c', 'a', 'b', 'c', 'a']) {
    await lanes.add(lane, async () => {
      expect(running.has(lane)).toBe(false);
      running.add(lane);
      most = Math.max(most, running.size);
      await setImmediate();
      running.delete(lane);
      done.push(lane);
    });
  }
  await lanes.settled();
  expect(done.toSorted()).toEqual(['a', 'a', 'a', 'b', 'b', 'c', 'c']);
  expect(most).toBe(2);
});

test('a lane holds a bounded number of works, and takes more as it gets through them', async () => {
  const lanes = new KeyedQueue(1);
  const gate = new EventEmitter();
  const opened = once(gate, 'open');
  let added = 0;
  let done = 0;
  const adding = (async () => {
    for (; added < 2000; added++) {
      await lanes.add('a', async () => {
        await opened;
        done += 1;
      });
    }
  })();
  await expect.poll(() => added).toBeGreaterThan(100);
  // Whatever can go on has gone on by then.
  await setImmediate();
  expect(added).toBeLessThan(1000);
  gate.emit('open');
  await adding;
  await lanes.settled();
  expect(done).toBe(2000);
});

test('an error ends all of them: what waits is not begun', async () => {
  const lanes = new KeyedQueue(1);
  const begun: number[] = [];
  const works = [0, 1, 2].map((number) => async (): Promise<void> => {
    begun.push(number);
    await setImmediate();
    if (number === 1) throw new Error('that was it');
  });
  for (const work of works) await lanes.add('a', work);
  await expect(lanes.settled()).rejects.toThrow('that was it');
  await expect(lanes.add('b', async () => undefined)).rejects.toThrow('that was it');
  expect(begun).toEqual([0, 1]);
});
