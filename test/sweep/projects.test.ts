import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { outcomeKey, SWEEP_STATE_KEY } from '../../src/store/layout.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { startPublishing, type Publishing } from '../publish/publishing.ts';
import { pushModule, sweepOnce, tagsOf, type Swept } from './sweeping.ts';

/** Projects in states in which it is easy to lose sight of a tag. */
describe('no tag is lost', () => {
  let gitlab: StandIn;
  let folder: string;
  let publishing: Publishing;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'modpress-sweep-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async ({ task }) => {
    gitlab = await startGitLab({ archiveLimit: 'off' });
    publishing = await startPublishing(gitlab, join(folder, task.id), { modulePrefix: 'gitlab.example' });
  });
  afterEach(() => gitlab.close());

  /** A project in which nothing has happened for long, and another on the same repository, to which one can push without a trace in the first. */
  async function quietProject(
    path: string,
    options: { readonly archived?: boolean } = {},
  ): Promise<{ readonly project: Project; readonly twin: Project }> {
    const twin = await gitlab.createProject(`elsewhere/${path}`);
    await pushModule(twin, 'v1.0.0');
    const project = await gitlab.createProject(path, {
      ...options,
      createdAt: new Date(Date.now() - 30 * 86_400_000),
      sharesRepositoryOf: twin,
    });
    return { project, twin };
  }

  async function sweepAndPublish(scope: readonly string[]): Promise<Swept> {
    const swept = await sweepOnce(gitlab, publishing.store, scope);
    for (const job of swept.jobs) await publishing.publisher.publish(job);
    return swept;
  }

  /** Moves the time of the last looks. */
  async function shiftState(ms: number): Promise<void> {
    const state = JSON.parse(String(await publishing.store.get(SWEEP_STATE_KEY))) as {
      projects: Record<string, { lookedAt: number }>;
    };
    for (const seen of Object.values(state.projects)) seen.lookedAt += ms;
    await publishing.store.put(SWEEP_STATE_KEY, Buffer.from(JSON.stringify(state)));
  }

  test('of which no webhook has told, though another one of the project still waits', async () => {
    const { project } = await quietProject('team/lib');
    await sweepOnce(gitlab, publishing.store, ['team']);
    await pushVersion(project, 'v1.1.0');
    const { result, jobs } = await sweepAndPublish(['team']);
    expect(tagsOf(jobs)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(result).toMatchObject({ queued: 2, recovered: 1 });
  });

  test('of a repository that has tags and no branch, which GitLab calls empty', async () => {
    const project = await gitlab.createProject('team/lib');
    await using tree = await WorkTree.create(project);
    await tree.write({ 'go.mod': 'module gitlab.example/team/lib\n' }).commit('First');
    await tree.tag('v1.0.0');
    await tree.push('v1.0.0');
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.0.0']);
  });

  test('after a look with a clock that was ahead', async () => {
    const { twin } = await quietProject('team/lib');
    await sweepAndPublish(['team']);
    await sweepAndPublish(['team']);
    await shiftState(365 * 86_400_000);
    await pushVersion(twin, 'v1.1.0');
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of an archived project that was open for a moment: it is looked at once a day', async () => {
    const { twin } = await quietProject('team/lib', { archived: true });
    await sweepAndPublish(['team']);
    await sweepAndPublish(['team']);
    await pushVersion(twin, 'v1.1.0');
    await shiftState(-23 * 3_600_000);
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of a project that comes back under another path, after it was out of sight', async () => {
    const { project } = await quietProject('team/lib');
    await sweepAndPublish(['team']);
    await gitlab.createProject('team/other');
    await gitlab.moveProject(project, 'away/lib');
    await sweepAndPublish(['team']);
    await gitlab.moveProject(project, 'team/again');
    await sweepAndPublish(['team']);
    expect(String(await publishing.read('gitlab.example/team/again', 'v1.0.0', 'info'))).toContain('team/again.git');
  });

  test('of a project that is in GITLAB_SCOPE under a path that it has left, without being told', async () => {
    const { project } = await quietProject('team/lib');
    await gitlab.moveProject(project, 'away/lib');
    const { jobs, log } = await sweepAndPublish(['team/lib']);
    expect(jobs).toEqual([]);
    expect(log).toContainEqual(expect.objectContaining({ level: 50, scope: 'team/lib', now: 'away/lib' }));
  });

  test('of a project whose repository is switched off, which costs no call, once it is switched on', async () => {
    const { project, twin } = await quietProject('team/lib');
    await sweepAndPublish(['team']);
    gitlab.switchCode(project, false);
    await pushVersion(twin, 'v1.1.0');
    expect((await sweepAndPublish(['team'])).calls).toEqual(['groups/team/projects']);
    gitlab.switchCode(project, true);
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of a project that waits for its deletion, and it is not published under the path that it has meanwhile', async () => {
    const { project, twin } = await quietProject('team/lib');
    await sweepAndPublish(['team']);
    gitlab.scheduleDeletion(project);
    await pushVersion(twin, 'v1.1.0');
    expect(await sweepAndPublish(['team'])).toMatchObject({ jobs: [], log: [] });
    expect(await publishing.publisher.publish({ projectId: project.id, tag: 'v1.1.0' })).toEqual({
      dismissed: `project ${project.path} is scheduled for deletion`,
    });
    gitlab.restoreProject(project);
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of a project that moves to where it has no module path: what was published keeps its record', async () => {
    const { project } = await quietProject('team/lib');
    const { jobs } = await sweepAndPublish(['team']);
    await gitlab.moveProject(project, 'team/aux');
    await sweepAndPublish(['team']);
    const record = String(await publishing.store.get(outcomeKey(project.id, 'v1.0.0', jobs[0]?.hint ?? '')));
    expect(JSON.parse(record)).toMatchObject({
      status: 'published',
      module: 'gitlab.example/team/lib',
      project: 'team/aux',
      note: expect.stringContaining('not a legal module path'),
    });
  });
});

async function pushVersion(project: Project, tag: string): Promise<void> {
  await using tree = await WorkTree.create(project);
  await tree.write({ 'go.mod': 'module gitlab.example/team/lib\n', 'a.go': 'package lib\n' }).commit('Another');
  await tree.tag(tag);
  await tree.push('+main', tag);
}
