import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { GitLabOptions } from './gitlab/client.ts';
import type { RequesterOptions } from './gitlab/requester.ts';
import { MemoryPace } from './pace/memory-pace.ts';
import type { Pace } from './pace/pace.ts';
import { RedisPace } from './pace/redis-pace.ts';
import { waitForPace } from './pace/wait.ts';
import { connectRedis, endRedis, watchHeartbeat } from './queue/redis.ts';
import { redisLock } from './queue/redis-version-lock.ts';
import { memoryLock, type VersionLock } from './queue/version-lock.ts';

/** What all processes have to agree on: in Redis if there is one, else each for itself. */
export interface Agreement extends Disposable {
  readonly pace: Pace;
  readonly lock: VersionLock;
}

/** Makes the agreement; what goes wrong with Redis is told in `log`, and by whatever fails for it. */
export function createAgreement(redisUrl: string | undefined, log: Logger): Agreement {
  if (redisUrl === undefined) return { pace: new MemoryPace(), lock: memoryLock(), [Symbol.dispose]: () => undefined };
  const redis = connectRedis(redisUrl, log);
  watchHeartbeat(redis);
  return { pace: new RedisPace(redis), lock: redisLock(redis, log), [Symbol.dispose]: () => endRedis(redis) };
}

/** What a client of GitLab is made with that keeps to GITLAB_RATE together with all others that share the pace. */
export function gitlabOptions(
  { gitlabUrl, gitlabToken, gitlabRate }: Pick<Config, 'gitlabUrl' | 'gitlabToken' | 'gitlabRate'>,
  pace: Pace,
  observe?: RequesterOptions['observe'],
): GitLabOptions {
  return {
    url: gitlabUrl,
    token: gitlabToken,
    pace: () => waitForPace(pace, 'gitlab', gitlabRate, 1000),
    hold: (ms) => pace.hold('gitlab', ms),
    ...(observe && { observe }),
  };
}
