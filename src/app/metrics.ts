import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { withTimeout } from '../async/with-timeout.ts';

/** How long a scrape waits for the numbers of jobs. Prometheus itself waits for 10 s by default. */
const COUNT_TIMEOUT_MS = 5_000;

/**
 * The metrics of a process, for `/-/metrics`. Names of projects and modules are not labels, because there may be
 * thousands of them.
 */
export interface Metrics {
  readonly registry: Registry;
  /** Counts a webhook delivery that was answered. */
  readonly webhookReceived: (event: string, result: string) => void;
  /** Records a tag that was processed. `outcome` is published, skipped, refused, known or dismissed. */
  readonly tagProcessed: (outcome: string, seconds: number) => void;
  /**
   * Records an on-demand request that was answered. `request` and `result` are kinds from
   * requests/on-demand-request.ts.
   */
  readonly onDemandRequestAnswered: (request: string, result: string, seconds: number) => void;
  /** Counts a job that failed and will be retried. */
  readonly jobRetried: () => void;
  /** Records a request to GitLab. `status` is 0 if there was no response. */
  readonly gitlabResponded: (status: number, seconds: number) => void;
  /** Records a request of the go command that was served. `route` is the kind of the request, not its path. */
  readonly httpRequestServed: (route: string, status: number, seconds: number) => void;
  /** Records a sweep that finished. `recovered` is the number of tags for which no webhook arrived. */
  readonly sweepFinished: (recovered: number, seconds: number) => void;
  /** Registers `counts`. Each scrape calls it to read the number of jobs. */
  readonly watchQueue: (counts: () => Promise<{ waiting: number; active: number; delayed: number }>) => void;
}

/** Creates a registry with the metrics of this process. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const webhooks = new Counter({
    name: 'modpress_webhook_deliveries_total',
    help: 'Webhook deliveries by event and result',
    labelNames: ['event', 'result'],
    registers,
  });
  const tags = new Histogram({
    name: 'modpress_tag_processing_seconds',
    help: 'Time from the start of a job to the outcome of its tag',
    labelNames: ['outcome'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    registers,
  });
  const onDemandRequests = new Histogram({
    name: 'modpress_on_demand_request_seconds',
    help: 'Time to answer an on-demand request, by request and result',
    labelNames: ['request', 'result'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers,
  });
  const retries = new Counter({
    name: 'modpress_job_retries_total',
    help: 'Jobs that failed and will be retried',
    registers,
  });
  const gitlab = new Histogram({
    name: 'modpress_gitlab_request_seconds',
    help: 'Time until the response headers of a request to GitLab, by status',
    labelNames: ['status'],
    registers,
  });
  const http = new Histogram({
    name: 'modpress_http_request_seconds',
    help: 'Time to serve a request of the go command, by route and status',
    labelNames: ['route', 'status'],
    registers,
  });
  const recovered = new Counter({
    name: 'modpress_sweep_recovered_total',
    help: 'Tags found by a sweep for which no webhook arrived',
    registers,
  });
  const sweeps = new Histogram({
    name: 'modpress_sweep_duration_seconds',
    help: 'Duration of a sweep, which compares the tags in GitLab with the store',
    buckets: [1, 5, 15, 60, 300, 900, 3600],
    registers,
  });
  return {
    registry,
    webhookReceived: (event, result) => webhooks.inc({ event, result }),
    tagProcessed: (outcome, seconds) => tags.observe({ outcome }, seconds),
    onDemandRequestAnswered: (request, result, seconds) => onDemandRequests.observe({ request, result }, seconds),
    jobRetried: () => retries.inc(),
    gitlabResponded: (status, seconds) => gitlab.observe({ status: String(status) }, seconds),
    httpRequestServed: (route, status, seconds) => http.observe({ route, status: String(status) }, seconds),
    sweepFinished: (count, seconds) => {
      recovered.inc(count);
      sweeps.observe(seconds);
    },
    watchQueue: (counts) => {
      const failures = new Counter({
        name: 'modpress_metric_failures_total',
        help: 'Scrapes in which a metric could not be read and was left out',
        labelNames: ['metric'],
        registers,
      });
      const jobs: Gauge = new Gauge({
        name: 'modpress_queue_jobs',
        help: 'Jobs in the queue, by state',
        labelNames: ['state'],
        registers,
        // An operator needs the other metrics most while Redis is down.
        collect: async () => {
          jobs.reset();
          try {
            const byState = await withTimeout(COUNT_TIMEOUT_MS, counts());
            for (const [state, count] of Object.entries(byState)) jobs.set({ state }, count);
          } catch {
            failures.inc({ metric: 'modpress_queue_jobs' });
          }
        },
      });
    },
  };
}
