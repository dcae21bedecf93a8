import { request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryQueue } from '../../src/queue/memory-queue.ts';
import type { JobSink } from '../../src/queue/queue.ts';
import { commit, headers, repositoryUpdate, tagPush, zeros } from './deliveries.ts';
import { useWebhookServer } from './server.ts';

describe('the webhook', () => {
  const hook = useWebhookServer();

  describe('as an HTTP server', () => {
    beforeEach(() => hook.serve());

    it('accepts 25 MB, and responds with 413 to a larger body, with or without Content-Length', async () => {
      const limit = 25 * 1_024 * 1_024;
      const padding = limit - JSON.stringify(tagPush({ message: '' })).length;
      const largest = JSON.stringify(tagPush({ message: 'x'.repeat(padding) }));
      expect(Buffer.byteLength(largest)).toBe(limit);
      expect((await hook.post(largest)).status).toBe(202);
      expect((await hook.post(`${largest} `)).status).toBe(413);
      const pieces = new Blob([largest, ' ']).stream();
      const withoutLength: RequestInit & { duplex: 'half' } = {
        method: 'POST',
        headers: headers(),
        body: pieces,
        duplex: 'half',
      };
      expect((await fetch(hook.url, withoutLength)).status).toBe(413);
      expect(hook.added).toHaveLength(1);
    });

    it('responds with 415 to content other than JSON', async () => {
      for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/jsonp', '']) {
        expect((await hook.post(tagPush(), headers({ 'Content-Type': type }))).status).toBe(415);
      }
      expect(hook.added).toEqual([]);
    });

    it('responds with 415 to a compressed body, which GitLab never sends', async () => {
      const body = gzipSync(JSON.stringify(tagPush()));
      expect((await hook.post(body, headers({ 'Content-Encoding': 'gzip' }))).status).toBe(415);
      expect(hook.added).toEqual([]);
    });

    it('queues nothing if the body is incomplete, and continues to work', async () => {
      const sending = httpRequest(hook.url, { method: 'POST', headers: headers({ 'Content-Length': '100000' }) });
      sending.on('error', () => {
        // The test closes the connection itself.
      });
      sending.write(JSON.stringify(tagPush()));
      sending.flushHeaders();
      await expect.poll(() => sending.socket?.connecting, { timeout: 10_000 }).toBe(false);
      sending.destroy();
      await expect.poll(() => hook.received, { timeout: 10_000 }).toEqual(['tag_push malformed']);
      expect(hook.added).toEqual([]);
      expect((await hook.post(tagPush())).status).toBe(202);
    });

    it('responds with 405 to methods other than POST', async () => {
      const response = await fetch(hook.url);
      expect(response.status).toBe(405);
      expect(response.headers.get('Allow')).toBe('POST');
    });

    it('sends the request id in the header, in error texts and in log lines', async () => {
      const given = 'front-proxy:0001';
      const response = await hook.post(tagPush({ ref: 7 }), headers({ 'X-Request-Id': given }));
      expect([response.status, response.headers.get('X-Request-Id')]).toEqual([400, given]);
      expect(await response.text()).toMatch(new RegExp(`^ref: .*\\nrequest id: ${given}\\n$`));
      const accepted = await hook.post(tagPush(), headers({ 'X-Request-Id': 'not sane' }));
      const id = accepted.headers.get('X-Request-Id');
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      const lines = hook.logged.trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line) as Record<string, unknown>)).toEqual([
        expect.objectContaining({ event: 'webhook.refused', result: 'malformed', requestId: given }),
        expect.objectContaining({ event: 'webhook.received', queued: 1, requestId: id }),
      ]);
    });

    it('logs no body and no secret', async () => {
      await hook.post(tagPush({ message: 'confidential words' }));
      await hook.post(tagPush({ ref: 7, message: 'confidential words' }));
      expect(hook.logged).toContain('v1.0.0');
      expect(hook.logged).not.toMatch(/confidential|the secret/);
    });
  });

  describe('with the queue', () => {
    it('folds a delivery that arrives twice', async () => {
      const queue = new MemoryQueue({ log: pino({ level: 'silent' }) });
      let runs = 0;
      queue.process(1, async () => void (runs += 1));
      await hook.serve({ queue });
      const given = headers();
      expect(await (await hook.post(tagPush(), given)).json()).toEqual({ queued: 1, folded: 0 });
      await expect.poll(() => runs, { timeout: 10_000 }).toBe(1);
      const again = await hook.post(tagPush(), given);
      expect(again.status).toBe(202);
      expect(await again.json()).toEqual({ queued: 0, folded: 1 });
      expect(hook.received).toEqual(['tag_push queued', 'tag_push folded']);
      await queue.close();
      expect(runs).toBe(1);
    });

    it('folds a push that arrives through a project webhook and a group webhook', async () => {
      const queue = new MemoryQueue({ log: pino({ level: 'silent' }) });
      await hook.serve({ queue });
      expect(await (await hook.post(tagPush())).json()).toEqual({ queued: 1, folded: 0 });
      expect(await (await hook.post(tagPush())).json()).toEqual({ queued: 0, folded: 1 });
      await queue.close();
    });

    it('queues each tag of one repository update', async () => {
      const queue = new MemoryQueue({ log: pino({ level: 'silent' }) });
      await hook.serve({ queue });
      const tags = ['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0'];
      const body = repositoryUpdate(tags.map((tag) => ({ before: zeros, after: commit, ref: `refs/tags/${tag}` })));
      const given = headers({ 'X-Gitlab-Event': 'System Hook' });
      expect(await (await hook.post(body, given)).json()).toEqual({ queued: 4, folded: 0 });
      expect(await (await hook.post(body, given)).json()).toEqual({ queued: 0, folded: 4 });
      await queue.close();
    });

    it('responds with 503 if the queue is not available, so that GitLab shows a failure', async () => {
      const queue: JobSink = { add: () => Promise.reject(new Error('Redis is down')) };
      await hook.serve({ queue });
      const response = await hook.post(tagPush());
      expect(response.status).toBe(503);
      expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
      expect(await response.text()).not.toContain('Redis');
      expect(hook.logged).toContain('Redis is down');
      expect(hook.received).toEqual(['tag_push unavailable']);
    });

    it('accepts many deliveries at once and loses none', async () => {
      await hook.serve();
      const bodies = Array.from({ length: 500 }, (_, index) => tagPush({ project_id: index + 1 }));
      const answers = await Promise.all(bodies.map((body) => hook.post(body)));
      expect(answers.every(({ status }) => status === 202)).toBe(true);
      expect(new Set(hook.jobs().map(({ projectId }) => projectId)).size).toBe(500);
    });
  });
});
