import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { Outcome } from '../../src/store/outcome.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { Resolver } from '../../src/resolve/resolver.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { moduleKey, outcomeKey, type VersionFile } from '../../src/store/layout.ts';
import type { ReadStore, Store } from '../../src/store/store.ts';
import type { Counts, Finding } from '../../src/verify/finding.ts';
import { Rebuilder, type RebuilderParts } from '../../src/verify/rebuild.ts';
import { parseSelection } from '../../src/verify/selection.ts';
import { verifyStore } from '../../src/verify/verify.ts';
import { startGitLab, type Project, type StandIn, type StandInOptions } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { startPublishing, type Publishing } from '../publish/publishing.ts';

/** First part of all module paths. */
export const HOST = 'gitlab.example';

/** A GitLab, and a store with what was published from it. */
export interface Workshop extends AsyncDisposable {
  readonly gitlab: StandIn;
  /** Goes away with the workshop. */
  readonly folder: string;
  readonly store: Store;
  /** A copy of the store's folder, to be spoilt. */
  copyFolder(): Promise<string>;
  /** The same, opened. */
  copyStore(): Promise<Store>;
  /** Makes a project with these tags, each at a commit of its own, and publishes them. */
  publish(project: string, tags: readonly string[], files?: Record<string, FileContent>): Promise<Published>;
}

/** A project whose tags are published. */
export interface Published {
  readonly project: Project;
  readonly module: ModulePath;
  readonly tree: WorkTree;
  /** In the order of the tags. */
  readonly outcomes: readonly Outcome[];
}

/** What a verification found. */
export interface Verification {
  readonly counts: Counts;
  readonly findings: readonly Finding[];
  /** What was told of the progress. */
  readonly progress: readonly (readonly [done: number, found: number])[];
}

/** Opens a workshop with a store in a folder. */
export async function openWorkshop(options: StandInOptions = { archiveLimit: 'off' }): Promise<Workshop> {
  const gitlab = await startGitLab(options);
  const folder = await mkdtemp(join(tmpdir(), 'modpress-verify-'));
  const publishing = await startPublishing(gitlab, folder, { modulePrefix: HOST });
  const copyFolder = async (): Promise<string> => {
    const copy = await mkdtemp(join(folder, 'copy-'));
    await cp(join(folder, 'store'), copy, { recursive: true });
    return copy;
  };
  return {
    gitlab,
    folder,
    store: publishing.store,
    copyFolder,
    copyStore: async () => await DiskStore.open(await copyFolder()),
    publish: (project, tags, files) => publish(gitlab, publishing, project, tags, files),
    async [Symbol.asyncDispose]() {
      await gitlab.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function publish(
  gitlab: StandIn,
  { publisher }: Publishing,
  path: string,
  tags: readonly string[],
  files: Record<string, FileContent> = {},
): Promise<Published> {
  const module = `${HOST}/${path}` as ModulePath;
  const project = await gitlab.createProject(path);
  const tree = await WorkTree.create(project);
  const outcomes: Outcome[] = [];
  for (const tag of tags) {
    await tree.write({ ...filesOf(module, tag), ...files }).commit(tag);
    await tree.tag(tag);
    await tree.push();
    const result = await publisher.publish({ projectId: project.id, tag });
    if (!('outcome' in result) || result.outcome.status !== 'published')
      throw new Error(`${tag} was not published: ${JSON.stringify(result)}`);
    outcomes.push(result.outcome);
  }
  return { project, module, tree, outcomes };
}

/** What a tag of a module has in it. */
export function filesOf(module: string, tag: string): Record<string, FileContent> {
  return { 'go.mod': `module ${module}\n\ngo 1.24\n`, 'lib.go': `package lib\n\nconst Tag = "${tag}"\n` };
}

/** Verifies what the arguments select, all of it without any. */
export async function verification(
  workshop: Pick<Workshop, 'folder'>,
  store: ReadStore,
  options: { args?: readonly string[]; rebuilder?: Rebuilder; signal?: AbortSignal } = {},
): Promise<Verification> {
  const findings: Finding[] = [];
  const progress: [number, number][] = [];
  const counts = await verifyStore(
    {
      store,
      temporaryRoot: join(workshop.folder, 'temporary'),
      rebuilder: options.rebuilder,
      onFinding: (finding) => findings.push(finding),
      onProgress: (done, found) => progress.push([done, found]),
    },
    parseSelection(options.args ?? []),
    options.signal ?? new AbortController().signal,
  );
  return { counts, findings, progress };
}

/** What builds again from the workshop's GitLab; archives are not rationed here unless `parts` says so. */
export function rebuilderOf({ gitlab, folder }: Workshop, parts: Partial<RebuilderParts> = {}): Rebuilder {
  const client = new GitLabClient({
    url: gitlab.url,
    token: gitlab.createToken({ scopes: ['read_api'] }),
    beforeCall: async () => undefined,
  });
  return new Rebuilder({
    gitlab: client,
    resolver: new Resolver(client, new Ownership(HOST)),
    rateLimiter: new MemoryRateLimiter(),
    temporaryRoot: join(folder, 'temporary'),
    archivesPerMinute: 1000,
    ...parts,
  });
}

/** Key of a file of a version. */
export function keyOf(module: string, version: string, file: VersionFile): string {
  return moduleKey(module as ModulePath, version as Version, file);
}

/** Key of the outcome. */
export function keyOfOutcome({ projectId, tag, commit }: Outcome): string {
  return outcomeKey(projectId, tag, commit);
}

/** The bytes under a key; rejects if there are none. */
export async function bytesOf(store: ReadStore, key: string): Promise<Buffer> {
  const bytes = await store.get(key);
  if (!bytes) throw new Error(`${key} is not in the store`);
  return bytes;
}
