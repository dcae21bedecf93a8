import { timestampOf } from '../../src/module/pseudo.ts';
import type { StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree, type FileContent } from '../fake-gitlab/work-tree.ts';
import { PREFIX } from './fixtures.ts';

/**
 * Creates repositories with histories in which every rule for revisions matters. Returns the ids of the commits by
 * name. The entry `<name> time` is the time of the commit in the format of a pseudo-version.
 */
export async function createRepositories(gitlab: StandIn): Promise<ReadonlyMap<string, string>> {
  const commits = new Map<string, string>();
  const repository = async (name: string, build: (history: History) => Promise<void>): Promise<void> => {
    await using tree = await WorkTree.create(await gitlab.createProject(`group/${name}`));
    await build(new History(tree, commits));
    await tree.push();
  };
  await Promise.all([
    repository('lib', library),
    repository('untagged', (history) => history.commit('untagged-only', { 'go.mod': mod('untagged') })),
    repository('two', secondMajor),
    repository('three', directories),
    repository('mono', severalModules),
    repository('retracted', retracted),
    repository('legacy', beforeModules),
    repository('meta', async (history) => {
      await history.commit('meta', { 'go.mod': mod('meta') }, 'v1.0.0+meta');
      await history.commit('meta-after', { 'x.go': 'package x\n' });
    }),
    repository('both', (history) => history.commit('both', { 'go.mod': mod('both/v2'), 'v2/go.mod': mod('both/v2') })),
  ]);
  return commits;
}

function mod(path: string, more = ''): string {
  return `module ${PREFIX}/group/${path}\n\ngo 1.21\n${more}`;
}

/** Creates commits and tags, and records the commits by name. */
class History {
  readonly tree: WorkTree;
  readonly #commits: Map<string, string>;
  /** The time of the next commit, in milliseconds since 1970. */
  #clock = Date.UTC(2024, 0, 1);

  constructor(tree: WorkTree, commits: Map<string, string>) {
    this.tree = tree;
    this.#commits = commits;
  }

  async commit(name: string, files: Readonly<Record<string, FileContent>>, ...tags: readonly string[]): Promise<void> {
    const date = new Date((this.#clock += 61_000));
    const id = await this.tree.write(files).commit(name, { date });
    this.#commits.set(name, id).set(`${name} time`, timestampOf(date));
    if (tags.length > 0) await this.tree.tag(tags);
  }
}

async function library(history: History): Promise<void> {
  const { tree } = history;
  await history.commit('root', { 'go.mod': mod('lib') });
  await history.commit('first', { 'a.go': 'package lib\n' }, 'v1.0.0');
  await tree.branch('fork');
  await history.commit('forked', { 'fork.go': 'package lib\n' });
  await tree.branch('main');
  await history.commit('old', { 'b.go': 'package lib\n' });
  await tree.branch('old');
  await tree.branch('main');
  await history.commit('tagged', { 'c.go': 'package lib\n' }, 'v1.1.0', 'nightly');
  await history.commit('untagged', { 'pkg/d.go': 'package pkg\n' });
  await history.commit('after', { 'e.go': 'package lib\n' });
  await tree.branch('pre');
  await history.commit('release-candidate', { 'f.go': 'package lib\n' }, 'v1.2.0-rc.1');
  await history.commit('after-candidate', { 'g.go': 'package lib\n' });
  await tree.branch('v1.9.9');
  await tree.branch('v1.1');
  await tree.branch('later', { at: 'refs/heads/main' });
  await history.commit('later', { 'h.go': 'package lib\n' }, 'v1.5.0');
  await tree.branch('refused', { at: 'refs/heads/main' });
  await history.commit('merge-request', { 'i.go': 'package lib\n' });
  await tree.push('refused:refs/merge-requests/1/head');
  await tree.git('update-ref', '-d', 'refs/heads/refused');
}

async function secondMajor(history: History): Promise<void> {
  await history.commit('two-1', { 'go.mod': mod('two') }, 'v1.0.0');
  await history.commit('two-2', { 'go.mod': mod('two/v2') }, 'v2.0.0');
  await history.commit('two-3', { 'a.go': 'package two\n' }, 'v2.1.0');
  await history.commit('two-after', { 'b.go': 'package two\n' });
}

async function directories(history: History): Promise<void> {
  await history.commit(
    'three',
    { 'go.mod': mod('three'), 'v3/go.mod': mod('three/v3'), 'v3/a.go': 'package three\n' },
    'v1.4.0',
    'v3.1.0',
  );
  await history.tree.branch('dir');
  await history.commit('three-after', { 'v3/b.go': 'package three\n' });
}

async function severalModules(history: History): Promise<void> {
  const files = {
    'go.mod': mod('mono'),
    'sub/go.mod': mod('mono/sub'),
    'sub/deep/go.mod': mod('mono/sub/deep'),
    'other/x.go': 'package other\n',
  };
  await history.commit('mono', files, 'sub/v0.3.0', 'v1.0.0', 'sub-tag');
  await history.commit('mono-after', { 'sub/a.go': 'package sub\n' }, 'sub/deep/v0.0.1');
  await history.commit('mono-last', { 'sub/b.go': 'package sub\n' });
}

async function retracted(history: History): Promise<void> {
  await history.commit('retracted-1', { 'go.mod': mod('retracted') }, 'v1.0.0', 'v1.0.10', 'v1.0.9', 'v1.1.3');
  await history.commit('retracted-bad', { 'a.go': 'package retracted\n' }, 'v1.1.0');
  await history.commit(
    'retracted-2',
    { 'go.mod': mod('retracted', '\nretract [v1.1.0, v1.1.9] // wrong\n') },
    'v1.1.5',
  );
  await history.commit('retracted-3', { 'b.go': 'package retracted\n' });
}

async function beforeModules(history: History): Promise<void> {
  await history.commit('legacy-1', { 'a.go': 'package legacy\n' }, 'v1.0.0');
  await history.commit('legacy-2', { 'b.go': 'package legacy\n' }, 'v2.0.0');
  await history.commit('legacy-after', { 'c.go': 'package legacy\n' });
}
