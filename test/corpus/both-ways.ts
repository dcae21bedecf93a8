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

/** What the go command gets. */
export interface Got {
  readonly version: string;
  readonly sum: string | undefined;
  readonly goModSum: string | undefined;
  /** Of `.info`. */
  readonly infoVersion: string | undefined;
  /** Of `.info`. */
  readonly time: string | undefined;
  /** Where it came from, but for the address: the vanity paths give another one than GitLab gives itself. */
  readonly origin: Readonly<Record<string, unknown>> | undefined;
  /** Why it got no more than that. */
  readonly reason: string | undefined;
}

/** What the go command gets for a module in direct mode, and through a modpress. */
export interface BothWays {
  readonly direct: Got;
  readonly modpress: Got;
}

/**
 * Downloads every module of some repositories, all at one GitLab, in direct mode and through a modpress. Its first sweep has
 * published what has a tag and a go.mod; the rest it makes on demand. What has a tag is asked for by its version, the rest by its
 * commit. `agent` is the go command's GIT_HTTP_USER_AGENT.
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
    // No repositories, and no way to GitLab.
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
 * The proxies that the go command takes without any setting, as a GIT_HTTP_USER_AGENT. With this it takes golang.org/toolchain
 * without a checksum database, which it does for nobody but those who run that proxy (useSumDB in cmd/go).
 */
export async function builtInProxy(): Promise<string> {
  const plain = Object.entries(process.env).filter(([name]) => !/^GO[A-Z0-9]+$/.test(name) || name === 'GOROOT');
  const { stdout } = await promisify(execFile)('go', ['env', 'GOPROXY'], {
    env: { ...Object.fromEntries(plain), GOENV: 'off' },
  });
  return stdout.trim();
}

/** Resolves when the tags that the sweep has found are done: asked for any earlier, a version could cost two archives. */
async function tagsDone({ log }: InProcess): Promise<void> {
  const queued = Number(log.find(({ event }) => event === 'sweep.finished')?.['queued']);
  const ends = new Set(['tag.published', 'tag.skipped', 'tag.refused']);
  await vi.waitFor(
    () => {
      const done = log.filter(({ event }) => ends.has(event)).length;
      if (done !== queued) throw new Error(`${done} of ${queued} tags are done`);
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

/** Has git fetch from folders instead of the stand-in, and never tidy up: that takes half the processes and brings the same. */
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
    throw new Error(`${queries.length} modules were asked for, and ${downloaded.modules.length} answered`);
  return await Promise.all(downloaded.modules.map((module, index) => gotOf(module, queries[index] ?? '')));
}

async function gotOf(module: DownloadedModule, query: string): Promise<Got> {
  if (!query.startsWith(`${module.Path}@`)) throw new Error(`${query} was asked for, and ${module.Path} answered`);
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
  if (one === undefined) throw new Error(`there is no answer ${index}`);
  return one;
}
