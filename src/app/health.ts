import { Router } from 'express';
import type { Logger } from 'pino';
import { withTimeout } from '../async/with-timeout.ts';
import { messageOf } from '../errors.ts';
import type { Metrics } from './metrics.ts';

/** The dependencies of the health routes. */
export interface HealthRouterParts {
  readonly version: string;
  readonly metrics: Metrics;
  readonly log: Logger;
  /**
   * One check for each service that this process depends on, keyed by name. A check rejects with the reason if its
   * service does not work.
   */
  readonly checks: Readonly<Record<string, () => Promise<void>>>;
}

/** The timeout of a check. */
const CHECK_TIMEOUT_MS = 5000;

/**
 * Creates the routes `/-/healthz`, `/-/readyz`, `/-/metrics` and `/-/version`. Readiness does not depend on GitLab
 * being available, because published versions are served without it.
 */
export function createHealthRouter(parts: HealthRouterParts): Router {
  const router = Router();
  router.get('/-/healthz', (_, response) => {
    response.type('text').send('ok\n');
  });
  router.get('/-/readyz', async (_, response) => {
    const failures = await runChecks(parts);
    response
      .status(failures.length === 0 ? 200 : 503)
      .type('text')
      .send(`${failures.join('\n') || 'ok'}\n`);
  });
  router.get('/-/metrics', async (_, response) => {
    response.type(parts.metrics.registry.contentType).send(await parts.metrics.registry.metrics());
  });
  router.get('/-/version', (_, response) => {
    response.json({ version: parts.version, node: process.version });
  });
  return router;
}

/** Runs all checks. Resolves to one line for each check that failed. */
async function runChecks({ checks, log }: HealthRouterParts): Promise<string[]> {
  const results = Object.entries(checks).map(async ([name, check]) => {
    try {
      await withTimeout(CHECK_TIMEOUT_MS, check());
      return [];
    } catch (error) {
      log.warn({ event: 'readiness.failed', check: name, reason: messageOf(error) }, 'a readiness check failed');
      return [`${name}: ${messageOf(error)}`];
    }
  });
  return (await Promise.all(results)).flat();
}
