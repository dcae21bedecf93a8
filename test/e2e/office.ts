import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { call } from '../fake-gitlab/api-client.ts';
import { downloadDirect, type DownloadedModule } from '../fake-gitlab/direct-mode.ts';
import { startGitLab, type Project, type StandIn, type StandInOptions } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { startGo, type Go } from '../proxy/go.ts';

/** The prefix of all private module paths, unless a test sets another. */
export const PREFIX = 'gitlab.example';

/** A company with a GitLab, and settings for a modpress. */
export interface Office extends AsyncDisposable {
  readonly gitlab: StandIn;
  /** A folder that is removed with the office. */
  readonly folder: string;
  /** A folder for the temporary files of services. */
  readonly temporaryRoot: string;
  /** Settings of a service with all roles, a disk store in the folder and the queue in memory. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Starts the GitLab and creates the settings, without an upstream: most tests need no public modules. */
export async function openOffice(options: StandInOptions = {}): Promise<Office> {
  const gitlab = await startGitLab(options);
  const folder = await mkdtemp(join(tmpdir(), 'modpress-e2e-'));
  const temporaryRoot = join(folder, 'temporary');
  await mkdir(temporaryRoot);
  return {
    gitlab,
    folder,
    temporaryRoot,
    settings: {
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.createToken({ scopes: ['read_api'], role: 'reporter' }),
      GITLAB_RATE: '1000',
      MODULE_PREFIX: PREFIX,
      WEBHOOK_TOKEN: '/the secret of the hook/',
      ACCESS: 'open',
      // Versions must be published by a tag, except in tests of publishing on demand.
      ON_DEMAND: 'off',
      STORE: `file:${join(folder, 'data')}`,
      UPSTREAM: 'off',
      TMPDIR: temporaryRoot,
    },
    async [Symbol.asyncDispose]() {
      await gitlab.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Registers a webhook for tags through the API. `owner` is `/groups/a%2Fb`, `/projects/1`, or empty for the system. */
export async function addHook(
  gitlab: StandIn,
  owner: string,
  serviceUrl: string,
  secret: { token: string } | { signing_token: string },
): Promise<void> {
  const body = { url: `${serviceUrl}/-/webhook`, tag_push_events: true, push_events: false, ...secret };
  const answer = await call(gitlab, `${owner}/hooks`, { method: 'POST', body });
  if (answer.status !== 201) throw new Error(`GitLab answered ${answer.status}: ${answer.bytes.toString()}`);
}

/** A library with one function, `Word`, and the given module path. */
export function library(module: string, word: string): Record<string, FileContent> {
  const name =
    module
      .replace(/\/v\d+$/, '')
      .split('/')
      .at(-1) ?? '';
  return {
    'go.mod': `module ${module}\n\ngo 1.21\n`,
    [`${name}.go`]: `// Package ${name} has a word.\npackage ${name}\n\n// Word returns it.\nfunc Word() string { return "${word}" }\n`,
  };
}

/** Commits files to a project and pushes them under the given tags, in one real `git push`, with main. */
export async function pushTags(
  project: Project,
  files: Record<string, FileContent>,
  ...tags: readonly string[]
): Promise<void> {
  await using tree = await WorkTree.create(project);
  await tree.write(files).commit('A change');
  await tree.tag(tags);
  await tree.push(`+main`, ...tags);
}

/** Resolves when GitLab has sent the headers of a project's archive. The body may still be in transfer. */
export async function archiveUnderWay(gitlab: StandIn, project: Project): Promise<void> {
  await expect
    .poll(() => archiveRequests(gitlab, project).some(({ status }) => status === 200), {
      timeout: 20_000,
      interval: 10,
    })
    .toBe(true);
}

/** The requests for a project's archive. */
export function archiveRequests(gitlab: StandIn, project: Project): StandIn['requests'] {
  const path = `/api/v4/projects/${project.id}/repository/archive`;
  return gitlab.requests.filter((request) => request.path.startsWith(path));
}

/** The checksums that the go command computes for versions from a proxy, or directly from GitLab. */
export interface Checksums {
  readonly [version: string]: { readonly sum: string | undefined; readonly goModSum: string | undefined };
}

/** Downloads `<module>@<version>` … through a proxy. Returns their checksums. */
export async function checksumsThrough(proxyUrl: string, ...versions: readonly string[]): Promise<Checksums> {
  await using go = await startGo(proxyUrl);
  return checksums(await downloadWith(go, versions));
}

/** The same in direct mode, which defines the right result. */
export async function checksumsDirect(gitlab: StandIn, ...versions: readonly string[]): Promise<Checksums> {
  await using direct = await downloadDirect(gitlab, PREFIX, ...versions);
  return checksums(direct.modules);
}

async function downloadWith(go: Go, versions: readonly string[]): Promise<readonly DownloadedModule[]> {
  const { ok, stdout, stderr } = await go.run('mod', 'download', '-json', ...versions);
  if (!ok) throw new Error(`go mod download failed: ${stdout}${stderr}`);
  return JSON.parse(`[${stdout.trim().replaceAll(/^\}\n\{/gm, '},\n{')}]`) as DownloadedModule[];
}

function checksums(modules: readonly DownloadedModule[]): Checksums {
  const failed = modules.find(({ Error: reason }) => reason !== undefined);
  if (failed !== undefined) throw new Error(`go mod download: ${failed.Path}@${failed.Version}: ${failed.Error}`);
  return Object.fromEntries(
    modules.map((module) => [`${module.Path}@${module.Version}`, { sum: module.Sum, goModSum: module.GoModSum }]),
  );
}
