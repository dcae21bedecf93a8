import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
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

/** The first element of all module paths. */
export const HOST = 'gitlab.example';

/** A stand-in for GitLab, and a store with versions that were published from it. */
export interface Workshop extends AsyncDisposable {
  readonly gitlab: StandIn;
  /** The folder of all files, which is removed when the workshop is closed. */
  readonly folder: string;
  readonly store: Store;
  /** Copies the folder of the store, so that a test can damage the copy. */
  copyFolder(): Promise<string>;
  /** Copies the store, so that a test can damage the copy. */
  copyStore(): Promise<Store>;
  /** Creates a project with these tags, each on its own commit, and publishes them. */
  publish(project: string, tags: readonly string[], files?: Record<string, FileContent>): Promise<Published>;
}

/** A project with published tags. */
export interface Published {
  readonly project: Project;
  readonly module: ModulePath;
  readonly tree: WorkTree;
  /** The outcomes, in the order of the tags. */
  readonly outcomes: readonly Outcome[];
}

/** The result of a verification. */
export interface Verification {
  readonly counts: Counts;
  readonly findings: readonly Finding[];
  /** All progress reports. */
  readonly progress: readonly (readonly [done: number, found: number])[];
}

/**
 * Opens a workshop for all tests of a file, in which `fill` publishes versions. Before each test, `onCopy` receives a
 * copy of the store. A test fails if it leaves temporary files.
 */
export function useWorkshop(fill: (workshop: Workshop) => Promise<void>, onCopy: (store: Store) => void): void {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await openWorkshop();
    await fill(workshop);
  });
  afterAll(() => workshop?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    onCopy(await workshop.copyStore());
    workshop.gitlab.clearRequests();
    workshop.gitlab.faults.clear();
  });
  afterEach(async () => {
    const left = await readdir(join(workshop.folder, 'temporary'));
    if (left.length > 0) throw new Error(`temporary files are left: ${left.join(', ')}`);
  });
}

/** Opens a workshop with an empty store. */
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

/** Returns the files of a module at a tag. */
export function filesOf(module: string, tag: string): Record<string, FileContent> {
  return { 'go.mod': `module ${module}\n\ngo 1.24\n`, 'lib.go': `package lib\n\nconst Tag = "${tag}"\n` };
}

/** Verifies the versions that the arguments select, or all versions without arguments. */
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

/**
 * Creates a rebuilder for the GitLab of the workshop. The limit on archives is never reached, unless `parts` contains
 * another limit.
 */
export function rebuilderOf({ gitlab, folder }: Workshop, parts: Partial<RebuilderParts> = {}): Rebuilder {
  const client = new GitLabClient({
    http: new HttpClient(),
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

/** Returns the key of a file of a version. */
export function keyOf(module: string, version: string, file: VersionFile): string {
  return moduleKey(module as ModulePath, version as Version, file);
}

/** Returns the key of an outcome. */
export function keyOfOutcome({ projectId, tag, commit }: Outcome): string {
  return outcomeKey(projectId, tag, commit);
}

/** Reads the object with a key. Rejects if the object does not exist. */
export async function bytesOf(store: ReadStore, key: string): Promise<Buffer> {
  const bytes = await store.get(key);
  if (!bytes) throw new Error(`${key} is not in the store`);
  return bytes;
}
