import { setImmediate as nextIteration } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MAX_BLOCK_MS, measure, processorTimeMs } from './event-loop.ts';

const BLOCK_MS = 2 * MAX_BLOCK_MS;

/** Blocks the event loop until its thread has used this much processor time. */
function block(milliseconds: number): void {
  for (const end = processorTimeMs() + milliseconds; processorTimeMs() < end;);
}

test.each([
  ['at its start', () => block(BLOCK_MS)],
  [
    'later',
    async () => {
      await nextIteration();
      block(BLOCK_MS);
      await nextIteration();
    },
  ],
  [
    'at its end',
    async () => {
      await nextIteration();
      block(BLOCK_MS);
    },
  ],
])('a block by the work %s is measured', async (_place, work) => {
  expect((await measure(work)).longestBlockMs).toBeGreaterThan(MAX_BLOCK_MS);
});

test('work in short pieces is not measured as a block', async () => {
  const { longestBlockMs } = await measure(async () => {
    for (let piece = 0; piece < 50; piece++) {
      block(5);
      await nextIteration();
    }
  });
  expect(longestBlockMs).toBeLessThan(MAX_BLOCK_MS);
});
