import express from 'express';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { MemoryRuns } from '../../src/backfill/memory-runs.ts';
import { initialProgress } from '../../src/backfill/backfill-progress.ts';
import { createBackfillRouter } from '../../src/backfill/router.ts';
import { listen } from '../proxy/stub.ts';

test('answers although GitLab demands a rate-limit pause, and leaves the waiting to the backfill', async () => {
  const runs = new MemoryRuns();
  runs.process(async () => ({ ...initialProgress(false), state: 'done' }));
  const router = createBackfillRouter({
    access: { authorize: async () => ({ kind: 'token' }) },
    runs,
    checkTargets: () => new Promise(() => undefined),
    log: pino({ level: 'silent' }),
    checkMs: 50,
  });
  await using server = await listen(express().use(router));
  const response = await fetch(`${server.url}/-/backfill`, { method: 'POST', signal: AbortSignal.timeout(5_000) });
  expect(response.status).toBe(202);
  await runs.close();
});
