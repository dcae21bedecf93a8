import express from 'express';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { MemoryRuns } from '../../src/backfill/memory-runs.ts';
import { notBegun } from '../../src/backfill/backfill-progress.ts';
import { createBackfillRouter } from '../../src/backfill/router.ts';
import { Unauthorized } from '../../src/auth/auth-errors.ts';
import { assignRequestIds } from '../../src/io/request-id.ts';
import { listen } from '../proxy/stub.ts';

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

test('sends the request id in the header, in error texts and in log lines', async () => {
  const runs = new MemoryRuns();
  runs.process(async () => ({ ...notBegun(false), state: 'done' }));
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
  await runs.close();
});
