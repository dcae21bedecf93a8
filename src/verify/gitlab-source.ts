import type { GitLabConfig } from '../config.ts';
import { GitLabClient } from '../gitlab/client.ts';
import { createLog } from '../log.ts';
import { MemoryPace } from '../pace/memory-pace.ts';
import { RedisPace } from '../pace/redis-pace.ts';
import { waitForPace } from '../pace/wait.ts';
import { connectRedis, endRedis, watchHeartbeat } from '../queue/redis.ts';
import { Ownership } from '../resolve/ownership.ts';
import { Resolver } from '../resolve/resolver.ts';
import { Rebuilder, type RebuilderParts } from './rebuild.ts';

/** A rebuilder, and what ends its connections. */
export interface GitLabSource extends Disposable {
  readonly rebuilder: Rebuilder;
}

/** Makes a rebuilder from the settings. With REDIS_URL it keeps within the limits together with the service that runs. */
export function openGitLabSource(config: GitLabConfig, options: Pick<RebuilderParts, 'temporary' | 'onWait'>): GitLabSource {
  // What goes wrong with Redis is told with the versions that could not be checked for it.
  const redis = config.redisUrl === undefined ? undefined : connectRedis(config.redisUrl, createLog('silent'));
  if (redis) watchHeartbeat(redis);
  const pace = redis ? new RedisPace(redis) : new MemoryPace();
  const gitlab = new GitLabClient({
    url: config.gitlabUrl,
    token: config.gitlabToken,
    pace: () => waitForPace(pace, 'gitlab', config.gitlabRate, 1000),
  });
  const resolver = new Resolver(gitlab, new Ownership(config.modulePrefix, config.moduleMap, config.gitlabScope));
  return {
    rebuilder: new Rebuilder({ gitlab, resolver, pace, ...options }),
    [Symbol.dispose]: () => redis && endRedis(redis),
  };
}
