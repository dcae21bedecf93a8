import type { Logger } from 'pino';
import type { Agreement } from './coordination.ts';
import { backfill, type BackfillParts } from '../backfill/backfill.ts';
import type { BackfillRuns } from '../backfill/runs.ts';
import type { Config } from '../config/service.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { Metrics } from './metrics.ts';
import type { BlobCache } from '../build/blob-cache.ts';
import { Blobs } from '../build/blobs.ts';
import { OnDemand } from '../publish/on-demand-handler.ts';
import { Publisher } from '../publish/publisher.ts';
import { createTagHandler } from '../publish/tag-handler.ts';
import type { OnDemandAnswer, OnDemandRequest } from '../requests/on-demand-request.ts';
import type { Requests } from '../requests/requests.ts';
import type { Queue } from '../queue/queue.ts';
import type { Ownership } from '../resolve/ownership.ts';
import { Resolver } from '../resolve/resolver.ts';
import type { Store } from '../store/store.ts';
import { withdrawnVersions } from '../store/withdrawal.ts';
import { CatchUp } from '../sweep/catch-up.ts';
import { startSweeping } from '../sweep/schedule.ts';

/** What the role is put together from. Whatever a running job needs is closed by the caller, after the queue. */
export interface WorkerRoleParts {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ownership: Ownership;
  readonly store: Store;
  readonly gitlab: GitLabClient;
  readonly queue: Queue;
  readonly agreement: Agreement;
  readonly cache: BlobCache;
  /** Where temporary files are. */
  readonly temporaryRoot: string;
  /** Undefined where nothing is answered on demand. */
  readonly questions: Requests<OnDemandRequest, OnDemandAnswer> | undefined;
  readonly runs: BackfillRuns | undefined;
}

/** Tags that one process publishes at a time. */
const CONCURRENCY = 4;
/** Questions that one process answers at a time. Most only wait for GitLab's API; those that build take as much memory as a tag. */
const ANSWERS = 8;

/** Starts what the worker does: publishing, sweeping, backfills, and answering. Returns what stops all that is not stopped by its queue, in this order. */
export function startWorker(parts: WorkerRoleParts): (() => Promise<void>)[] {
  const { config, log, metrics, store, ownership, gitlab, queue, cache, temporaryRoot, questions, runs } = parts;
  const { rateLimiter, lock } = parts.agreement;
  const blobs = new Blobs({ gitlab, cache, temporaryRoot });
  const writing = { gitlab, store, rateLimiter, lock, retag: config.retag, temporaryRoot, blobs };
  const publisher = new Publisher({ ...writing, ownership });
  const publish = createTagHandler({ publisher, log, onDone: metrics.tagDone });
  queue.process(CONCURRENCY, async (job) => void (await publish(job)));
  const backfillParts: BackfillParts = { gitlab, store, ownership, publish };
  runs?.process(async (request, onProgress, signal) => {
    const progress = await backfill(backfillParts, request, onProgress, signal);
    const { state, projects, known, published, skipped, refused, failed } = progress;
    if (state === 'done')
      log.info(
        { event: 'backfill.finished', ...request, projects: projects.done, known, published, skipped, refused, failed },
        'backfill is over',
      );
    return progress;
  });
  const sweeping = startSweeping({
    gitlab,
    store,
    queue,
    log,
    scope: config.gitlabScope,
    rateLimiter,
    minutes: config.sweepMinutes,
    onSwept: metrics.sweepDone,
  });
  if (!questions) return [() => sweeping.stop()];
  const catchUp = new CatchUp({ gitlab, store, queue, log });
  const onDemand = new OnDemand({
    ...writing,
    resolver: new Resolver(gitlab, ownership, { withdrawnOf: (module) => withdrawnVersions(store, module) }),
    log,
    onMissed: (projectId) => catchUp.add(projectId),
    onAnswered: metrics.requestAnswered,
  });
  questions.serve(ANSWERS, (question) => onDemand.answer(question));
  return [() => catchUp.close(), () => sweeping.stop()];
}
