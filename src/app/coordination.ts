import type { Logger } from 'pino';
import type { Config } from '../config/service.ts';
import type { GitLabOptions } from '../gitlab/client.ts';
import type { TransportOptions } from '../gitlab/transport.ts';
import { MemoryRateLimiter } from '../rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { RedisRateLimiter } from '../rate-limit/redis-rate-limiter.ts';
import { waitForPermit } from '../rate-limit/wait-for-permit.ts';
import { connectRedis, endRedis, watchHeartbeat } from '../redis/connection.ts';
import { redisLock } from '../redis/redis-version-lock.ts';
import { memoryLock, type VersionLock } from '../redis/version-lock.ts';

/** What all processes have to agree on: in Redis if there is one, else each for itself. */
export interface Agreement extends Disposable {
  readonly rateLimiter: RateLimiter;
  readonly lock: VersionLock;
}

/** Makes the agreement; what goes wrong with Redis is told in `log`, and by whatever fails for it. */
export function createAgreement(redisUrl: string | undefined, log: Logger): Agreement {
  if (redisUrl === undefined)
    return { rateLimiter: new MemoryRateLimiter(), lock: memoryLock(), [Symbol.dispose]: () => undefined };
  const redis = connectRedis(redisUrl, log);
  watchHeartbeat(redis);
  return {
    rateLimiter: new RedisRateLimiter(redis),
    lock: redisLock(redis, log),
    [Symbol.dispose]: () => endRedis(redis),
  };
}

/** What a client of GitLab is made with that keeps to GITLAB_RATE together with all others that share the pace. */
export function gitlabOptions(
  { gitlabUrl, gitlabToken, gitlabRate }: Pick<Config, 'gitlabUrl' | 'gitlabToken' | 'gitlabRate'>,
  rateLimiter: RateLimiter,
  observe?: TransportOptions['observe'],
): GitLabOptions {
  return {
    url: gitlabUrl,
    token: gitlabToken,
    beforeCall: () => waitForPermit(rateLimiter, 'gitlab', gitlabRate, 1000),
    hold: (ms) => rateLimiter.hold('gitlab', ms),
    ...(observe && { observe }),
  };
}
