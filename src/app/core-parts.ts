import type { Logger } from 'pino';
import type { Blobs } from '../build/blobs.ts';
import type { LargeModules } from '../build/large-modules.ts';
import type { GitLabClient } from '../gitlab/client.ts';
import type { ProjectCache } from '../gitlab/project-cache.ts';
import type { WebhookClient } from '../gitlab/webhooks.ts';
import type { HttpClient } from '../http-client/http-client.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { VersionLock } from '../redis/version-lock.ts';
import type { Ownership } from '../resolve/ownership.ts';
import type { Resolver } from '../resolve/resolver.ts';
import type { Store } from '../store/store.ts';

/** The parts that the service and the commands use. A test can replace each of them. */
export interface CoreParts {
  /** All outgoing HTTP connections. */
  readonly http: HttpClient;
  readonly store: Promise<Store>;
  /** The connection for the rate limiter and the version lock. Undefined without REDIS_URL. */
  readonly redis: RedisConnection | undefined;
  readonly rateLimiter: RateLimiter;
  readonly lock: VersionLock;
  readonly gitlab: GitLabClient;
  readonly webhooks: WebhookClient;
  readonly projects: ProjectCache;
  readonly ownership: Ownership;
  readonly blobs: Blobs;
  readonly largeModules: LargeModules;
  readonly resolver: Resolver;
  readonly publisher: Promise<Publisher>;
  /** The folder in which each operation creates its own temporary folder. */
  readonly temporaryRoot: string;
}

/** The log and the callback that the parts use. */
export interface CoreContext {
  /**
   * The log for outages of Redis, and for temporary files that cannot be removed. Silent by default, because a command
   * reports each failure itself.
   */
  readonly log?: Logger;
  /**
   * Called after each request to GitLab, with the status and the seconds until the response headers. The status is 0 if
   * there was no response.
   */
  readonly onGitLabResponse?: (status: number, seconds: number) => void;
}

/** Releases one part. */
export type Closer = () => void | PromiseLike<void>;
