import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobSink } from '../../src/queue/queue.ts';
import type { Project, StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { openSweepSetup, type SweepSetup } from './fixtures.ts';
import { pushModule, sweepOnce, tagsOf } from './sweeping.ts';

/** All tests share one GitLab. Each test has its own store, and a test that adds projects has its own group. */
let setup: SweepSetup;
let gitlab: StandIn;
let seeds = 0;

beforeAll(async () => {
  setup = await openSweepSetup();
  ({ gitlab } = setup);
  await pushModule(await gitlab.createProject('alpha/lib'), 'v1.0.0', 'v1.1.0', 'nightly');
  await pushModule(await gitlab.createProject('alpha/deep/er/lib'), 'v0.1.0');
  await pushModule(await gitlab.createProject('beta/lib'), 'v2.0.0');
  await pushModule(await gitlab.createProject('gamma/lib'), 'v1.0.0', 'weekly');
  await gitlab.createProject('beta/empty');
  await pushModule(await gitlab.createProject('beta/many'), ...Array.from({ length: 250 }, (_, i) => `t${i}`));
});
afterAll(() => setup?.[Symbol.asyncDispose]());

/** Creates projects that share a repository with one tag. */
async function createTaggedProjects(paths: readonly string[]): Promise<Project[]> {
  const seed = await gitlab.createProject(`seed/p${++seeds}`);
  await pushModule(seed, 'v1.0.0');
  return await Promise.all(paths.map((path) => gitlab.createProject(path, { sharesRepositoryOf: seed })));
}

/** Makes GitLab respond with this status to calls for the tags of a project. */
function failTags({ id }: Project, status: number, times = 100) {
  return gitlab.faults.add({ path: new RegExp(`projects/${id}/repository/tags`), kind: { status }, times });
}

test('a sweep queues every tag without an outcome, from all projects and all pages', async () => {
  const { store } = await setup.newPublishing();
  const { result, jobs } = await sweepOnce(gitlab, store, ['alpha', 'beta', 'gamma']);
  expect(result).toEqual({ projects: 6, scanned: 6, tags: 257, queued: 257, recovered: 0 });
  expect(jobs.filter((job) => job.tag.startsWith('t'))).toHaveLength(250);
  expect(tagsOf(jobs)).toEqual(expect.arrayContaining(['nightly', 'v0.1.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']));
});

test('a sweep queues versions before other tags, with the data from the list of tags', async () => {
  const { store } = await setup.newPublishing();
  const { jobs } = await sweepOnce(gitlab, store, ['alpha/lib']);
  expect(jobs.map(({ tag }) => tag)).toEqual(['v1.1.0', 'v1.0.0', 'nightly']);
  expect(jobs.map(({ strategy }) => strategy)).toEqual(['shared tree', 'shared tree', 'blobs']);
  for (const { hint, cachedTag } of jobs) expect(cachedTag?.commit).toBe(hint);
});

test('a sweep includes only the groups and projects in scope, and logs a path that does not exist', async () => {
  const { store } = await setup.newPublishing();
  const { jobs, log } = await sweepOnce(gitlab, store, ['nobody/here', 'alpha', 'beta/lib', 'alpha/lib']);
  expect(tagsOf(jobs)).toEqual(['nightly', 'v0.1.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']);
  expect(log).toContainEqual(expect.objectContaining({ event: 'scope.unknown', scope: 'nobody/here', level: 50 }));
});

test('a sweep does not queue a tag that has an outcome, whether published or not', async () => {
  const { store, publisher } = await setup.newPublishing();
  const { jobs } = await sweepOnce(gitlab, store, ['gamma']);
  expect(tagsOf(jobs)).toEqual(['v1.0.0', 'weekly']);
  for (const job of jobs) await publisher.publish(job);
  expect(await sweepOnce(gitlab, store, ['gamma'])).toMatchObject({
    result: { projects: 1, tags: 2, queued: 0 },
    jobs: [],
  });
});

test('a sweep queues the newest versions first', async () => {
  const { store } = await setup.newPublishing();
  const project = await gitlab.createProject('delta/lib');
  await using tree = await WorkTree.create(project);
  for (const [day, tag] of [
    ['2024-05-01', 'v1.0.0'],
    ['2024-07-01', 'v1.1.0'],
    ['2024-06-01', 'v2.0.0'],
  ] as const) {
    await tree.write({ 'day.txt': day }).commit(day, { date: `${day}T12:00:00Z` });
    await tree.tag(tag);
  }
  await tree.push();
  expect((await sweepOnce(gitlab, store, ['delta'])).jobs.map(({ tag }) => tag)).toEqual([
    'v1.1.0',
    'v2.0.0',
    'v1.0.0',
  ]);
});

test('a sweep continues after a project that cannot be read, and the next sweep scans this project', async () => {
  const { store } = await setup.newPublishing();
  const bad = await gitlab.createProject('epsilon/bad');
  await pushModule(bad, 'v1.0.0');
  await pushModule(await gitlab.createProject('epsilon/good'), 'v1.0.0');
  const fault = failTags(bad, 500, 10);
  const { result, log } = await sweepOnce(gitlab, store, ['epsilon']);
  expect(result).toMatchObject({ projects: 2, queued: 1 });
  expect(log).toContainEqual(expect.objectContaining({ project: 'epsilon/bad', level: 40 }));
  fault.remove();
  expect((await sweepOnce(gitlab, store, ['epsilon'])).jobs.map(({ projectId }) => projectId)).toContain(bad.id);
});

test('a sweep detects an outage before it has tried every project', async () => {
  const { store } = await setup.newPublishing();
  const seed = await gitlab.createProject('zeta/p0');
  await pushModule(seed, 'v1.0.0');
  for (let index = 1; index < 20; index++) await gitlab.createProject(`zeta/p${index}`, { sharesRepositoryOf: seed });
  const fault = gitlab.faults.add({ path: /repository\/tags/, kind: { status: 401 }, times: 100 });
  await expect(sweepOnce(gitlab, store, ['zeta'])).rejects.toMatchObject({ name: 'Retry' });
  expect(fault.hits).toBeLessThan(10);
  fault.remove();
});

test('a sweep does not treat projects with unreadable code as an outage, however many there are', async () => {
  const { store } = await setup.newPublishing();
  const paths = Array.from({ length: 20 }, (_, index) => `eta/p${index}`);
  const projects = await createTaggedProjects(paths);
  const faults = projects.slice(0, 19).map((project) => failTags(project, 403));
  const { result, log } = await sweepOnce(gitlab, store, ['eta']);
  expect(result).toMatchObject({ scanned: 1, queued: 1 });
  expect(log.filter(({ level }) => level === 40)).toHaveLength(19);
  // Only projects that failed are due now, which is not an outage. Four projects are read at a time, and the readable
  // project is one of the first four.
  const second = await sweepOnce(gitlab, store, ['eta']);
  expect(second.result).toMatchObject({ projects: 20, scanned: 1 });
  const tagsRead = second.calls.filter((call) => call.endsWith('/repository/tags'));
  expect(tagsRead.slice(0, 4)).toContain(`projects/${projects.at(-1)?.id}/repository/tags`);
  for (const fault of faults) fault.remove();
  expect((await sweepOnce(gitlab, store, ['eta'])).result).toMatchObject({ scanned: 20, queued: 20 });
});

test('a sweep scans the other projects even if many cannot be read for long, and later sweeps do not fail', async () => {
  const { store } = await setup.newPublishing();
  const projects = await createTaggedProjects(Array.from({ length: 15 }, (_, index) => `theta/p${index}`));
  const [good] = projects.slice(-1);
  for (const project of projects.slice(0, 14)) failTags(project, 401);
  const queued: number[] = [];
  const queue: JobSink = {
    add: async ({ projectId }) => {
      queued.push(projectId);
      return 'queued';
    },
  };
  for (let sweep = 0; sweep < 3; sweep++) await sweepOnce(gitlab, store, ['theta'], { queue }).catch(() => undefined);
  expect(queued).toContain(good?.id);
  expect((await sweepOnce(gitlab, store, ['theta'])).result).toMatchObject({ projects: 15 });
  gitlab.faults.clear();
});

test('a sweep fails once if the only due project cannot be read, and later sweeps do not fail', async () => {
  const { store } = await setup.newPublishing();
  for (const project of await createTaggedProjects(['iota/bad'])) failTags(project, 401);
  await expect(sweepOnce(gitlab, store, ['iota'])).rejects.toMatchObject({ name: 'Retry' });
  const { result, log } = await sweepOnce(gitlab, store, ['iota']);
  expect(result).toMatchObject({ projects: 1, scanned: 0 });
  expect(log).toContainEqual(expect.objectContaining({ project: 'iota/bad', level: 40 }));
  gitlab.faults.clear();
  expect((await sweepOnce(gitlab, store, ['iota'])).result).toMatchObject({ scanned: 1, queued: 1 });
});

test('a sweep rejects with a Retry if GitLab cannot be read', async () => {
  const { store } = await setup.newPublishing();
  gitlab.faults.add({ path: /repository\/tags/, kind: { status: 500 }, times: 10 });
  await expect(sweepOnce(gitlab, store, ['beta'])).rejects.toMatchObject({ name: 'Retry' });
  gitlab.faults.clear();
});

test('a sweep waits for room in the queue before each tag', async () => {
  const { store } = await setup.newPublishing();
  const waits: number[] = [];
  const { jobs } = await sweepOnce(gitlab, store, ['alpha/lib'], {
    roomInQueue: async () => {
      waits.push(waits.length);
    },
  });
  expect(waits).toHaveLength(jobs.length);
});
