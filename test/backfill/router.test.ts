import express from 'express';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { MemoryRuns } from '../../src/backfill/memory-runs.ts';
import { notBegun } from '../../src/backfill/backfill-progress.ts';
import { createBackfillRouter } from '../../src/backfill/router.ts';

test('a GitLab that wants a rest does not keep the client waiting: the backfill begins, and waits itself', async () => {
  const runs = new MemoryRuns();
  runs.process(async () => ({ ...notBegun(false), state: 'done' }));
  const router = createBackfillRouter({
    access: { authorize: async () => ({ kind: 'token' }) },
    runs,
    checkTargets: () => new Promise(() => undefined),
    log: pino({ level: 'silent' }),
    checkMs: 50,
  });
  const server = createServer(express().use(router)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/-/backfill`, {
    method: 'POST',
    signal: AbortSignal.timeout(5_000),
  });
  expect(answer.status).toBe(202);
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
  await runs.close();
});
