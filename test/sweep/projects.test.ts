import { describe, expect } from 'vitest';
import { outcomeKey } from '../../src/store/layout.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test } from './fixtures.ts';
import { pushModule, pushVersion, sweepOnce, tagsOf } from './sweeping.ts';

/** A sweep could easily overlook the tags of projects in these states. */
describe('a sweep finds the tags', () => {
  test('of a project whose webhook failed, even if another of its tags still waits', async ({
    gitlab,
    publishing,
    sweepAndPublish,
  }) => {
    const { project } = await createQuietProject(gitlab, 'team/lib');
    await sweepOnce(gitlab, publishing.store, ['team']);
    await pushVersion(project, 'v1.1.0');
    const { result, jobs } = await sweepAndPublish(['team']);
    expect(tagsOf(jobs)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(result).toMatchObject({ queued: 2, recovered: 1 });
  });

  test('of a repository with tags but no branch, which GitLab treats as empty', async ({ gitlab, sweepAndPublish }) => {
    const project = await gitlab.createProject('team/lib');
    await using tree = await WorkTree.create(project);
    await tree.write({ 'go.mod': 'module gitlab.example/team/lib\n' }).commit('First');
    await tree.tag('v1.0.0');
    await tree.push('v1.0.0');
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.0.0']);
  });

  test('of a project after a scan with a clock that was ahead', async ({ gitlab, shiftLastScans, sweepAndPublish }) => {
    const { twin } = await createQuietProject(gitlab, 'team/lib');
    await sweepAndPublish(['team']);
    await sweepAndPublish(['team']);
    await shiftLastScans(365 * 86_400_000);
    await pushVersion(twin, 'v1.1.0');
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of an archived project that was unarchived for a moment, because it is scanned once a day', async ({
    gitlab,
    shiftLastScans,
    sweepAndPublish,
  }) => {
    const { twin } = await createQuietProject(gitlab, 'team/lib', { archived: true });
    await sweepAndPublish(['team']);
    await sweepAndPublish(['team']);
    await pushVersion(twin, 'v1.1.0');
    await shiftLastScans(-23 * 3_600_000);
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of a project that returns under another path after it was out of scope', async ({
    gitlab,
    publishing,
    sweepAndPublish,
  }) => {
    const { project } = await createQuietProject(gitlab, 'team/lib');
    await sweepAndPublish(['team']);
    await gitlab.createProject('team/other');
    await gitlab.moveProject(project, 'away/lib');
    await sweepAndPublish(['team']);
    await gitlab.moveProject(project, 'team/again');
    await sweepAndPublish(['team']);
    expect(String(await publishing.read('gitlab.example/team/again', 'v1.0.0', 'info'))).toContain('team/again.git');
  });

  test('of a project with disabled code as soon as its code is enabled, without a call until then', async ({
    gitlab,
    sweepAndPublish,
  }) => {
    const { project, twin } = await createQuietProject(gitlab, 'team/lib');
    await sweepAndPublish(['team']);
    gitlab.switchCode(project, false);
    await pushVersion(twin, 'v1.1.0');
    expect((await sweepAndPublish(['team'])).calls).toEqual(['groups/team/projects']);
    gitlab.switchCode(project, true);
    expect(tagsOf((await sweepAndPublish(['team'])).jobs)).toEqual(['v1.1.0']);
  });

  test('of a project once its deletion is cancelled, and publishes none of them before', async ({
    gitlab,
    publishing,
    sweepAndPublish,
  }) => {
    const { project, twin } = await createQuietProject(gitlab, 'team/lib');
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
});

test('a sweep logs that GITLAB_SCOPE contains the old path of a moved project, and does not queue its tags', async ({
  gitlab,
  sweepAndPublish,
}) => {
  const { project } = await createQuietProject(gitlab, 'team/lib');
  await gitlab.moveProject(project, 'away/lib');
  const { jobs, log } = await sweepAndPublish(['team/lib']);
  expect(jobs).toEqual([]);
  expect(log).toContainEqual(
    expect.objectContaining({ event: 'scope.outdated', level: 50, scope: 'team/lib', now: 'away/lib' }),
  );
});

test('a sweep keeps the outcome of a published version if its project moves to a path that is not a module path', async ({
  gitlab,
  publishing,
  sweepAndPublish,
}) => {
  const { project } = await createQuietProject(gitlab, 'team/lib');
  const { jobs } = await sweepAndPublish(['team']);
  await gitlab.moveProject(project, 'team/aux');
  await sweepAndPublish(['team']);
  const outcome = String(await publishing.store.get(outcomeKey(project.id, 'v1.0.0', jobs[0]?.hint ?? '')));
  expect(JSON.parse(outcome)).toMatchObject({
    status: 'published',
    module: 'gitlab.example/team/lib',
    project: 'team/aux',
    note: expect.stringContaining('not a valid module path'),
  });
});

/**
 * Creates a project in which nothing has happened for a month, with the tag v1.0.0. Its twin has the same repository,
 * so that a push to the twin adds a tag without any activity in the project.
 */
async function createQuietProject(
  gitlab: StandIn,
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
