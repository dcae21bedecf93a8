import { expect, test } from 'vitest';
import { createMetrics } from '../../src/app/metrics.ts';

test('a metric that cannot be read is left out and counted, and the others remain', async () => {
  const metrics = createMetrics();
  let isRedisDown = false;
  metrics.watchQueue(async () => {
    if (isRedisDown) throw new Error('Redis is down');
    return { waiting: 7, active: 1, delayed: 0 };
  });
  metrics.jobRetried();
  expect(await metrics.registry.metrics()).toContain('modpress_queue_jobs{state="waiting"} 7\n');

  isRedisDown = true;
  await metrics.registry.metrics();
  const during = await metrics.registry.metrics();
  expect(during).not.toContain('modpress_queue_jobs{');
  expect(during).toContain('modpress_job_retries_total 1\n');
  expect(during).toMatch(/^modpress_metric_failures_total\{metric="modpress_queue_jobs"\} [12]$/m);
  // An operator finds here that the event loop was blocked.
  expect(during).toContain('nodejs_eventloop_lag_max_seconds');
});
