import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What a process counts, for `/-/metrics`. Names of projects and modules are no labels: there may be thousands. */
export interface Metrics {
  readonly registry: Registry;
  /** A webhook delivery was answered. */
  readonly webhookReceived: (event: string, result: string) => void;
  /** A tag was looked at; `outcome` is published, skipped, refused, known or dismissed. */
  readonly tagDone: (outcome: string, seconds: number) => void;
  /** A question of the proxy was answered; both words are those of module-question.ts. */
  readonly requestAnswered: (ask: string, answer: string, seconds: number) => void;
  /** A job failed and will be retried. */
  readonly jobRetried: () => void;
  /** GitLab answered; `status` is 0 where it did not. */
  readonly gitlabAnswered: (status: number, seconds: number) => void;
  /** A request was answered; `route` is its kind, not its path. */
  readonly httpAnswered: (route: string, status: number, seconds: number) => void;
  /** A comparison of tags with the store is over, which found so many tags that no webhook had told of. */
  readonly sweepDone: (recovered: number, seconds: number) => void;
  /** Reads the depth of the queue whenever the metrics are asked for. */
  readonly watchQueue: (counts: () => Promise<{ waiting: number; active: number; delayed: number }>) => void;
}

/** Creates a registry with the process's metrics. */
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
    name: 'modpress_tag_seconds',
    help: 'Time from the start of a job to its outcome',
    labelNames: ['outcome'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    registers,
  });
  const questions = new Histogram({
    name: 'modpress_question_seconds',
    help: 'Time to answer what is asked on demand, by question and answer',
    labelNames: ['ask', 'answer'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers,
  });
  const retries = new Counter({
    name: 'modpress_job_retries_total',
    help: 'Jobs that failed and wait to be run again',
    registers,
  });
  const gitlab = new Histogram({
    name: 'modpress_gitlab_seconds',
    help: "Time to the headers of GitLab's answers, by status",
    labelNames: ['status'],
    registers,
  });
  const http = new Histogram({
    name: 'modpress_http_seconds',
    help: 'Time of answers by route and status',
    labelNames: ['route', 'status'],
    registers,
  });
  const recovered = new Counter({
    name: 'modpress_sweep_recovered_total',
    help: 'Tags that no webhook had told of',
    registers,
  });
  const sweeps = new Histogram({
    name: 'modpress_sweep_seconds',
    help: 'Time of a comparison of tags with the store',
    buckets: [1, 5, 15, 60, 300, 900, 3600],
    registers,
  });
  return {
    registry,
    webhookReceived: (event, result) => webhooks.inc({ event, result }),
    tagDone: (outcome, seconds) => tags.observe({ outcome }, seconds),
    requestAnswered: (ask, answer, seconds) => questions.observe({ ask, answer }, seconds),
    jobRetried: () => retries.inc(),
    gitlabAnswered: (status, seconds) => gitlab.observe({ status: String(status) }, seconds),
    httpAnswered: (route, status, seconds) => http.observe({ route, status: String(status) }, seconds),
    sweepDone: (count, seconds) => {
      recovered.inc(count);
      sweeps.observe(seconds);
    },
    watchQueue: (counts) => {
      const jobs: Gauge = new Gauge({
        name: 'modpress_queue_jobs',
        help: 'Jobs by state',
        labelNames: ['state'],
        registers,
        collect: async () => {
          for (const [state, count] of Object.entries(await counts())) jobs.set({ state }, count);
        },
      });
    },
  };
}
