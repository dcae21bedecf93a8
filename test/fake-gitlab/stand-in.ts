import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Faults } from './faults.ts';
import { Git } from './git.ts';
import { HookDelivery, type Delivery } from './hook-delivery.ts';
import { Instance, type Group, type ProjectOptions, type ProjectRecord } from './instance.ts';
import type { StandInOptions } from './options.ts';
import { recordRequest, type RequestRecord } from './requests.ts';
import { createSite, unproxy } from './site.ts';
import { Tokens, type TokenOptions } from './tokens.ts';

export type { StandInOptions } from './options.ts';
export type { RequestRecord } from './requests.ts';
export type { Delivery } from './hook-delivery.ts';

export interface Project {
  readonly id: number;
  /** The full path, which changes when the project is moved. */
  readonly path: string;
  /** The address for git, without a credential. */
  readonly httpUrl: string;
  /** The address for git, with a credential that can push. */
  readonly gitUrl: string;
  readonly repositoryDir: string;
  /** A temporary folder that is removed with the stand-in. */
  readonly scratchDir: string;
  /**
   * Reads the refs again, without calling webhooks. A test must call this after it has written to `repositoryDir`
   * without a push.
   */
  reload(): Promise<void>;
}

/**
 * A stand-in for GitLab in tests. It serves the REST API, webhooks, and git over HTTP from real bare repositories in a
 * temporary folder, in the process of the test. Its responses follow GitLab's source and documentation for 18.x and
 * 19.x, including unexpected behaviour. It calls no webhook for a push of more than three tags. It responds with 406 to
 * `fetch` in CORS mode. It streams an archive without a length, and truncates this archive with status 200 if git
 * fails.
 *
 * The stand-in is stricter or simpler than GitLab in these points:
 * - A token is a user of its own, so GitLab's limits per user apply per token.
 * - The minute of the archive limit begins with the first request, not with the minute of the clock.
 * - LFS, protected tags, custom webhook templates and `bz2` do not exist.
 */
export interface StandIn extends AsyncDisposable {
  /** The base URL with the relative URL root, without a final slash. */
  readonly url: string;
  /** The URL of the same server as a forward proxy, which handles requests for any host. See direct-mode.ts. */
  readonly proxyUrl: string;
  /** The token of an administrator, with the scope `api`. The administrator is a member of all groups and projects. */
  readonly rootToken: string;
  createToken(options: TokenOptions): string;
  /** Creates a group and its missing parents. Returns an existing group unchanged. */
  createGroup(fullPath: string): Group;
  createProject(fullPath: string, options?: ProjectOptions): Promise<Project>;
  /**
   * Changes the path of a project, and keeps its id. The API responds with 301 for the old path. git works with both
   * paths.
   */
  moveProject(project: Project, newFullPath: string): Promise<void>;
  /**
   * Enables or disables the repository of a project (*Settings > General > Visibility, project features, permissions*).
   */
  switchCode(project: Project, on: boolean): void;
  /** Marks a project for deletion, which changes its path. In GitLab, this state lasts a month. */
  scheduleDeletion(project: Project): void;
  restoreProject(project: Project): void;
  deleteProject(project: Project): Promise<void>;
  /** All requests since the start or the last `clearRequests`. */
  readonly requests: readonly RequestRecord[];
  clearRequests(): void;
  /** All calls of webhooks. */
  readonly deliveries: readonly Delivery[];
  /** Resolves when every webhook of every finished push has been called. */
  settled(): Promise<void>;
  readonly faults: Faults;
  /** Stops the server, ends all processes, and removes the folder. A second call has no effect. */
  close(): Promise<void>;
}

/** Starts a stand-in on 127.0.0.1. */
export async function startGitLab(options: StandInOptions = {}): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'gitlab-stand-in-'));
  const [repositories, archives, temporary] = [
    join(folder, 'repositories'),
    join(folder, 'archives'),
    join(folder, 'temporary'),
  ];
  await Promise.all([repositories, archives, temporary].map((path) => mkdir(path)));
  const server = createServer();
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');

  const base = options.relativeUrl?.replace(/\/+$/, '') ?? '';
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const url = `${origin}${base}`;
  const git = new Git();
  const tokens = new Tokens();
  const instance = new Instance(git, repositories);
  const delivery = new HookDelivery(origin, options.hookTimeoutMs ?? 10_000);
  const faults = new Faults();
  let requests: RequestRecord[] = [];

  const app = createSite({ instance, tokens, git, delivery, archives, url, base, options });
  server.on('request', (request, response) => {
    unproxy(request);
    const record = recordRequest(request, response, base);
    requests.push(record);
    void (async () => {
      if (!(await faults.apply(record.path + record.query, request, response))) app(request, response);
    })();
  });
  // The go command tries https first. Without a response here, it would try to resolve the host name.
  server.on('connect', (_request, socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));

  const recordOf = ({ id }: Project): ProjectRecord => {
    const record = instance.project(`${id}`);
    if (record === undefined) throw new Error(`no project ${id}`);
    return record;
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= shutDown(server, delivery, git, folder);
    return closed;
  };

  return {
    url,
    proxyUrl: origin,
    rootToken: tokens.root.value,
    createToken: (tokenOptions) => tokens.create(tokenOptions).value,
    createGroup: (fullPath) => instance.createGroup(fullPath),
    createProject: async (fullPath, projectOptions = {}) => {
      const record = await instance.createProject(fullPath, projectOptions);
      return projectOf(record, url, tokens.root.value, temporary);
    },
    moveProject: async (project, newFullPath) => instance.moveProject(recordOf(project), newFullPath),
    switchCode: (project, on) => {
      recordOf(project).codeDisabled = !on;
    },
    scheduleDeletion: (project) => instance.scheduleDeletion(recordOf(project)),
    restoreProject: (project) => instance.restoreProject(recordOf(project)),
    deleteProject: async (project) => instance.deleteProject(recordOf(project).id),
    get requests() {
      return requests;
    },
    clearRequests: () => {
      requests = [];
    },
    deliveries: delivery.deliveries,
    settled: () => delivery.settled(),
    faults,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function projectOf(record: ProjectRecord, url: string, token: string, folder: string): Project {
  const address = (base: string): string => `${base}/${record.fullPath}.git`;
  return {
    id: record.id,
    get path() {
      return record.fullPath;
    },
    get httpUrl() {
      return address(url);
    },
    get gitUrl() {
      return address(url.replace('http://', `http://oauth2:${token}@`));
    },
    repositoryDir: record.repository.directory,
    scratchDir: folder,
    reload: async () => {
      await record.repository.reload();
    },
  };
}

async function shutDown(server: Server, delivery: HookDelivery, git: Git, folder: string): Promise<void> {
  const stopped = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await stopped;
  await delivery.close();
  await git.close();
  await rm(folder, { recursive: true, force: true });
}
