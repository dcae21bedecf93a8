import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Blobs } from '../build/blobs.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { ProjectCache } from '../gitlab/project-cache.ts';
import type { WebhookClient } from '../gitlab/webhooks.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import type { VersionLock } from '../redis/version-lock.ts';
import type { Ownership } from '../resolve/ownership.ts';
import type { Resolver } from '../resolve/resolver.ts';
import type { Store } from '../store/store.ts';

/** The parts that the service and the commands use. A test can replace each of them. */
export interface CoreParts {
  readonly store: Promise<Store>;
  /** The connection for the rate limiter and the version lock; undefined without REDIS_URL. */
  readonly redis: Redis | undefined;
  readonly rateLimiter: RateLimiter;
  readonly lock: VersionLock;
  readonly gitlab: GitLabClient;
  readonly webhooks: WebhookClient;
  readonly projects: ProjectCache;
  readonly ownership: Ownership;
  readonly blobs: Blobs;
  readonly resolver: Resolver;
  readonly publisher: Promise<Publisher>;
  /** The folder in which each piece of work creates its own temporary folder. */
  readonly temporaryRoot: string;
}

/** The log and the callback that the parts report to. */
export interface CoreContext {
  /**
   * Receives outages of Redis, and failures to remove temporary files. Silent by default: a command reports each failure
   * itself.
   */
  readonly log?: Logger;
  /** Called after each request to GitLab with the status, 0 without a response, and the seconds until the response headers. */
  readonly onGitLabResponse?: (status: number, seconds: number) => void;
}

/** Releases one part. */
export type Closer = () => void | PromiseLike<void>;
