import { createAgreement, gitlabOptions } from '../app/coordination.ts';
import type { PublishConfig } from '../config/commands.ts';
import { GitLabClient } from '../gitlab/client.ts';
import { createLog } from '../app/log.ts';
import { BlobCache } from '../build/blob-cache.ts';
import { Blobs } from '../build/blobs.ts';
import { Publisher } from '../publish/publisher.ts';
import { clearAbandonedFolders, TEMPORARY_ROOT } from '../io/temporary-folder.ts';
import { Ownership } from '../resolve/ownership.ts';
import { openStore } from '../store/open-store.ts';
import { backfill } from './backfill.ts';
import type { BackfillWork } from './runs.ts';

/** A backfill by this process itself. With REDIS_URL it keeps within the limits together with the service that runs. */
export function backfillHere(config: PublishConfig): BackfillWork {
  return async (request, onProgress, signal) => {
    // What goes wrong is told with the tags that failed for it.
    const agreement = createAgreement(config.redisUrl, createLog('silent'));
    const { rateLimiter, lock } = agreement;
    const store = await openStore(config.store);
    const cache = new BlobCache(TEMPORARY_ROOT);
    try {
      await store.check();
      await clearAbandonedFolders(TEMPORARY_ROOT);
      const gitlab = new GitLabClient(gitlabOptions(config, rateLimiter));
      const ownership = new Ownership(config.modulePrefix, config.moduleMap, config.gitlabScope);
      const blobs = new Blobs({ gitlab, cache, temporaryRoot: TEMPORARY_ROOT });
      const publisher = new Publisher({
        gitlab,
        store,
        rateLimiter,
        lock,
        retag: config.retag,
        temporaryRoot: TEMPORARY_ROOT,
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
