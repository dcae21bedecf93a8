import type { ModulePath } from '../../src/module/path.ts';
import type { HistoryMemory } from '../../src/resolve/histories.ts';
import { Ownership } from '../../src/resolve/ownership.ts';
import { Resolver } from '../../src/resolve/resolver.ts';
import { downloadDirect } from '../fake-gitlab/direct-mode.ts';
import type { Project } from '../fake-gitlab/stand-in.ts';
import { modulePath } from '../proxy/modules.ts';
import { PREFIX, test as base } from './fixtures.ts';
import type { GraphCommit } from './graph.ts';

/** The time of the first commit, in seconds since the epoch. */
export const START = Date.UTC(2024, 0, 1) / 1000;
/** A memory for histories that a test can look at. */
export class Memory implements HistoryMemory {
  readonly files = new Map<number, Buffer>();

  async read(projectId: number): Promise<Buffer | undefined> {
    return this.files.get(projectId);
  }

  async write(projectId: number, histories: Buffer): Promise<void> {
    this.files.set(projectId, histories);
  }
}

let projects = 0;

/** Tests of queries in repositories with many commits and tags. */
export const test = base
  .extend('memory', () => new Memory())
  /** Creates a resolver, as a new process would. */
  .extend('startResolver', ({ client, memory }) => () => {
    return new Resolver(client, new Ownership(PREFIX), { histories: memory });
  })
  .extend('project', ({ gitlab }) => gitlab.createProject(`histories/p${++projects}`))
  /** Resolves a query, and returns its version and the number of calls about commits. */
  .extend('resolve', ({ gitlab, project }) => async (resolver: Resolver, query: string) => {
    gitlab.clearRequests();
    const { version } = await resolver.resolve(moduleOf(project), query);
    return { version, calls: gitlab.requests.filter(({ path }) => isAboutHistory(path)).length };
  })
  /** Returns the version of a query in direct mode; undefined if direct mode refuses it. */
  .extend('direct', ({ gitlab, project }) => async (query: string): Promise<string | undefined> => {
    await using download = await downloadDirect(gitlab, PREFIX, `${moduleOf(project)}@${query}`);
    const [module] = download.modules;
    return module?.Error === undefined ? module?.Version : undefined;
  });

/** Returns the path of the module at the root of a project. */
export function moduleOf(project: Project): ModulePath {
  return modulePath(`${PREFIX}/${project.path}`);
}

function isAboutHistory(path: string): boolean {
  return /\/repository\/(?:merge_base|commits\b)/.test(path);
}

/** Returns a chain of commits, oldest first, with the go.mod of a project. */
export function chain(project: Project, name: string, count: number, parent?: string): GraphCommit[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `${name} ${index}`,
    parents: index > 0 ? [`${name} ${index - 1}`] : parent === undefined ? [] : [parent],
    seconds: START + index * 60,
    ...(index === 0 && { files: { 'go.mod': `module ${moduleOf(project)}\n\ngo 1.21\n` } }),
  }));
}

/** Adds a branch to the last commit. */
export function withBranch(commits: readonly GraphCommit[], branch: string): GraphCommit[] {
  return changed(commits, commits.length - 1, { branch });
}

/** Adds a tag to the commit at an index. */
export function withTag(commits: readonly GraphCommit[], index: number, tag: string): GraphCommit[] {
  return changed(commits, index, { tags: [tag] });
}

function changed(commits: readonly GraphCommit[], index: number, change: Partial<GraphCommit>): GraphCommit[] {
  const [commit] = commits.slice(index, index + 1);
  return commit ? commits.with(index, { ...commit, ...change }) : [...commits];
}

/** Returns commits that are not in the history of any other, each with the tag that `tagOf` returns for its index. */
export function unrelatedTags(count: number, tagOf: (index: number) => string): GraphCommit[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `other ${index}`,
    parents: [],
    seconds: START + index,
    tags: [tagOf(index)],
  }));
}
