import { expect, test } from 'vitest';
import { createMetrics } from '../../src/app/metrics.ts';

test('a metric that cannot be read is left out and counted, and the others remain', async () => {
  const metrics = createMetrics();
  let counts = async () => ({ waiting: 7, active: 1, delayed: 0 });
  metrics.watchQueue(() => counts());
  metrics.jobRetried();
  expect(await metrics.registry.metrics()).toContain('modpress_queue_jobs{state="waiting"} 7\n');

  counts = () => Promise.reject(new Error('Redis is down'));
  await metrics.registry.metrics();
  const during = await metrics.registry.metrics();
  expect(during).not.toContain('modpress_queue_jobs{');
  expect(during).toContain('modpress_job_retries_total 1\n');
  expect(during).toMatch(/^modpress_metric_failures_total\{metric="modpress_queue_jobs"\} [12]$/m);
  // An operator finds here that the event loop was blocked.
  expect(during).toContain('nodejs_eventloop_lag_max_seconds');
});
