import type { Router } from 'express';
import type { Logger } from 'pino';
import { ConcurrencyLimit } from '../async/concurrency-limit.ts';
import type { Config } from '../config/service-config.ts';
import { ExternalModules, RedirectedModules } from '../proxy/external-modules.ts';
import { OnDemandModules } from '../proxy/on-demand-modules.ts';
import { PrivateModules } from '../proxy/private-modules.ts';
import { createProxyRouter } from '../proxy/router.ts';
import { Sumdb } from '../proxy/sumdb.ts';
import { Upstream } from '../proxy/upstream.ts';
import { viaName } from '../proxy/via.ts';
import { createCache } from '../store/cache.ts';
import { SUMDB_PREFIX, UPSTREAM_PREFIX } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { withdrawnVersions } from '../store/withdrawal.ts';
import type { Core } from './core.ts';
import type { Metrics } from './metrics.ts';
import type { Queues } from './queues.ts';

/** The dependencies of the proxy role. */
export interface ProxyRoleParts {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly core: Core<Config>;
  readonly requests: Queues['requests'];
}

/** The proxy role: its routes, and `stopWaiting`, which ends requests that wait for a worker. */
export interface ProxyRole {
  readonly router: Router;
  readonly stopWaiting: () => void;
}

/** How long a download from an upstream may stand still. */
const UPSTREAM_IDLE_MS = 30_000;
/** How long the body of a small file from an upstream may take. */
const UPSTREAM_SMALL_BODY_MS = 60_000;

/** How many zips may be sent from the store at the same time. Each needs a file descriptor or a connection. */
const MAX_OPEN_ZIPS = 256;
/** How many zips may be downloaded at the same time. Each needs a temporary file and a connection. */
const MAX_ZIP_DOWNLOADS = 128;
/** How long a request for a zip waits until one of the others has ended. */
const ZIP_WAIT_MS = 30_000;

/** Creates the proxy role. The role only reads the store, and writes only the caches in it. */
export async function createProxyRole({ config, log, metrics, core, requests }: ProxyRoleParts): Promise<ProxyRole> {
  const store = await core.store();
  const readStore: ReadStore = store;
  const ownership = core.ownership();
  log.info(
    { event: 'proxy.private-paths', prefixes: ownership.prefixes },
    'these module paths are never sent upstream',
  );
  if (ownership.prefixAboveScope !== undefined)
    log.warn(
      { event: 'scope.not-separable', prefix: ownership.prefixAboveScope },
      'MODULE_MAP makes all paths below MODULE_PREFIX private, so modules outside GITLAB_SCOPE are not available from an upstream',
    );
  const name = viaName([
    config.gitlabUrl,
    config.modulePrefix,
    config.publicUrl ?? '',
    config.store.kind === 's3'
      ? `${config.store.endpoint} ${config.store.bucket}/${config.store.prefix}`
      : config.store.folder,
  ]);
  const upstream = new Upstream({
    http: core.http(),
    entries: config.upstream,
    timeouts: { headersMs: config.upstreamTimeoutMs, idleMs: UPSTREAM_IDLE_MS, smallBodyMs: UPSTREAM_SMALL_BODY_MS },
    privateHosts: config.upstreamPrivateHosts,
    viaName: name,
  });
  const openZips = new ConcurrencyLimit(MAX_OPEN_ZIPS, ZIP_WAIT_MS);
  const external =
    config.upstreamMode === 'redirect'
      ? new RedirectedModules(config.upstream)
      : new ExternalModules({
          upstream,
          cache: createCache(store, UPSTREAM_PREFIX),
          log,
          openZips,
          zipDownloads: new ConcurrencyLimit(MAX_ZIP_DOWNLOADS, ZIP_WAIT_MS),
        });
  const sumdb = new Sumdb({
    upstream,
    cache: createCache(store, SUMDB_PREFIX),
    log,
    databases: config.sumdb,
    isPrivate: (path) => ownership.isPrivate(path),
    privatePatterns: ownership.patterns,
  });
  core.onClose(async () => {
    upstream.close();
    await sumdb.settled();
    if (external instanceof ExternalModules) await external.settled();
  });
  const published = new PrivateModules({ store: readStore, openZips });
  const onDemand =
    requests &&
    new OnDemandModules({ published, requests, withdrawnOf: (module) => withdrawnVersions(readStore, module) });
  const router = createProxyRouter({
    isPrivate: (path) => ownership.isPrivate(path),
    privateModules: onDemand ?? published,
    externalModules: external,
    sumdb,
    viaName: name,
    log,
    observe: metrics.httpRequestServed,
  });
  return { router, stopWaiting: () => onDemand?.close() };
}
