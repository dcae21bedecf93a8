import { Router } from 'express';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import type { Metrics } from './metrics.ts';

/** What the routes for operators report on. */
export interface HealthRouterParts {
  readonly version: string;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** What must work for this process to be of use, by name; each resolves or rejects with the reason. */
  readonly checks: Readonly<Record<string, () => Promise<void>>>;
}

/** A check that has not answered by then has failed. */
const CHECK_TIMEOUT_MS = 5000;

/** `/-/healthz`, `/-/readyz`, `/-/metrics` and `/-/version`. GitLab is no condition of readiness: what is published is served without it. */
export function createHealthRouter(parts: HealthRouterParts): Router {
  const router = Router();
  router.get('/-/healthz', (_, response) => {
    response.type('text').send('ok\n');
  });
  router.get('/-/readyz', async (_, response) => {
    const faults = await failedChecks(parts);
    response
      .status(faults.length === 0 ? 200 : 503)
      .type('text')
      .send(`${faults.join('\n') || 'ok'}\n`);
  });
  router.get('/-/metrics', async (_, response) => {
    response.type(parts.metrics.registry.contentType).send(await parts.metrics.registry.metrics());
  });
  router.get('/-/version', (_, response) => {
    response.json({ version: parts.version, node: process.version });
  });
  return router;
}

async function failedChecks({ checks, log }: HealthRouterParts): Promise<string[]> {
  const results = Object.entries(checks).map(async ([name, check]) => {
    try {
      await Promise.race([check(), timeout()]);
      return [];
    } catch (error) {
      log.warn({ check: name, reason: messageOf(error) }, 'not ready');
      return [`${name}: ${messageOf(error)}`];
    }
  });
  return (await Promise.all(results)).flat();
}

async function timeout(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS / 1000} s`)), CHECK_TIMEOUT_MS).unref();
  });
}
