import express from 'express';
import { pino } from 'pino';
import { expect, test as base } from 'vitest';
import { MemoryRuns } from '../../src/backfill/memory-runs.ts';
import { initialProgress } from '../../src/backfill/backfill-progress.ts';
import { createBackfillRouter } from '../../src/backfill/router.ts';
import { Unauthorized } from '../../src/auth/auth-errors.ts';
import { assignRequestIds } from '../../src/io/request-id.ts';
import { listen } from '../services/http-stub.ts';

const test = base
  /** Runs in memory, in which every backfill ends at once. */
  .extend('runs', ({}, { onCleanup }) => {
    const runs = new MemoryRuns();
    onCleanup(() => runs.close());
    runs.process(async () => ({ ...initialProgress(false), state: 'done' }));
    return runs;
  });

test('answers although GitLab demands a rate-limit pause, so that only the backfill waits', async ({ runs }) => {
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
});

test('sends the request id in the header, in error texts and in log lines', async ({ runs }) => {
  const lines: Record<string, unknown>[] = [];
  const router = createBackfillRouter({
    access: {
      authorize: async (authorization) => {
        if (authorization === undefined) throw new Unauthorized('no token');
        return { kind: 'token' };
      },
    },
    runs,
    checkTargets: async () => undefined,
    log: pino({}, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
  });
  await using server = await listen(express().use(assignRequestIds(), router));
  const post = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${server.url}/-/backfill`, { method: 'POST', headers });

  const refused = await post({ 'X-Request-Id': 'front-proxy:0001' });
  expect([refused.status, refused.headers.get('X-Request-Id'), await refused.text()]).toEqual([
    401,
    'front-proxy:0001',
    'no token\nrequest id: front-proxy:0001\n',
  ]);
  const accepted = await post({ 'X-Request-Id': 'not sane', Authorization: 'Bearer x' });
  const id = accepted.headers.get('X-Request-Id');
  expect([accepted.status, id]).toEqual([202, expect.stringMatching(/^[0-9a-f-]{36}$/)]);
  expect(lines).toEqual([
    expect.objectContaining({ event: 'backfill.refused', requestId: 'front-proxy:0001', status: 401 }),
    expect.objectContaining({ event: 'backfill.requested', requestId: id }),
  ]);
});
