import { createAgreement, gitlabOptions } from '../agreement.ts';
import type { PublishConfig } from '../command-config.ts';
import { GitLabClient } from '../gitlab/client.ts';
import { createLog } from '../log.ts';
import { BlobCache } from '../publish/blob-cache.ts';
import { Blobs } from '../publish/blobs.ts';
import { Publisher } from '../publish/publish.ts';
import { clearAbandonedScratch, SCRATCH } from '../publish/scratch.ts';
import { Ownership } from '../resolve/ownership.ts';
import { openStore } from '../store/open.ts';
import { backfill } from './backfill.ts';
import type { BackfillWork } from './runs.ts';

/** A backfill by this process itself. With REDIS_URL it keeps within the limits together with the service that runs. */
export function backfillHere(config: PublishConfig): BackfillWork {
  return async (request, onProgress, signal) => {
    // What goes wrong is told with the tags that failed for it.
    const agreement = createAgreement(config.redisUrl, createLog('silent'));
    const { pace, lock } = agreement;
    const store = await openStore(config.store);
    const cache = new BlobCache(SCRATCH);
    try {
      await store.check();
      await clearAbandonedScratch(SCRATCH);
      const gitlab = new GitLabClient(gitlabOptions(config, pace));
      const ownership = new Ownership(config.modulePrefix, config.moduleMap, config.gitlabScope);
      const blobs = new Blobs({ gitlab, cache, temporary: SCRATCH });
      const publisher = new Publisher({
        gitlab,
        store,
        pace,
        lock,
        retag: config.retag,
        temporary: SCRATCH,
        blobs,
        ownership,
      });
      const parts = {
        gitlab,
        store,
        ownership,
        publish: (job: Parameters<Publisher['publish']>[0]) => publisher.publish(job),
      };
      return await backfill(parts, request, onProgress, signal);
    } finally {
      await cache.clear();
      await store[Symbol.asyncDispose]();
      agreement[Symbol.dispose]();
    }
  };
}
