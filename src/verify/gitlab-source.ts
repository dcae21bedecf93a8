import { createAgreement, gitlabOptions } from '../app/coordination.ts';
import type { GitLabConfig } from '../config/service.ts';
import { GitLabClient } from '../gitlab/client.ts';
import { createLog } from '../app/log.ts';
import { Ownership } from '../resolve/ownership.ts';
import { Resolver } from '../resolve/resolver.ts';
import { Rebuilder, type RebuilderParts } from './rebuild.ts';

/** A rebuilder, and what ends its connections. */
export interface GitLabSource extends Disposable {
  readonly rebuilder: Rebuilder;
}

/** Makes a rebuilder from the settings. With REDIS_URL it keeps within the limits together with the service that runs. */
export function openGitLabSource(
  config: GitLabConfig,
  options: Pick<RebuilderParts, 'temporaryRoot' | 'onWait'>,
): GitLabSource {
  // What goes wrong with Redis is told with the versions that could not be checked for it.
  const agreement = createAgreement(config.redisUrl, createLog('silent'));
  const { rateLimiter } = agreement;
  const gitlab = new GitLabClient(gitlabOptions(config, rateLimiter));
  const resolver = new Resolver(gitlab, new Ownership(config.modulePrefix, config.moduleMap, config.gitlabScope));
  return {
    rebuilder: new Rebuilder({ gitlab, resolver, rateLimiter, ...options }),
    [Symbol.dispose]: () => agreement[Symbol.dispose](),
  };
}
