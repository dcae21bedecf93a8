import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { BlobCache } from '../build/blob-cache.ts';
import { Blobs } from '../build/blobs.ts';
import { ConfigError } from '../config/reader.ts';
import type { GitLabConfig, ModulesConfig, PublishConfig } from '../config/shared-config.ts';
import { messageOf } from '../errors.ts';
import { GitLabClient, type GitLabOptions } from '../gitlab/client.ts';
import { ProjectCache } from '../gitlab/project-cache.ts';
import { WebhookClient } from '../gitlab/webhooks.ts';
import { keepTemporaryRootClear, TEMPORARY_ROOT } from '../io/temporary-folder.ts';
import { Publisher } from '../publish/publisher.ts';
import type { WriterParts } from '../publish/write-version.ts';
import { MemoryRateLimiter } from '../rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { RedisRateLimiter } from '../rate-limit/redis-rate-limiter.ts';
import { waitForPermit } from '../rate-limit/wait-for-permit.ts';
import { connectRedis, endRedis, watchHeartbeat } from '../redis/connection.ts';
import { redisLock } from '../redis/redis-version-lock.ts';
import { memoryLock, type VersionLock } from '../redis/version-lock.ts';
import { Ownership } from '../resolve/ownership.ts';
import { Resolver } from '../resolve/resolver.ts';
import { RESERVED } from '../store/key.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { withdrawnVersions } from '../store/withdrawal.ts';
import { createLog } from './log.ts';

/** The parts that the service and the commands are made of. A test replaces any of them. */
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
  /** The folder in which each piece of work makes a temporary folder of its own. */
  readonly temporaryRoot: string;
}

/** What the parts report to. */
export interface CoreContext {
  /** Receives outages of Redis, and temporary files that cannot be removed. Silent by default: a command reports each failure itself. */
  readonly log?: Logger;
  /** Called after each response from GitLab: its status, 0 if there was none, and the seconds until its headers. */
  readonly onGitLabResponse?: (status: number, seconds: number) => void;
}

/** Releases one part. */
export type Closer = () => void | PromiseLike<void>;

type StoreSettings = Pick<PublishConfig, 'store'>;
type RedisSettings = Pick<GitLabConfig, 'redisUrl'>;
type OwnershipSettings = ModulesConfig & Pick<GitLabConfig, 'gitlabScope'>;

/**
 * The one place where the parts of modpress are made from settings, for the service and for every command.
 *
 * Each part is made once, when it is first used, after the parts that it depends on. `close` releases them in reverse
 * order. The type of `this` names the settings that a part needs: a command whose settings lack one does not compile.
 */
export class Core<Settings extends object> {
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #onGitLabResponse: CoreContext['onGitLabResponse'];
  readonly #parts: Partial<CoreParts>;
  readonly #closers: Closer[] = [];

  /** `overrides` replace parts; whoever passes one closes it. */
  constructor(settings: Settings, context: CoreContext = {}, overrides: Partial<CoreParts> = {}) {
    this.#settings = settings;
    this.#log = context.log ?? createLog('silent');
    this.#onGitLabResponse = context.onGitLabResponse;
    this.#parts = { ...overrides };
  }

  /** The store. A folder that does not exist is created. Rejects with StoreUnavailable if that fails. */
  store(this: Core<StoreSettings>): Promise<Store> {
    return this.#once('store', async () => {
      const store = await openStore(this.#settings.store);
      this.onClose(() => store[Symbol.asyncDispose]());
      return store;
    });
  }

  /**
   * The store, for a command that reads what others wrote. Throws ConfigError for a folder that is no store: opening it
   * would make it an empty one, and a mistyped path would look like a store without versions.
   */
  async existingStore(this: Core<StoreSettings>): Promise<Store> {
    const { store } = this.#settings;
    if (store.kind === 'disk') {
      try {
        await access(join(store.folder, RESERVED));
      } catch (error) {
        throw new ConfigError([`STORE names no store: ${messageOf(error)}`]);
      }
    }
    return await this.store();
  }

  /** Limits that all processes on one Redis share; those of this process alone without REDIS_URL. */
  rateLimiter(this: Core<RedisSettings>): RateLimiter {
    return this.#once('rateLimiter', () => {
      const redis = this.#redis();
      return redis ? new RedisRateLimiter(redis) : new MemoryRateLimiter();
    });
  }

  /** The lock on versions that all processes on one Redis share; that of this process alone without REDIS_URL. */
  lock(this: Core<RedisSettings>): VersionLock {
    return this.#once('lock', () => {
      const redis = this.#redis();
      return redis ? redisLock(redis, this.#logOf('redis')) : memoryLock();
    });
  }

  /** GitLab's API, within GITLAB_RATE. */
  gitlab(this: Core<GitLabConfig>): GitLabClient {
    return this.#once('gitlab', () => new GitLabClient(this.#gitlabOptions()));
  }

  /** GitLab's API for webhooks, within the same GITLAB_RATE. */
  webhooks(this: Core<GitLabConfig>): WebhookClient {
    return this.#once('webhooks', () => new WebhookClient(this.#gitlabOptions()));
  }

  /** Projects that were read from GitLab a moment ago. */
  projects(this: Core<GitLabConfig>): ProjectCache {
    return this.#once('projects', () => new ProjectCache(this.gitlab()));
  }

  /** Which module paths belong to which project. */
  ownership(this: Core<OwnershipSettings>): Ownership {
    return this.#once('ownership', () => {
      const { modulePrefix, moduleMap, gitlabScope } = this.#settings;
      return new Ownership(modulePrefix, moduleMap, gitlabScope);
    });
  }

  /** Finds module versions in GitLab. */
  resolver(this: Core<StoreSettings & GitLabConfig & ModulesConfig>): Resolver {
    return this.#once(
      'resolver',
      () =>
        new Resolver(this.gitlab(), this.ownership(), {
          projects: this.projects(),
          withdrawnOf: async (module) => withdrawnVersions(await this.store(), module),
        }),
    );
  }

  /** Publishes tags. */
  publisher(this: Core<PublishConfig>): Promise<Publisher> {
    return this.#once(
      'publisher',
      async () =>
        new Publisher({
          ...(await this.writerParts()),
          ownership: this.ownership(),
          projects: this.projects(),
        }),
    );
  }

  /** What writes module versions to the store, for tags and for requests on demand. */
  async writerParts(this: Core<PublishConfig>): Promise<WriterParts> {
    const store = await this.store();
    return {
      store,
      gitlab: this.gitlab(),
      rateLimiter: this.rateLimiter(),
      lock: this.lock(),
      retag: this.#settings.retag,
      temporaryRoot: this.temporaryRoot,
      blobs: this.#blobs(),
    };
  }

  /** The folder in which each piece of work makes a temporary folder of its own. */
  get temporaryRoot(): string {
    return this.#once('temporaryRoot', () => TEMPORARY_ROOT);
  }

  /** Removes what killed processes left in the temporary root, now and every hour until `close`. Rejects if it cannot be read or cleared now. */
  async keepTemporaryRootClear(): Promise<void> {
    this.onClose(
      await keepTemporaryRootClear(this.temporaryRoot, (error) =>
        this.#logOf('app').warn(
          { event: 'temporary-files.failed', reason: messageOf(error) },
          'temporary files of killed processes cannot be removed',
        ),
      ),
    );
  }

  /** Has `close` call this before it releases what was made earlier. */
  onClose(closer: Closer): void {
    this.#closers.push(closer);
  }

  /** Releases the parts, the newest first. If one fails, the others are released all the same, and then it rejects. */
  async close(): Promise<void> {
    const closer = this.#closers.pop();
    if (!closer) return;
    try {
      await closer();
    } finally {
      await this.close();
    }
  }

  #redis(this: Core<RedisSettings>): Redis | undefined {
    const { redisUrl } = this.#settings;
    if (redisUrl === undefined) return undefined;
    return this.#once('redis', () => {
      const redis = connectRedis(redisUrl, this.#logOf('redis'));
      watchHeartbeat(redis);
      this.onClose(() => endRedis(redis));
      return redis;
    });
  }

  #gitlabOptions(this: Core<GitLabConfig>): GitLabOptions {
    const { gitlabUrl, gitlabToken, gitlabRate } = this.#settings;
    const rateLimiter = this.rateLimiter();
    const observe = this.#onGitLabResponse;
    return {
      url: gitlabUrl,
      token: gitlabToken,
      beforeCall: () => waitForPermit(rateLimiter, 'gitlab', gitlabRate, 1000),
      hold: (ms) => rateLimiter.hold('gitlab', ms),
      ...(observe && { observe }),
    };
  }

  #blobs(this: Core<GitLabConfig>): Blobs {
    return this.#once('blobs', () => {
      const { temporaryRoot } = this;
      const gitlab = this.gitlab();
      const cache = new BlobCache(temporaryRoot);
      this.onClose(() => cache.clear());
      return new Blobs({ gitlab, cache, temporaryRoot });
    });
  }

  #logOf(component: string): Logger {
    return this.#log.child({ component });
  }

  /** The part of this name: the one made before, or a new one. */
  #once<Name extends keyof CoreParts>(name: Name, make: () => CoreParts[Name]): CoreParts[Name] {
    const made = this.#parts[name];
    if (made !== undefined) return made;
    const part = make();
    this.#parts[name] = part;
    return part;
  }
}

/** Runs `work` with the parts of a command, and releases them whatever the result is. */
export async function withCore<Settings extends object, T>(
  settings: Settings,
  work: (core: Core<Settings>) => Promise<T>,
): Promise<T> {
  const core = new Core(settings);
  try {
    return await work(core);
  } finally {
    await core.close();
  }
}
