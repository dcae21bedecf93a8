import { describe, expect } from 'vitest';
import { deletedTagKey, SWEEP_STATE_KEY } from '../../src/store/layout.ts';
import type { ReadStore } from '../../src/store/store.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { test as base } from './fixtures.ts';
import { pushModule, pushVersion, sweepOnce, tagsOf } from './sweeping.ts';

interface QuietProjectFixtures {
  /** The project `team/lib` with the tags v1.0.0 and weekly. Nothing has happened in it for a month. */
  readonly quiet: Project;
  /** Sweeps and publishes twice. Afterwards, the state of the sweep shows that nothing is missing. */
  readonly settle: () => Promise<void>;
}

const test = base.extend<QuietProjectFixtures>({
  // Every test needs this project, even if it does not mention it.
  quiet: [async ({ gitlab }, use) => use(await createQuietProject(gitlab)), { auto: true }],
  settle: ({ sweepAndPublish }, use) =>
    use(async () => {
      await sweepAndPublish();
      await sweepAndPublish();
    }),
});

describe('a later sweep', () => {
  test('makes no call for a quiet project in which nothing is missing', async ({ sweepAndPublish }) => {
    await sweepAndPublish();
    const { result, calls } = await sweepAndPublish();
    expect(result).toMatchObject({ projects: 1, scanned: 0, tags: 0 });
    expect(calls).toEqual(['projects']);
  });

  test('scans a project again until nothing is missing, because the queue may have lost its tags', async ({
    gitlab,
    publishing,
  }) => {
    const first = await sweepOnce(gitlab, publishing.store);
    const second = await sweepOnce(gitlab, publishing.store);
    expect(tagsOf(second.jobs)).toEqual(tagsOf(first.jobs));
    expect(second.result).toMatchObject({ queued: 2, recovered: 0 });
  });

  test('queues new tags, counts them as recovered, and logs that the webhook is probably broken', async ({
    quiet,
    settle,
    sweepAndPublish,
  }) => {
    await settle();
    await pushVersion(quiet, 'v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0');
    const { result, jobs, log } = await sweepAndPublish();
    expect(tagsOf(jobs)).toEqual(['v1.1.0', 'v1.2.0', 'v1.3.0', 'v1.4.0']);
    expect(result).toMatchObject({ scanned: 1, queued: 4, recovered: 4 });
    expect(log).toContainEqual(
      expect.objectContaining({
        event: 'webhook.missed',
        project: 'team/lib',
        recovered: 4,
        msg: expect.stringContaining('probably broken'),
      }),
    );
  });

  test('queues a tag pushed within an hour of another push, which does not change the time of the last activity', async ({
    gitlab,
    settle,
    sweepAndPublish,
  }) => {
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

  test('queues the tags of a new project, and counts them as recovered', async ({
    gitlab,
    settle,
    sweepAndPublish,
  }) => {
    await settle();
    await pushModule(await gitlab.createProject('team/new'), 'v0.1.0');
    expect((await sweepAndPublish()).result).toMatchObject({ projects: 2, scanned: 1, queued: 1, recovered: 1 });
  });

  test('counts the first tag of an empty project as recovered', async ({ gitlab, settle, sweepAndPublish }) => {
    const empty = await gitlab.createProject('team/empty', { createdAt: daysAgo(3) });
    await settle();
    await pushModule(empty, 'v0.1.0');
    expect((await sweepAndPublish()).result).toMatchObject({ scanned: 1, queued: 1, recovered: 1 });
  });

  test('scans even a quiet project once a day', async ({ settle, shiftLastScans, sweepAndPublish }) => {
    await settle();
    await shiftLastScans(-23 * 3_600_000);
    expect((await sweepAndPublish()).result).toMatchObject({ scanned: 1, tags: 2 });
  });

  test('scans everything if the stored state is damaged', async ({ publishing, settle, sweepAndPublish }) => {
    await settle();
    await publishing.store.put(SWEEP_STATE_KEY, Buffer.from('{"projects":'));
    expect((await sweepAndPublish()).result).toMatchObject({ scanned: 1, tags: 2, queued: 0 });
  });

  test('publishes an archived project, and scans it as rarely as any quiet project', async ({
    gitlab,
    publishing,
    sweepAndPublish,
  }) => {
    const original = await gitlab.createProject('team/old');
    await pushModule(original, 'v1.0.0');
    await gitlab.deleteProject(original);
    await gitlab.createProject('team/old', { archived: true, createdAt: daysAgo(30), sharesRepositoryOf: original });
    const { jobs } = await sweepAndPublish();
    expect(jobs).toHaveLength(3);
    await sweepAndPublish();
    expect((await sweepAndPublish()).result).toMatchObject({ projects: 2, scanned: 0 });
    await publishing.read('gitlab.example/team/old', 'v1.0.0', 'zip');
  });

  test('lists the projects of a group in scope with one call for each page, and makes no other call', async ({
    gitlab,
    publishing,
    sweepAndPublish,
  }) => {
    await sweepOnce(gitlab, publishing.store, ['team']);
    await sweepAndPublish(['team']);
    expect((await sweepOnce(gitlab, publishing.store, ['team'])).calls).toEqual(['groups/team/projects']);
  });

  test('keeps the versions of a deleted project, and logs the deletion once', async ({
    gitlab,
    publishing,
    quiet,
    settle,
    sweepAndPublish,
  }) => {
    await settle();
    await gitlab.deleteProject(quiet);
    const vanished = (await sweepAndPublish()).log.filter(({ event }) => event === 'project.vanished');
    expect(vanished).toEqual([
      expect.objectContaining({ project: 'team/lib', msg: expect.stringMatching(/^a project was deleted/) }),
    ]);
    expect((await sweepAndPublish()).log.filter(({ event }) => event === 'project.vanished')).toEqual([]);
    await publishing.read('gitlab.example/team/lib', 'v1.0.0', 'zip');
  });

  test('keeps the versions of a moved project, and publishes them under the new path too', async ({
    gitlab,
    publishing,
    quiet,
    settle,
    sweepAndPublish,
  }) => {
    await settle();
    await gitlab.moveProject(quiet, 'other/lib');
    const { log } = await sweepAndPublish();
    expect(log).toContainEqual(expect.objectContaining({ event: 'project.moved', from: 'team/lib', to: 'other/lib' }));
    const [old, moved] = await Promise.all(
      ['team', 'other'].map((group) => publishing.read(`gitlab.example/${group}/lib`, 'v1.0.0', 'info')),
    );
    expect(String(old)).toContain('team/lib.git');
    expect(String(moved)).toContain('other/lib.git');
    // Two more sweeps queue the tags again, in case the queue has lost them. The publisher finds their outcomes.
    for (let sweep = 0; sweep < 2; sweep++) {
      const { jobs } = await sweepOnce(gitlab, publishing.store);
      expect(tagsOf(jobs)).toEqual(['v1.0.0', 'weekly']);
      for (const job of jobs) expect(await publishing.publisher.publish(job)).toMatchObject({ known: true });
    }
    expect((await sweepAndPublish()).result).toMatchObject({ scanned: 0 });
  });

  test('keeps the version of a deleted tag, and marks the tag until it is restored', async ({
    publishing,
    quiet,
    settle,
    sweepAndPublish,
  }) => {
    await settle();
    const commit = await publishedCommit(publishing.store, quiet, 'v1.0.0');
    await using tree = await WorkTree.create(quiet);
    await tree.push(':v1.0.0');
    const { log } = await sweepAndPublish();
    expect(log).toContainEqual(
      expect.objectContaining({
        event: 'tag.deleted',
        tag: 'v1.0.0',
        msg: expect.stringContaining('was deleted in GitLab'),
      }),
    );
    const mark = deletedTagKey(quiet.id, 'v1.0.0', commit);
    expect(await publishing.store.get(mark)).toBeDefined();
    await publishing.read('gitlab.example/team/lib', 'v1.0.0', 'zip');
    expect((await sweepAndPublish()).log.filter(({ event }) => event === 'tag.deleted')).toEqual([]);

    await tree.git('fetch', '--quiet', quiet.gitUrl, 'main');
    await tree.git('tag', 'v1.0.0', commit);
    await tree.push('v1.0.0');
    expect((await sweepAndPublish()).jobs).toEqual([]);
    expect(await publishing.store.get(mark)).toBeUndefined();
  });

  test('queues a moved tag at its new commit', async ({ quiet, settle, sweepAndPublish }) => {
    await settle();
    await using tree = await WorkTree.create(quiet);
    const commit = await tree
      .write({ 'go.mod': 'module gitlab.example/team/lib\n', 'b.go': 'package lib\n' })
      .commit('Moved');
    await tree.tag('v1.0.0', { force: true });
    await tree.push('+v1.0.0');
    const { jobs, log } = await sweepAndPublish();
    expect(jobs).toEqual([expect.objectContaining({ tag: 'v1.0.0', hint: commit })]);
    expect(log.filter(({ event }) => event === 'tag.deleted')).toEqual([]);
  });
});

/** Creates the project on the repository of another project, so that its last activity is its own creation. */
async function createQuietProject(gitlab: StandIn): Promise<Project> {
  const path = 'team/lib';
  const original = await gitlab.createProject(path);
  await pushModule(original, 'v1.0.0', 'weekly');
  await gitlab.deleteProject(original);
  return gitlab.createProject(path, { createdAt: daysAgo(30), sharesRepositoryOf: original });
}

async function publishedCommit(store: ReadStore, { id }: Project, tag: string): Promise<string> {
  for await (const { key } of store.list(`outcomes/${id}/${tag}@`))
    return /@([0-9a-f]{40})\.json$/.exec(key)?.[1] ?? '';
  return '';
}

function daysAgo(days: number): Date {
  return new Date(Date.now() - days * 86_400_000);
}
