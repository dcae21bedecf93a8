import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { vi } from 'vitest';
import { startInProcess, type InProcess } from '../e2e/in-process.ts';
import { directEnv, downloadWith, type DownloadedModule } from '../fake-gitlab/direct-mode.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import type { CorpusModule } from './corpus.ts';
import { importRepository } from './import-repository.ts';
import { moduleMap, type CorpusRepository } from './repositories.ts';

/** What the go command reports for one module. */
export interface Got {
  readonly version: string;
  readonly sum: string | undefined;
  readonly goModSum: string | undefined;
  /** The version in `.info`. */
  readonly infoVersion: string | undefined;
  /** The time in `.info`. */
  readonly time: string | undefined;
  /** The origin without its URL. The URL is the vanity path in direct mode, and GitLab's own URL from modpress. */
  readonly origin: Readonly<Record<string, unknown>> | undefined;
  /** The reason for a failure. */
  readonly reason: string | undefined;
}

/** What the go command reports for a module in direct mode and through modpress. */
export interface BothWays {
  readonly direct: Got;
  readonly modpress: Got;
}

/**
 * Imports the repositories into one GitLab, and downloads every module in direct mode and through modpress. The first
 * sweep publishes modules with a tag and a go.mod. Other modules are published on demand. A module with a tag is
 * requested by version, and a module without a tag by commit. `agent` is the go command's GIT_HTTP_USER_AGENT.
 */
export async function downloadBothWays(
  repositories: readonly CorpusRepository[],
  agent: string,
): Promise<ReadonlyMap<CorpusModule, BothWays>> {
  const roots = repositories.map(({ root, project }) => [root, project] as const);
  await using gitlab = await startGitLab({ archiveLimit: 'off', vanity: new Map(roots) });
  const folder = await mkdtemp(join(tmpdir(), 'modpress-corpus-'));
  try {
    const commits = new Map<CorpusModule, string>();
    const addresses: (readonly [url: string, directory: string])[] = [];
    for (const { project: path, modules } of repositories) {
      const project = await gitlab.createProject(path);
      for (const [module, commit] of await importRepository(project, modules)) commits.set(module, commit);
      addresses.push([project.httpUrl, project.repositoryDir]);
    }
    await using service = await startInProcess(serviceSettings(gitlab, folder, moduleMap(repositories)));
    await tagsDone(service);
    const modules = [...commits.keys()];
    const queries = Array.from(commits, ([{ name, path, tag }, commit]) =>
      tag === undefined ? `${path}@${commit}` : name,
    );
    const hosts = new Set(roots.map(([root]) => root.split('/', 1)[0] ?? ''));
    const direct = { ...fetchingFrom(addresses, directEnv(gitlab, [...hosts])), GIT_HTTP_USER_AGENT: agent };
    // Through modpress, the go command uses no git and has no access to GitLab.
    const through = {
      ...direct,
      GOPROXY: service.url,
      GOINSECURE: '',
      GOVCS: '*:off',
      HTTP_PROXY: '',
      HTTPS_PROXY: '',
    };
    const [directly, throughModpress] = [await download(direct, queries), await download(through, queries)];
    return new Map(
      modules.map((module, index) => [module, { direct: at(directly, index), modpress: at(throughModpress, index) }]),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Returns the go command's default GOPROXY, for GIT_HTTP_USER_AGENT. With this value, the go command accepts
 * golang.org/toolchain without a checksum database. Go makes this exception for the operators of that proxy (useSumDB
 * in cmd/go).
 */
export async function builtInProxy(): Promise<string> {
  const plain = Object.entries(process.env).filter(([name]) => !/^GO[A-Z0-9]+$/.test(name) || name === 'GOROOT');
  const { stdout } = await promisify(execFile)('go', ['env', 'GOPROXY'], {
    env: { ...Object.fromEntries(plain), GOENV: 'off' },
  });
  return stdout.trim();
}

/**
 * Resolves when all tags that the sweep has found have an outcome. A version requested earlier could need two archives.
 */
async function tagsDone({ log }: InProcess): Promise<void> {
  const queued = Number(log.find(({ event }) => event === 'sweep.finished')?.['queued']);
  const ends = new Set(['tag.published', 'tag.skipped', 'tag.refused']);
  await vi.waitFor(
    () => {
      const done = log.filter(({ event }) => ends.has(event)).length;
      if (done !== queued) throw new Error(`${done} of ${queued} tags have an outcome`);
    },
    { timeout: 120_000 },
  );
}

function serviceSettings(gitlab: StandIn, folder: string, map: string): Readonly<Record<string, string>> {
  return {
    GITLAB_URL: gitlab.url,
    GITLAB_TOKEN: gitlab.createToken({ scopes: ['read_api'], role: 'reporter' }),
    GITLAB_RATE: '10000',
    MODULE_PREFIX: 'gitlab.example',
    MODULE_MAP: map,
    WEBHOOK_TOKEN: 'nobody calls',
    ACCESS: 'open',
    ON_DEMAND: 'on',
    SWEEP_MINUTES: '1000',
    STORE: `file:${join(folder, 'data')}`,
    UPSTREAM: 'off',
  };
}

/**
 * Makes git fetch from folders instead of the stand-in, and without garbage collection. The result is the same with
 * half of the processes.
 */
function fetchingFrom(
  addresses: readonly (readonly [url: string, directory: string])[],
  env: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const before = Number(env['GIT_CONFIG_COUNT']);
  const more = [
    ['maintenance.auto', 'false'] as const,
    ...addresses.map(([url, directory]) => [`url.file://${directory}.insteadOf`, url] as const),
  ];
  const settings = more.flatMap(([name, value], index) => [
    [`GIT_CONFIG_KEY_${before + index}`, name],
    [`GIT_CONFIG_VALUE_${before + index}`, value],
  ]);
  return { ...env, ...Object.fromEntries(settings), GIT_CONFIG_COUNT: `${before + more.length}` };
}

async function download(env: NodeJS.ProcessEnv, queries: readonly string[]): Promise<readonly Got[]> {
  await using downloaded = await downloadWith(env, ...queries);
  if (downloaded.modules.length !== queries.length)
    throw new Error(
      `${queries.length} modules were requested, but the go command returned ${downloaded.modules.length}`,
    );
  return await Promise.all(downloaded.modules.map((module, index) => gotOf(module, queries[index] ?? '')));
}

async function gotOf(module: DownloadedModule, query: string): Promise<Got> {
  if (!query.startsWith(`${module.Path}@`))
    throw new Error(`${query} was requested, but the go command returned ${module.Path}`);
  const info =
    module.Info === undefined
      ? {}
      : (JSON.parse(await readFile(module.Info, 'utf8')) as { Version?: string; Time?: string });
  const origin = module.Origin && Object.fromEntries(Object.entries(module.Origin).filter(([name]) => name !== 'URL'));
  return {
    version: module.Version,
    sum: module.Sum,
    goModSum: module.GoModSum,
    infoVersion: info.Version,
    time: info.Time,
    origin,
    reason: module.Error,
  };
}

function at(all: readonly Got[], index: number): Got {
  const one = all[index];
  if (one === undefined) throw new Error(`there is no result ${index}`);
  return one;
}
