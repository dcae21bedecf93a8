import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deletedTagKey, SWEEP_STATE_KEY } from '../../src/store/layout.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { startPublishing, type Publishing } from '../publish/publishing.ts';
import { pushModule, sweepOnce, tagsOf, type Swept } from './sweeping.ts';

/** What changes between two sweeps, and what the second one does about it. */
describe('from one sweep to the next', () => {
  let gitlab: StandIn;
  let folder: string;
  let publishing: Publishing;
  let quiet: Project;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'modpress-sweep-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async ({ task }) => {
    gitlab = await startGitLab({ archiveLimit: 'off' });
    publishing = await startPublishing(gitlab, join(folder, task.id), { modulePrefix: 'gitlab.example' });
    quiet = await quietProject('team/lib', 'v1.0.0', 'weekly');
  });
  afterEach(() => gitlab.close());

  /** A project in which nothing has happened for long. */
  async function quietProject(path: string, ...tags: readonly string[]): Promise<Project> {
    const made = await gitlab.createProject(path);
    await pushModule(made, ...tags);
    await gitlab.deleteProject(made);
    return gitlab.createProject(path, { createdAt: daysAgo(30), sharesRepositoryOf: made });
  }

  /** Sweeps, and publishes what it found, as workers would. */
  async function sweepAndPublish(): Promise<Swept> {
    const swept = await sweepOnce(gitlab, publishing.store);
    for (const job of swept.jobs) await publishing.publisher.publish(job);
    return swept;
  }

  /** After two sweeps everything is known to be complete. */
  async function settle(): Promise<void> {
    await sweepAndPublish();
    await sweepAndPublish();
  }

  test('a quiet project in which nothing is missing any more costs no call', async () => {
    await sweepAndPublish();
    const { result, calls } = await sweepAndPublish();
    expect(result).toMatchObject({ projects: 1, looked: 0, tags: 0 });
    expect(calls).toEqual(['projects']);
  });

  test('one in which something was missing is looked at until nothing is: the queue may have lost it', async () => {
    const first = await sweepOnce(gitlab, publishing.store);
    const second = await sweepOnce(gitlab, publishing.store);
    expect(tagsOf(second.jobs)).toEqual(tagsOf(first.jobs));
    expect(second.result).toMatchObject({ queued: 2, recovered: 0 });
  });

  test('what was pushed since is found, counted as recovered, and told', async () => {
    await settle();
    await using tree = await WorkTree.create(quiet);
    await tree.write({ 'go.mod': 'module gitlab.example/team/lib\n', 'a.go': 'package lib\n' }).commit('Second');
    await tree.tag(['v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0']);
    await tree.push('+main', 'v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0');
    const { result, jobs, log } = await sweepAndPublish();
    expect(tagsOf(jobs)).toEqual(['v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0']);
    expect(result).toMatchObject({ looked: 1, queued: 4, recovered: 4 });
    expect(log).toContainEqual(
      expect.objectContaining({ project: 'team/lib', recovered: 4, msg: expect.stringContaining('probably broken') }),
    );
  });

  test('a push leaves no trace in the time of the last activity for an hour, and is found all the same', async () => {
    const busy = await gitlab.createProject('team/busy', { createdAt: new Date(Date.now() - 50 * 60_000) });
    await pushModule(busy, 'v0.1.0');
    await settle();
    await using tree = await WorkTree.create(busy);
    await tree.write({ 'go.mod': 'module gitlab.example/team/busy\n' }).commit('Again');
    await tree.tag('v0.2.0');
    await tree.push('+main', 'v0.2.0');
    const { jobs } = await sweepAndPublish();
    expect(tagsOf(jobs)).toEqual(['v0.2.0']);
  });

  test('a new project is found and its tags count as recovered', async () => {
    await settle();
    await pushModule(await gitlab.createProject('team/new'), 'v0.1.0');
    expect((await sweepAndPublish()).result).toMatchObject({ projects: 2, looked: 1, queued: 1, recovered: 1 });
  });

  test('what is pushed to a project that was empty counts as recovered', async () => {
    const empty = await gitlab.createProject('team/empty', { createdAt: daysAgo(3) });
    await settle();
    await pushModule(empty, 'v0.1.0');
    expect((await sweepAndPublish()).result).toMatchObject({ looked: 1, queued: 1, recovered: 1 });
  });

  test('even a quiet project is looked at once a day', async () => {
    await settle();
    const state = JSON.parse(String(await publishing.store.get(SWEEP_STATE_KEY))) as {
      projects: Record<string, { lookedAt: number }>;
    };
    for (const seen of Object.values(state.projects)) seen.lookedAt -= 23 * 3_600_000;
    await publishing.store.put(SWEEP_STATE_KEY, Buffer.from(JSON.stringify(state)));
    expect((await sweepAndPublish()).result).toMatchObject({ looked: 1, tags: 2 });
  });

  test('without its state, or with a damaged one, it looks at everything', async () => {
    await settle();
    await publishing.store.put(SWEEP_STATE_KEY, Buffer.from('{"projects":'));
    expect((await sweepAndPublish()).result).toMatchObject({ looked: 1, tags: 2, queued: 0 });
  });

  test('an archived project is published, and looked at as seldom as any quiet one', async () => {
    const made = await gitlab.createProject('team/old');
    await pushModule(made, 'v1.0.0');
    await gitlab.deleteProject(made);
    await gitlab.createProject('team/old', { archived: true, createdAt: daysAgo(30), sharesRepositoryOf: made });
    const { jobs } = await sweepAndPublish();
    expect(jobs).toHaveLength(3);
    await sweepAndPublish();
    expect((await sweepAndPublish()).result).toMatchObject({ projects: 2, looked: 0 });
    await publishing.read('gitlab.example/team/old', 'v1.0.0', 'zip');
  });

  test('groups in scope cost a call for each page of their projects, and no other', async () => {
    await sweepOnce(gitlab, publishing.store, ['team']);
    for (const job of (await sweepOnce(gitlab, publishing.store, ['team'])).jobs)
      await publishing.publisher.publish(job);
    expect((await sweepOnce(gitlab, publishing.store, ['team'])).calls).toEqual(['groups/team/projects']);
  });

  test('a deleted project stays published, and is told of once', async () => {
    await settle();
    await gitlab.deleteProject(quiet);
    const told = (await sweepAndPublish()).log.filter(({ msg }) => msg.startsWith('a project was deleted'));
    expect(told).toEqual([expect.objectContaining({ project: 'team/lib' })]);
    expect((await sweepAndPublish()).log.filter(({ msg }) => msg.startsWith('a project was deleted'))).toEqual([]);
    await publishing.read('gitlab.example/team/lib', 'v1.0.0', 'zip');
  });

  test('a moved project stays published, and is published under its new path as well', async () => {
    await settle();
    await gitlab.moveProject(quiet, 'other/lib');
    const { log } = await sweepAndPublish();
    expect(log).toContainEqual(expect.objectContaining({ from: 'team/lib', to: 'other/lib' }));
    const [old, moved] = await Promise.all(
      ['team', 'other'].map((group) => publishing.read(`gitlab.example/${group}/lib`, 'v1.0.0', 'info')),
    );
    expect(String(old)).toContain('team/lib.git');
    expect(String(moved)).toContain('other/lib.git');
    // The queue may have lost them: they are queued twice more, and known then.
    for (let sweep = 0; sweep < 2; sweep++) {
      const { jobs } = await sweepOnce(gitlab, publishing.store);
      expect(tagsOf(jobs)).toEqual(['v1.0.0', 'weekly']);
      for (const job of jobs) expect(await publishing.publisher.publish(job)).toMatchObject({ known: true });
    }
    expect((await sweepAndPublish()).result).toMatchObject({ looked: 0 });
  });

  test('a deleted tag stays published and is marked, until it is back', async () => {
    await settle();
    const commit = await publishedCommit('v1.0.0');
    await using tree = await WorkTree.create(quiet);
    await tree.push(':v1.0.0');
    const { log } = await sweepAndPublish();
    expect(log).toContainEqual(
      expect.objectContaining({ tag: 'v1.0.0', msg: expect.stringContaining('was deleted in GitLab') }),
    );
    const mark = deletedTagKey(quiet.id, 'v1.0.0', commit);
    expect(await publishing.store.get(mark)).toBeDefined();
    await publishing.read('gitlab.example/team/lib', 'v1.0.0', 'zip');
    expect((await sweepAndPublish()).log.filter(({ msg }) => msg.includes('was deleted'))).toEqual([]);

    await tree.git('fetch', '--quiet', quiet.gitUrl, 'main');
    await tree.git('tag', 'v1.0.0', commit);
    await tree.push('v1.0.0');
    expect((await sweepAndPublish()).jobs).toEqual([]);
    expect(await publishing.store.get(mark)).toBeUndefined();
  });

  test('a moved tag is queued at its new commit', async () => {
    await settle();
    await using tree = await WorkTree.create(quiet);
    const commit = await tree
      .write({ 'go.mod': 'module gitlab.example/team/lib\n', 'b.go': 'package lib\n' })
      .commit('Moved');
    await tree.tag('v1.0.0', { force: true });
    await tree.push('+v1.0.0');
    const { jobs, log } = await sweepAndPublish();
    expect(jobs).toEqual([expect.objectContaining({ tag: 'v1.0.0', hint: commit })]);
    expect(log.filter(({ msg }) => msg.includes('was deleted'))).toEqual([]);
  });

  async function publishedCommit(tag: string): Promise<string> {
    for await (const { key } of publishing.store.list(`outcomes/${quiet.id}/${tag}@`))
      return /@([0-9a-f]{40})\.json$/.exec(key)?.[1] ?? '';
    return '';
  }
});

function daysAgo(days: number): Date {
  return new Date(Date.now() - days * 86_400_000);
}
