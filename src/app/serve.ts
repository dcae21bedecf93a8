import express, { type Express } from 'express';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { AdminAccess } from '../auth/admin-access.ts';
import { findBackfillTargets } from '../backfill/backfill.ts';
import { createBackfillRouter } from '../backfill/router.ts';
import type { Config, Role } from '../config/service-config.ts';
import { assignRequestIds } from '../io/request-id.ts';
import { PROBE_KEY } from '../store/layout.ts';
import type { Store } from '../store/store.ts';
import { createHomeRouter } from '../web/home.ts';
import { createWebhookRouter } from '../webhook/router.ts';
import type { CoreParts } from './core-parts.ts';
import { Core } from './core.ts';
import { GitLabCheck } from './gitlab-check.ts';
import { createHealthRouter } from './health.ts';
import { createHttpServer, stopHttpServer } from './http-server.ts';
import { answerFailedRoutes, answerUnknownRoutes } from './last-routes.ts';
import { invalidateOnce, invalidateProject } from './invalidation.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createProxyRole } from './proxy.ts';
import { createQueues, type Queues } from './queues.ts';
import { startWorker } from './worker.ts';

/** A running service. */
export interface App {
  /** The port of the HTTP server. */
  readonly port: number;
  /** Stops accepting requests and jobs, waits for those in progress, and releases all resources. */
  close(): Promise<void>;
}

/** The inputs of a service besides its settings. */
export interface AppContext {
  readonly roles: readonly Role[];
  readonly log: Logger;
  /** The version of modpress. */
  readonly version: string;
}

/**
 * Starts the service: its roles and its HTTP server. `overrides` replaces parts in tests. Rejects if the service cannot
 * start.
 */
export async function startApp(config: Config, context: AppContext, overrides: Partial<CoreParts> = {}): Promise<App> {
  const metrics = createMetrics();
  const core = new Core(config, { log: context.log, onGitLabResponse: metrics.gitlabResponded }, overrides);
  try {
    const server = await start(config, context, core, metrics);
    const { port } = server.address() as AddressInfo;
    return { port, close: () => core.close() };
  } catch (error) {
    await core.close();
    throw error;
  }
}

/**
 * Starts the HTTP server and the roles, each after the parts that it uses. `core.close` stops them in reverse order.
 */
async function start(config: Config, context: AppContext, core: Core<Config>, metrics: Metrics): Promise<Server> {
  const { log, roles } = context;
  const isWorker = roles.includes('worker');
  const store = await core.store();
  // Parts close in reverse order, and jobs need the publisher until the queues are closed. The publisher is therefore
  // created before the queues.
  if (isWorker) await core.publisher();
  const queues = createQueues({ config, roles, log, metrics, core });
  const { tags, requests, backfills } = queues;
  if (tags && isWorker) await startWorker({ config, log, metrics, core, tags, requests, backfills });

  const web = createWebApp();
  const gitlabCheck = isWorker ? startGitLabCheck(config, core, log) : undefined;
  addServiceRoutes(web, { config, context, core, metrics, queues, store, gitlabCheck });
  const proxy = roles.includes('proxy')
    ? await createProxyRole({ config, log: log.child({ component: 'proxy' }), metrics, core, requests })
    : undefined;
  if (proxy) web.use(proxy.router);

  web.use(answerUnknownRoutes(roles));
  web.use(answerFailedRoutes(log.child({ component: 'app' })));

  const server = createHttpServer(web, log.child({ component: 'app' })).listen(config.listen);
  core.onClose(() => stopHttpServer(server));
  // This closer is registered last, so it is called first. Otherwise, requests that wait for a worker would delay the
  // stop.
  if (proxy) core.onClose(proxy.stopWaiting);
  await once(server, 'listening');
  return server;
}

function startGitLabCheck(config: Config, core: Core<Config>, log: Logger): GitLabCheck {
  const check = new GitLabCheck({
    gitlab: core.gitlab(),
    scope: config.gitlabScope,
    log: log.child({ component: 'gitlab' }),
  });
  check.start();
  core.onClose(() => check.stop());
  return check;
}

/** Creates an Express app without routes. The app assigns an id to each request. */
function createWebApp(): Express {
  // A reverse proxy on a private network may terminate TLS and set X-Forwarded-Proto. The header is ignored if it comes
  // from any other client.
  const web = express().disable('x-powered-by').disable('etag').set('trust proxy', 'loopback, linklocal, uniquelocal');
  web.use(assignRequestIds());
  return web;
}

interface RoutesParts {
  readonly config: Config;
  readonly context: AppContext;
  readonly core: Core<Config>;
  readonly metrics: Metrics;
  readonly queues: Queues;
  readonly store: Store;
  /** Undefined without the worker role. */
  readonly gitlabCheck: GitLabCheck | undefined;
}

/** Adds the routes below `/-/`, and the web pages. */
function addServiceRoutes(web: Express, parts: RoutesParts): void {
  const { config, context, core, metrics, queues, store, gitlabCheck } = parts;
  const { log, roles, version } = context;
  const { tags, requests, backfills } = queues;
  const ownership = core.ownership();
  web.use(
    createHealthRouter({
      version,
      metrics,
      log: log.child({ component: 'health' }),
      checks: {
        store: () => (roles.includes('worker') ? store.check() : store.stat(PROBE_KEY).then(() => undefined)),
        // Both lead to the same Redis. Only the first fails during an outage, in which the proxy still serves versions.
        ...(tags ? { queue: () => tags.check() } : requests && { requests: () => requests.check() }),
        ...(gitlabCheck && { gitlab: () => gitlabCheck.assertRight() }),
      },
    }),
  );
  if (tags && roles.includes('webhook')) {
    web.use(
      createWebhookRouter({
        tokens: config.webhookTokens,
        signingTokens: config.webhookSigningTokens,
        queue: tags,
        log: log.child({ component: 'webhook' }),
        metrics: { received: metrics.webhookReceived },
        onDeleted: invalidateOnce(invalidateProject(requests, ownership), log.child({ component: 'webhook' })),
      }),
    );
  }
  if (backfills) {
    const gitlab = core.gitlab();
    web.use(
      createBackfillRouter({
        access: new AdminAccess({ http: core.http(), tokens: config.adminTokens, oidc: config.adminOidc }),
        runs: backfills,
        log: log.child({ component: 'backfill' }),
        checkTargets: (request) => findBackfillTargets({ gitlab, ownership }, request),
      }),
    );
  }
  web.use(
    createHomeRouter({
      publicUrl: config.publicUrl,
      privatePrefixes: ownership.prefixes,
      privatePatterns: ownership.patterns,
      version,
    }),
  );
}
