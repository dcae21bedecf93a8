import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { isInBackground } from '../async/background.ts';
import { BlobCache } from '../build/blob-cache.ts';
import { Blobs } from '../build/blobs.ts';
import { LargeModules } from '../build/large-modules.ts';
import { ConfigError } from '../config/reader.ts';
import type { GitLabConfig, ModulesConfig, NetworkConfig, PublishConfig } from '../config/shared-config.ts';
import { messageOf } from '../errors.ts';
import { GitLabClient, type GitLabOptions } from '../gitlab/client.ts';
import { ProjectCache } from '../gitlab/project-cache.ts';
import { WebhookClient } from '../gitlab/webhooks.ts';
import { HttpClient } from '../http-client/http-client.ts';
import { startTemporaryFolderCleanup, TEMPORARY_ROOT } from '../io/temporary-folder.ts';
import { Publisher } from '../publish/publisher.ts';
import type { WriterParts } from '../publish/write-version.ts';
import { MemoryRateLimiter } from '../rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { RedisRateLimiter } from '../rate-limit/redis-rate-limiter.ts';
import { waitForPermit } from '../rate-limit/wait-for-permit.ts';
import { RedisConnection } from '../redis/connection.ts';
import { redisLock } from '../redis/redis-version-lock.ts';
import { memoryLock, type VersionLock } from '../redis/version-lock.ts';
import { Ownership } from '../resolve/ownership.ts';
import { Resolver } from '../resolve/resolver.ts';
import { RESERVED } from '../store/key.ts';
import { historyKey } from '../store/layout.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { withdrawnVersions } from '../store/withdrawal.ts';
import type { Closer, CoreContext, CoreParts } from './core-parts.ts';
import { createLog } from './log.ts';

type StoreSettings = NetworkConfig & Pick<PublishConfig, 'store'>;
type RedisSettings = Pick<GitLabConfig, 'redisLocation'>;
type OwnershipSettings = ModulesConfig & Pick<GitLabConfig, 'gitlabScope'>;

/**
 * Creates the parts of modpress from the settings, for the service and for every command.
 *
 * Each part is created on first use, after its dependencies. `close` releases the parts in reverse order. The type of
 * `this` names the settings that a part needs. A command whose settings lack one of them does not compile.
 */
export class Core<Settings extends object> {
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #onGitLabResponse: CoreContext['onGitLabResponse'];
  readonly #parts: Partial<CoreParts>;
  readonly #closers: Closer[] = [];

  /** The parts in `overrides` are used instead of new ones. The caller has to close them. */
  constructor(settings: Settings, context: CoreContext = {}, overrides: Partial<CoreParts> = {}) {
    this.#settings = settings;
    this.#log = context.log ?? createLog('silent');
    this.#onGitLabResponse = context.onGitLabResponse;
    this.#parts = { ...overrides };
  }

  /** All outgoing HTTP connections. */
  http(this: Core<NetworkConfig>): HttpClient {
    return this.#once('http', () => {
      const { forwardProxies, trust } = this.#settings;
      const http = new HttpClient({ forwardProxies, trust });
      this.onClose(() => http.close());
      return http;
    });
  }

  /** The store. Creates its folder if necessary. Rejects with StoreUnavailable if that fails. */
  store(this: Core<StoreSettings>): Promise<Store> {
    return this.#once('store', () => openStore(this.#settings.store, this.http()));
  }

  /**
   * The store, which must exist already. Rejects with ConfigError for a folder that is not a store. Opening such a
   * folder would create an empty store, and a mistyped path would look like a store without versions.
   */
  async existingStore(this: Core<StoreSettings>): Promise<Store> {
    const { store } = this.#settings;
    if (store.kind === 'disk') {
      try {
        await access(join(store.folder, RESERVED));
      } catch (error) {
        throw new ConfigError([`STORE does not name a store: ${messageOf(error)}`]);
      }
    }
    return await this.store();
  }

  /** The rate limiter. All processes on one Redis share it. Without REDIS_URL, it is for this process only. */
  rateLimiter(this: Core<RedisSettings>): RateLimiter {
    return this.#once('rateLimiter', () => {
      const redis = this.#redis();
      return redis ? new RedisRateLimiter(redis) : new MemoryRateLimiter();
    });
  }

  /** The version lock. All processes on one Redis share it. Without REDIS_URL, it is for this process only. */
  lock(this: Core<RedisSettings>): VersionLock {
    return this.#once('lock', () => {
      const redis = this.#redis();
      return redis ? redisLock(redis, this.#logOf('redis')) : memoryLock();
    });
  }

  /** The client of GitLab's API. It observes the limit GITLAB_RATE. */
  gitlab(this: Core<GitLabConfig>): GitLabClient {
    return this.#once('gitlab', () => new GitLabClient(this.#gitlabOptions()));
  }

  /** The client of GitLab's API for webhooks. It shares the limit GITLAB_RATE with the other client. */
  webhooks(this: Core<GitLabConfig>): WebhookClient {
    return this.#once('webhooks', () => new WebhookClient(this.#gitlabOptions()));
  }

  /** The cache of projects that were read from GitLab recently. */
  projects(this: Core<GitLabConfig>): ProjectCache {
    return this.#once('projects', () => new ProjectCache(this.gitlab()));
  }

  /** The rules that determine which module paths belong to which project. */
  ownership(this: Core<OwnershipSettings>): Ownership {
    return this.#once('ownership', () => {
      const { modulePrefix, moduleMap, gitlabScope } = this.#settings;
      return new Ownership(modulePrefix, moduleMap, gitlabScope);
    });
  }

  /**
   * The resolver, which finds module versions in GitLab. With `isReadOnly`, it does not store what it has found of the
   * histories of commits.
   */
  resolver(
    this: Core<StoreSettings & GitLabConfig & ModulesConfig>,
    { isReadOnly = false }: { readonly isReadOnly?: boolean } = {},
  ): Resolver {
    return this.#once(
      'resolver',
      () =>
        new Resolver(this.gitlab(), this.ownership(), {
          projects: this.projects(),
          withdrawnOf: async (module) => withdrawnVersions(await this.store(), module),
          histories: {
            read: async (projectId) => (await this.store()).get(historyKey(projectId)),
            write: async (projectId, histories) => {
              if (!isReadOnly) await (await this.store()).put(historyKey(projectId), histories);
            },
          },
        }),
    );
  }

  /** The publisher, which publishes tags. */
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

  /** The dependencies of the code that writes module versions to the store, for tags and for on-demand requests. */
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
      largeModules: this.#once('largeModules', () => new LargeModules()),
    };
  }

  /** The folder in which each operation creates its own temporary folder. */
  get temporaryRoot(): string {
    return this.#once('temporaryRoot', () => TEMPORARY_ROOT);
  }

  /**
   * Removes temporary folders of killed processes, now and every hour until `close` is called. Rejects if the first
   * removal fails.
   */
  async startTemporaryFolderCleanup(): Promise<void> {
    this.onClose(
      await startTemporaryFolderCleanup(this.temporaryRoot, (error) =>
        this.#logOf('app').warn(
          { event: 'temporary-files.failed', reason: messageOf(error) },
          'temporary files of killed processes cannot be removed',
        ),
      ),
    );
  }

  /** Registers a closer. `close` calls the closers in reverse order of their registration. */
  onClose(closer: Closer): void {
    this.#closers.push(closer);
  }

  /** Calls the closers, the newest first. If one fails, still calls the remaining ones, and then rejects. */
  async close(): Promise<void> {
    const closer = this.#closers.pop();
    if (!closer) return;
    try {
      await closer();
    } finally {
      await this.close();
    }
  }

  #redis(this: Core<RedisSettings>): RedisConnection | undefined {
    const { redisLocation } = this.#settings;
    if (redisLocation === undefined) return undefined;
    return this.#once('redis', () => {
      const redis = new RedisConnection(redisLocation, this.#logOf('redis'));
      this.onClose(() => redis.close());
      return redis;
    });
  }

  #gitlabOptions(this: Core<GitLabConfig>): GitLabOptions {
    const { gitlabUrl, gitlabToken, gitlabRate } = this.#settings;
    const rateLimiter = this.rateLimiter();
    const observe = this.#onGitLabResponse;
    return {
      http: this.http(),
      url: gitlabUrl,
      token: gitlabToken,
      beforeCall: () =>
        waitForPermit(rateLimiter, 'gitlab', gitlabRate, 1000, { urgency: isInBackground() ? 'background' : 'now' }),
      hold: (holdMs) => rateLimiter.hold('gitlab', holdMs),
      onInvalidItem: (reason) =>
        this.#logOf('gitlab').warn(
          { event: 'gitlab.invalid-item', reason },
          'an item of a list of GitLab cannot be read',
        ),
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

  /** Returns the part with this name. Creates it on the first call. */
  #once<Name extends keyof CoreParts>(name: Name, create: () => CoreParts[Name]): CoreParts[Name] {
    const existing = this.#parts[name];
    if (existing !== undefined) return existing;
    const part = create();
    this.#parts[name] = part;
    return part;
  }
}
