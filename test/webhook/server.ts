import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import express from 'express';
import { pino } from 'pino';
import { afterEach, beforeEach } from 'vitest';
import type { JobSink } from '../../src/queue/queue.ts';
import type { TagJob } from '../../src/queue/tag-job.ts';
import { assignRequestIds } from '../../src/io/request-id.ts';
import { createWebhookRouter, type WebhookOptions } from '../../src/webhook/router.ts';
import { headers } from './deliveries.ts';

/** A webhook on a real server, which each test starts, and a record of its actions. */
export interface WebhookServer {
  readonly url: string;
  /** The jobs that were added to the queue, unless the test uses another queue. */
  readonly added: readonly { readonly job: TagJob; readonly delivery: string | undefined }[];
  /** The results that were reported to the metrics, as `<event> <result>`. */
  readonly received: readonly string[];
  readonly logged: string;
  readonly recorder: JobSink;
  /** The jobs that were added, without what only the webhook knows. */
  jobs(): TagJob[];
  /** Starts the webhook, with the token `the secret` by default. */
  serve(options?: Partial<WebhookOptions>): Promise<void>;
  post(body: unknown, given?: Record<string, string>): Promise<Response>;
}

/**
 * Provides a webhook server. Must be called at the top of a test file. Clears the record before each test, and stops
 * the server after each test.
 */
export function useWebhookServer(): WebhookServer {
  let server: Server | undefined;
  let url = '';
  let logged = '';
  const added: { job: TagJob; delivery: string | undefined }[] = [];
  const received: string[] = [];
  const recorder: JobSink = {
    add: async (job, delivery) => {
      added.push({ job, delivery });
      return 'queued';
    },
  };

  beforeEach(() => {
    added.length = 0;
    received.length = 0;
    logged = '';
  });
  afterEach(async () => {
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    server = undefined;
  });

  return {
    get url() {
      return url;
    },
    get logged() {
      return logged;
    },
    added,
    received,
    recorder,
    jobs: () => added.map(({ job }) => Object.assign({}, job, { announcedAt: undefined, announcedPath: undefined })),
    async serve(options = {}) {
      const log = pino({ level: 'trace' }, { write: (line) => (logged += line) });
      const metrics = { received: (event: string, result: string) => void received.push(`${event} ${result}`) };
      const app = express();
      app.use(
        assignRequestIds(),
        createWebhookRouter({ tokens: ['the secret'], signingTokens: [], queue: recorder, log, metrics, ...options }),
      );
      server = createServer(app).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('not listening');
      url = `http://127.0.0.1:${address.port}/-/webhook`;
    },
    post(body, given = headers()) {
      const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      return fetch(url, { method: 'POST', headers: given, body: text });
    },
  };
}
