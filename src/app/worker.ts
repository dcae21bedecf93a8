import type { Logger } from 'pino';
import { inBackground } from '../async/background.ts';
import { backfill, type BackfillParts } from '../backfill/backfill.ts';
import type { Config } from '../config/service-config.ts';
import { messageOf } from '../errors.ts';
import { OnDemand } from '../publish/on-demand-handler.ts';
import { createTagHandler } from '../publish/tag-handler.ts';
import type { Queue } from '../queue/queue.ts';
import type { Store } from '../store/store.ts';
import { CatchUp } from '../sweep/catch-up.ts';
import { startSweeping } from '../sweep/schedule.ts';
import type { Core } from './core.ts';
import { invalidateOnce, invalidateProject } from './invalidation.ts';
import type { Metrics } from './metrics.ts';
import type { Queues } from './queues.ts';

/**
 * The dependencies of the worker role. Jobs use parts of the core until `tags` is closed, so the caller must create
 * these parts before `tags`.
 */
export interface WorkerRoleParts {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly core: Core<Config>;
  readonly tags: Queue;
  readonly requests: Queues['requests'];
  readonly backfills: Queues['backfills'];
}

/** The maximum number of tags that one process publishes concurrently. */
const MAX_CONCURRENT_TAGS = 4;
/**
 * The maximum number of on-demand requests that one process answers concurrently. Most requests only wait for GitLab. A
 * request that builds a version needs as much memory as a tag.
 */
const MAX_CONCURRENT_REQUESTS = 8;

/**
 * Starts the worker role. Until the core is closed, it publishes tags, sweeps, runs backfills and answers on-demand
 * requests.
 */
export async function startWorker(parts: WorkerRoleParts): Promise<void> {
  const { config, log, metrics, core, tags, requests, backfills } = parts;
  const store = await core.store();
  await createBucket(store, log.child({ component: 'store' }));
  await core.startTemporaryFolderCleanup();
  const gitlab = core.gitlab();
  const publishLog = log.child({ component: 'publish' });
  const invalidate = invalidateProject(requests, core.ownership());
  const publish = createTagHandler({
    publisher: await core.publisher(),
    log: publishLog,
    onDone: metrics.tagProcessed,
    onChanged: invalidate,
  });
  tags.process(MAX_CONCURRENT_TAGS, async (job) => {
    await (job.priority === 'pushed' ? publish(job) : inBackground(() => publish(job)));
  });
  runBackfills(
    { gitlab, store, ownership: core.ownership(), publish },
    backfills,
    log.child({ component: 'backfill' }),
  );

  const sweepLog = log.child({ component: 'sweep' });
  const sweeping = inBackground(() =>
    startSweeping({
      gitlab,
      store,
      queue: tags,
      log: sweepLog,
      scope: config.gitlabScope,
      rateLimiter: core.rateLimiter(),
      minutes: config.sweepMinutes,
      onChanged: invalidateOnce(invalidate, sweepLog),
      onSwept: metrics.sweepFinished,
    }),
  );
  core.onClose(() => sweeping.stop());
  if (!requests) return;
  const catchUp = new CatchUp({ gitlab, store, queue: tags, log: sweepLog });
  core.onClose(() => catchUp.close());
  const onDemand = new OnDemand({
    ...(await core.writerParts()),
    resolver: core.resolver(),
    log: publishLog,
    onMissed: (projectId) => catchUp.add(projectId),
    onAnswered: metrics.onDemandRequestAnswered,
  });
  requests.serve(MAX_CONCURRENT_REQUESTS, (request, changedAt) =>
    inBackground(() => onDemand.answer(request, changedAt)),
  );
}

/**
 * Creates the bucket if it does not exist. If the store is not available, only logs the error: the service starts
 * anyway, and jobs wait for the store.
 */
async function createBucket(store: Store, log: Logger): Promise<void> {
  try {
    await store.check();
  } catch (error) {
    log.error(
      { event: 'store.unavailable', reason: messageOf(error) },
      'the store is not available; publishing waits until it is',
    );
  }
}

function runBackfills(parts: BackfillParts, backfills: Queues['backfills'], log: Logger): void {
  backfills?.process(async (request, onProgress, signal) => {
    const progress = await inBackground(() => backfill(parts, request, onProgress, signal));
    const { state, projects, known, published, skipped, refused, failed } = progress;
    if (state === 'done') {
      log.info(
        { event: 'backfill.finished', ...request, projects: projects.done, known, published, skipped, refused, failed },
        'backfill finished',
      );
    }
    return progress;
  });
}
