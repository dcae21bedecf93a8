import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import pino from 'pino';
import { ConcurrencyLimit } from '../../src/async/concurrency-limit.ts';
import { parseHostList } from '../../src/http-client/host-list.ts';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { ExternalModules } from '../../src/proxy/external-modules.ts';
import type { ModuleSource } from '../../src/proxy/module-source.ts';
import type { DownloadTimeouts } from '../../src/proxy/download.ts';
import { parseGoproxy } from '../../src/proxy/goproxy.ts';
import { PrivateModules } from '../../src/proxy/private-modules.ts';
import { createProxyRouter } from '../../src/proxy/router.ts';
import { Sumdb, type SumdbEntry } from '../../src/proxy/sumdb.ts';
import { Upstream } from '../../src/proxy/upstream.ts';
import { assignRequestIds } from '../../src/io/request-id.ts';
import { createCache } from '../../src/store/cache.ts';
import { DiskStore } from '../../src/store/disk.ts';
import type { Store } from '../../src/store/store.ts';
import { listen } from '../services/http-stub.ts';

/** A proxy with a real store in a temporary folder, on a real server. Modules below gitlab.example are private. */
export interface TestProxy extends AsyncDisposable {
  readonly url: string;
  readonly store: DiskStore;
  readonly folder: string;
  /** The lines of the log, each a JSON object. */
  readonly log: string[];
  /** The route and the status of each request. */
  readonly observed: string[];
  /** Resolves when all downloads and writes have ended. */
  settled(): Promise<void>;
}

/** The properties of the proxy that a test can change. */
export interface TestProxyOptions {
  readonly upstream?: string;
  /** An existing folder of a store, which is not removed at the end. */
  readonly folder?: string;
  readonly timeouts?: Partial<DownloadTimeouts>;
  /** UPSTREAM_PRIVATE_HOSTS; none by default. */
  readonly privateHosts?: string;
  /** The connections to the upstream. */
  readonly http?: HttpClient;
  readonly databases?: readonly SumdbEntry[];
  readonly freshMs?: number;
  readonly maxOpenZips?: number;
  readonly maxZipDownloads?: number;
  /** How long a request waits for an open zip or a download to end; 10 s by default. */
  readonly zipWaitMs?: number;
  /** `modpress-test` by default. */
  readonly viaName?: string;
  /** Wraps the store of the proxy. */
  readonly wrap?: (store: Store) => Store;
  readonly externalModules?: ModuleSource;
}

function isPrivate(path: string): boolean {
  return path === 'gitlab.example' || path.startsWith('gitlab.example/');
}

/** Starts a proxy on a free port. */
export async function startProxy(options: TestProxyOptions = {}): Promise<TestProxy> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'modpress-proxy-')));
  const disk = await DiskStore.open(folder);
  const store = options.wrap?.(disk) ?? disk;
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const observed: string[] = [];

  const upstream = new Upstream({
    http: options.http ?? new HttpClient(),
    entries: parseGoproxy(options.upstream ?? 'off'),
    timeouts: { headersMs: 30_000, idleMs: 30_000, smallBodyMs: 30_000, ...options.timeouts },
    privateHosts: parseHostList(options.privateHosts ?? ''),
    viaName: options.viaName ?? 'modpress-test',
  });
  const openZips = new ConcurrencyLimit(options.maxOpenZips ?? 100, options.zipWaitMs ?? 10_000);
  const zipDownloads = new ConcurrencyLimit(options.maxZipDownloads ?? 100, options.zipWaitMs ?? 10_000);
  const external = new ExternalModules({
    upstream,
    cache: createCache(store, 'upstream/'),
    log,
    openZips,
    zipDownloads,
  });
  const sumdb = new Sumdb({
    upstream,
    cache: createCache(store, 'sumdb/'),
    log,
    databases: options.databases,
    isPrivate,
    privatePatterns: ['gitlab.example/*'],
  });
  const privateModules = new PrivateModules({
    store,
    openZips,
    ...(options.freshMs !== undefined && { freshMs: options.freshMs }),
  });
  const app = express().use(
    assignRequestIds(),
    createProxyRouter({
      isPrivate,
      privateModules,
      externalModules: options.externalModules ?? external,
      sumdb,
      viaName: options.viaName ?? 'modpress-test',
      log,
      observe: (route, status) => void observed.push(`${route} ${status}`),
    }),
  );
  const server = await listen(app);
  const settled = async (): Promise<void> => {
    await Promise.all([external.settled(), sumdb.settled()]);
  };
  return {
    url: server.url,
    store: disk,
    folder,
    log: lines,
    observed,
    settled,
    async [Symbol.asyncDispose]() {
      await server.close();
      upstream.close();
      await settled();
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Sends a request. Resolves to the response with its body. */
export async function get(
  url: string,
  init?: RequestInit,
): Promise<{ status: number; headers: Headers; body: Buffer; text: string }> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const body = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, body, text: body.toString('utf8') };
}

/** Returns the store with some operations replaced. */
export function withStore(store: Store, replaced: Partial<Store>): Store {
  return {
    get: (key) => store.get(key),
    stat: (key) => store.stat(key),
    open: (key, range) => store.open(key, range),
    list: (prefix, options) => store.list(prefix, options),
    put: (key, body) => store.put(key, body),
    delete: (key) => store.delete(key),
    check: () => store.check(),
    ...replaced,
  };
}
