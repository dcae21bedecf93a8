import express, { type Express } from 'express';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { AdminAccess } from '../auth/admin-access.ts';
import { createAgreement, gitlabOptions } from './coordination.ts';
import { findBackfillTargets } from '../backfill/backfill.ts';
import { MemoryRuns } from '../backfill/memory-runs.ts';
import { RedisRuns } from '../backfill/redis-runs.ts';
import { createBackfillRouter } from '../backfill/router.ts';
import type { BackfillRuns } from '../backfill/runs.ts';
import type { Config, Role } from '../config/service.ts';
import { messageOf } from '../errors.ts';
import { GitLabClient } from '../gitlab/client.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createHealthRouter } from './health.ts';
import { ExternalModules, RedirectedModules } from '../proxy/external-modules.ts';
import { PrivateModules } from '../proxy/private-modules.ts';
import { OnDemandModules } from '../proxy/on-demand-modules.ts';
import { createProxyRouter } from '../proxy/router.ts';
import { Sumdb } from '../proxy/sumdb.ts';
import { Upstream } from '../proxy/upstream.ts';
import { BlobCache } from '../build/blob-cache.ts';
import { BullRequests } from '../requests/bull-requests.ts';
import { BullQueue } from '../queue/bull-queue.ts';
import { MemoryRequests } from '../requests/memory-requests.ts';
import { MemoryQueue } from '../queue/memory-queue.ts';
import {
  onDemandAnswerSchema,
  keepMs,
  onDemandRequestSchema,
  type OnDemandAnswer,
  type OnDemandRequest,
} from '../requests/on-demand-request.ts';
import type { RequestClient, Requests } from '../requests/requests.ts';
import type { Queue } from '../queue/queue.ts';
import { keepTemporaryRootClear, TEMPORARY_ROOT } from '../io/temporary-folder.ts';
import { Ownership } from '../resolve/ownership.ts';
import { createCache } from '../store/cache.ts';
import { PROBE_KEY, SUMDB_PREFIX, UPSTREAM_PREFIX } from '../store/layout.ts';
import { openStore } from '../store/open-store.ts';
import type { ReadStore, Store } from '../store/store.ts';
import { withdrawnVersions } from '../store/withdrawal.ts';
import { createPagesRouter } from '../web/home.ts';
import { createWebhookRouter } from '../webhook/router.ts';
import { startWorker } from './worker.ts';

/** A running service. */
export interface App {
  /** The port it listens on. */
  readonly port: number;
  /** Stops taking requests and jobs, lets what runs finish, and releases everything. */
  close(): Promise<void>;
}

/** What the composition takes from outside the settings. */
export interface AppContext {
  readonly roles: readonly Role[];
  readonly log: Logger;
  /** The version of modpress. */
  readonly version: string;
}

/** Ends one part; run in the reverse order of creation. */
type Closer = () => void | PromiseLike<void>;

/** How long a request may take to arrive: GitLab gives up on a webhook after 10 s. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How long a stop waits for requests in progress. */
const STOP_PATIENCE_MS = 20_000;

/** Builds the service from its settings and starts it: the one place where parts meet. */
export async function startApp(config: Config, context: AppContext): Promise<App> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) await closer();
  };
  try {
    const server = await build(config, context, closers);
    const { port } = server.address() as AddressInfo;
    return { port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Creates the parts in the order in which they need each other; each leaves behind how to close it. */
async function build(config: Config, context: AppContext, closers: Closer[]): Promise<Server> {
  const { log, roles, version } = context;
  const metrics = createMetrics();
  const store = await openStore(config.store);
  closers.push(() => store[Symbol.asyncDispose]());
  const ownership = new Ownership(config.modulePrefix, config.moduleMap, config.gitlabScope);
  // TLS ends in a proxy nearby, which says so in X-Forwarded-Proto; nobody further away is believed.
  const web = express().disable('x-powered-by').disable('etag').set('trust proxy', 'loopback, linklocal, uniquelocal');

  // Before the queue, since jobs that a stop waits for still need it.
  const agreement = createAgreement(config.redisUrl, log);
  closers.push(() => agreement[Symbol.dispose]());
  const cache = new BlobCache(TEMPORARY_ROOT);
  closers.push(() => cache.clear());
  const gitlab = new GitLabClient(gitlabOptions(config, agreement.rateLimiter, metrics.gitlabAnswered));
  const queue = roles.includes('webhook') || roles.includes('worker') ? createQueue(config, log, metrics) : undefined;
  if (queue) {
    closers.push(() => queue.close());
    metrics.watchQueue(() => queue.counts());
  }
  const questions =
    config.onDemand && (roles.includes('worker') || roles.includes('proxy')) ? createQuestions(config, log) : undefined;
  if (questions) closers.push(() => questions.close());
  const runs = queue && createRuns(config, log, roles);
  if (runs) closers.push(() => runs.close());
  if (queue && roles.includes('worker')) {
    await checkStore(store, log);
    closers.push(
      await keepTemporaryRootClear(TEMPORARY_ROOT, (error) =>
        log.warn(
          { reason: messageOf(error) },
          'what killed processes left in the folder for temporary files could not be removed',
        ),
      ),
    );
    const stops = startWorker({
      config,
      log,
      metrics,
      store,
      ownership,
      gitlab,
      queue,
      agreement,
      cache,
      temporaryRoot: TEMPORARY_ROOT,
      questions,
      runs,
    });
    closers.push(...stops.toReversed());
  }

  web.use(
    createHealthRouter({
      version,
      metrics,
      log,
      checks: {
        store: () => (roles.includes('worker') ? store.check() : store.stat(PROBE_KEY).then(() => undefined)),
        ...(queue && { queue: () => queue.check() }),
      },
    }),
  );
  if (queue && roles.includes('webhook')) {
    const received = metrics.webhookReceived;
    web.use(
      createWebhookRouter({
        tokens: [...config.webhookTokens],
        signingTokens: [...config.webhookSigningTokens],
        queue,
        log,
        metrics: { received },
      }),
    );
  }
  if (runs) {
    const access = new AdminAccess({ tokens: config.adminTokens, oidc: config.adminOidc });
    web.use(
      createBackfillRouter({
        access,
        runs,
        log,
        checkTargets: (request) => findBackfillTargets({ gitlab, ownership }, request),
      }),
    );
  }
  web.use(createPagesRouter({ publicUrl: config.publicUrl, privatePrefixes: ownership.prefixes, version }));
  const stopWaiting = roles.includes('proxy')
    ? addProxy(web, { config, log, metrics, store, ownership, requests: questions }, closers)
    : undefined;

  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, web).listen(config.listen);
  closers.push(() => stopServer(server));
  // The first thing of all: requests that wait for GitLab would hold up the stop.
  if (stopWaiting) closers.push(stopWaiting);
  await once(server, 'listening');
  return server;
}

/** Creates the bucket where there is none. An outage is no reason not to start: jobs wait for its end. */
async function checkStore(store: Store, log: Logger): Promise<void> {
  try {
    await store.check();
  } catch (error) {
    log.error({ reason: messageOf(error) }, 'the store cannot be used yet; publishing waits for it');
  }
}

interface Common {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ownership: Ownership;
}

function createQueue({ redisUrl }: Config, log: Logger, metrics: Metrics): Queue {
  const options = { log, onFailure: metrics.jobRetried };
  return redisUrl === undefined ? new MemoryQueue(options) : new BullQueue({ ...options, redisUrl });
}

function createQuestions({ redisUrl }: Config, log: Logger): Requests<OnDemandRequest, OnDemandAnswer> {
  const options = { log, keepMs };
  if (redisUrl === undefined) return new MemoryRequests(options);
  return new BullRequests({
    ...options,
    redisUrl,
    requestSchema: onDemandRequestSchema,
    answerSchema: onDemandAnswerSchema,
  });
}

/** Without Redis, only a process that has the worker can have backfills. */
function createRuns({ redisUrl }: Config, log: Logger, roles: readonly Role[]): BackfillRuns | undefined {
  if (redisUrl !== undefined) return new RedisRuns({ redisUrl, log });
  return roles.includes('worker') ? new MemoryRuns() : undefined;
}

/** The proxy reads the store, and writes nothing but the caches. Returns what ends its waiting for others. */
function addProxy(
  web: Express,
  parts: Common & { store: Store; requests: RequestClient<OnDemandRequest, OnDemandAnswer> | undefined },
  closers: Closer[],
): Closer {
  const { config, log, metrics, ownership, requests } = parts;
  const store: ReadStore = parts.store;
  const upstream = new Upstream({ entries: config.upstream });
  const external =
    config.upstreamMode === 'redirect'
      ? new RedirectedModules(config.upstream)
      : new ExternalModules({ upstream, cache: createCache(parts.store, UPSTREAM_PREFIX), log: log });
  const sumdb = new Sumdb({
    upstream,
    cache: createCache(parts.store, SUMDB_PREFIX),
    log: log,
    databases: config.sumdb,
    isPrivate: (path) => ownership.isPrivate(path),
    privatePrefixes: ownership.prefixes,
  });
  closers.push(async () => {
    upstream.close();
    await sumdb.settled();
    if (external instanceof ExternalModules) await external.settled();
  });
  const published = new PrivateModules({ store });
  const onDemand =
    requests && new OnDemandModules({ published, requests, withdrawnOf: (module) => withdrawnVersions(store, module) });
  web.use(
    createProxyRouter({
      isPrivate: (path) => ownership.isPrivate(path),
      privateModules: onDemand ?? published,
      externalModules: external,
      sumdb,
      log: log,
      observe: metrics.httpAnswered,
    }),
  );
  return () => onDemand?.close();
}

/** Lets requests in progress finish, for a while; a client that reads too slowly is cut off. */
async function stopServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_PATIENCE_MS);
  await closed;
  clearTimeout(timer);
}
