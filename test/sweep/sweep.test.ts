import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobSink } from '../../src/queue/queue.ts';
import { startGitLab, type Project, type StandIn } from '../fake-gitlab/stand-in.ts';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { startPublishing, type Publishing } from '../publish/publishing.ts';
import { pushModule, sweepOnce, tagsOf } from './sweeping.ts';

let gitlab: StandIn;
let folder: string;
let stores = 0;

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
  folder = await mkdtemp(join(tmpdir(), 'modpress-sweep-'));
  await pushModule(await gitlab.createProject('alpha/lib'), 'v1.0.0', 'v1.1.0', 'nightly');
  await pushModule(await gitlab.createProject('alpha/deep/er/lib'), 'v0.1.0');
  await pushModule(await gitlab.createProject('beta/lib'), 'v2.0.0');
  await pushModule(await gitlab.createProject('gamma/lib'), 'v1.0.0', 'weekly');
  await gitlab.createProject('beta/empty');
  await pushModule(await gitlab.createProject('beta/many'), ...Array.from({ length: 250 }, (_, i) => `t${i}`));
});
afterAll(async () => {
  await gitlab.close();
  await rm(folder, { recursive: true, force: true });
});

/** Projects with a tag each. */
async function sharing(paths: readonly string[]): Promise<Project[]> {
  const seed = await gitlab.createProject(`seed/p${++stores}`);
  await pushModule(seed, 'v1.0.0');
  return await Promise.all(paths.map((path) => gitlab.createProject(path, { sharesRepositoryOf: seed })));
}

/** An empty store, and a publisher for it. */
function publishing(): Promise<Publishing> {
  return startPublishing(gitlab, join(folder, `${++stores}`), { modulePrefix: 'gitlab.example' });
}

test('every tag without an outcome is queued, from all projects, over all pages', async () => {
  const { store } = await publishing();
  const { result, jobs } = await sweepOnce(gitlab, store, ['alpha', 'beta', 'gamma']);
  expect(result).toEqual({ projects: 6, looked: 6, tags: 257, queued: 257, recovered: 0 });
  expect(jobs.filter((job) => job.tag.startsWith('t'))).toHaveLength(250);
  expect(tagsOf(jobs)).toEqual(expect.arrayContaining(['nightly', 'v0.1.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']));
});

test('versions come first, and say what the listing said of them', async () => {
  const { store } = await publishing();
  const { jobs } = await sweepOnce(gitlab, store, ['alpha/lib']);
  expect(jobs.map(({ tag }) => tag)).toEqual(['v1.1.0', 'v1.0.0', 'nightly']);
  expect(jobs.map(({ strategy }) => strategy)).toEqual(['shared tree', 'shared tree', 'blobs']);
  for (const { hint, cachedTag } of jobs) expect(cachedTag?.commit).toBe(hint);
});

test('a scope of groups and projects bounds it; one that does not exist stops nothing, and is told', async () => {
  const { store } = await publishing();
  const { jobs, log } = await sweepOnce(gitlab, store, ['nobody/here', 'alpha', 'beta/lib', 'alpha/lib']);
  expect(tagsOf(jobs)).toEqual(['nightly', 'v0.1.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']);
  expect(log).toContainEqual(expect.objectContaining({ scope: 'nobody/here', level: 50 }));
});

test('what has an outcome, published or not, is not queued again', async () => {
  const { store, publisher } = await publishing();
  const { jobs } = await sweepOnce(gitlab, store, ['gamma']);
  expect(tagsOf(jobs)).toEqual(['v1.0.0', 'weekly']);
  for (const job of jobs) await publisher.publish(job);
  expect(await sweepOnce(gitlab, store, ['gamma'])).toMatchObject({
    result: { projects: 1, tags: 2, queued: 0 },
    jobs: [],
  });
});

test('the newest come first', async () => {
  const { store } = await publishing();
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

test('a project that cannot be read stops no other, and is looked at the next time', async () => {
  const { store } = await publishing();
  const bad = await gitlab.createProject('epsilon/bad');
  await pushModule(bad, 'v1.0.0');
  await pushModule(await gitlab.createProject('epsilon/good'), 'v1.0.0');
  const fault = gitlab.faults.add({
    path: new RegExp(`projects/${bad.id}/repository/tags`),
    kind: { status: 500 },
    times: 10,
  });
  const { result, log } = await sweepOnce(gitlab, store, ['epsilon']);
  expect(result).toMatchObject({ projects: 2, queued: 1 });
  expect(log).toContainEqual(expect.objectContaining({ project: 'epsilon/bad', level: 40 }));
  fault.remove();
  expect((await sweepOnce(gitlab, store, ['epsilon'])).jobs.map(({ projectId }) => projectId)).toContain(bad.id);
});

test('an outage is noticed before every project has been tried', async () => {
  const { store } = await publishing();
  const seed = await gitlab.createProject('zeta/p0');
  await pushModule(seed, 'v1.0.0');
  for (let index = 1; index < 20; index++) await gitlab.createProject(`zeta/p${index}`, { sharesRepositoryOf: seed });
  const fault = gitlab.faults.add({ path: /repository\/tags/, kind: { status: 401 }, times: 100 });
  await expect(sweepOnce(gitlab, store, ['zeta'])).rejects.toMatchObject({ name: 'Retry' });
  expect(fault.hits).toBeLessThan(10);
  fault.remove();
});

test('projects whose code the token may not read, however many, stop no other and are no outage', async () => {
  const { store } = await publishing();
  const paths = Array.from({ length: 20 }, (_, index) => `eta/p${index}`);
  const projects = await sharing(paths);
  const faults = projects
    .slice(0, 19)
    .map(({ id }) =>
      gitlab.faults.add({ path: new RegExp(`projects/${id}/repository/tags`), kind: { status: 403 }, times: 100 }),
    );
  const { result, log } = await sweepOnce(gitlab, store, ['eta']);
  expect(result).toMatchObject({ looked: 1, queued: 1 });
  expect(log.filter(({ level }) => level === 40)).toHaveLength(19);
  // They are all that is left to be looked at, and that is no failure of GitLab. Four are read at a time, and the good one is not kept waiting.
  const second = await sweepOnce(gitlab, store, ['eta']);
  expect(second.result).toMatchObject({ projects: 20, looked: 1 });
  const tagsRead = second.calls.filter((call) => call.endsWith('/repository/tags'));
  expect(tagsRead.slice(0, 4)).toContain(`projects/${projects.at(-1)?.id}/repository/tags`);
  for (const fault of faults) fault.remove();
  expect((await sweepOnce(gitlab, store, ['eta'])).result).toMatchObject({ looked: 20, queued: 20 });
});

test('projects that cannot be read for long keep no sweep from the others, and are not for ever a failure', async () => {
  const { store } = await publishing();
  const projects = await sharing(Array.from({ length: 15 }, (_, index) => `theta/p${index}`));
  const [good] = projects.slice(-1);
  for (const { id } of projects.slice(0, 14))
    gitlab.faults.add({ path: new RegExp(`projects/${id}/repository/tags`), kind: { status: 401 }, times: 100 });
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

test('one that cannot be read, where nothing else is to be looked at, makes one sweep fail, and not all that follow', async () => {
  const { store } = await publishing();
  const [bad] = await sharing(['iota/bad']);
  gitlab.faults.add({ path: new RegExp(`projects/${bad?.id}/repository/tags`), kind: { status: 401 }, times: 100 });
  await expect(sweepOnce(gitlab, store, ['iota'])).rejects.toMatchObject({ name: 'Retry' });
  const { result, log } = await sweepOnce(gitlab, store, ['iota']);
  expect(result).toMatchObject({ projects: 1, looked: 0 });
  expect(log).toContainEqual(expect.objectContaining({ project: 'iota/bad', level: 40 }));
  gitlab.faults.clear();
  expect((await sweepOnce(gitlab, store, ['iota'])).result).toMatchObject({ looked: 1, queued: 1 });
});

test('a GitLab that cannot be read is an error, not an end', async () => {
  const { store } = await publishing();
  gitlab.faults.add({ path: /repository\/tags/, kind: { status: 500 }, times: 10 });
  await expect(sweepOnce(gitlab, store, ['beta'])).rejects.toMatchObject({ name: 'Retry' });
  gitlab.faults.clear();
});

test('it waits for room in the queue', async () => {
  const { store } = await publishing();
  const waits: number[] = [];
  const { jobs } = await sweepOnce(gitlab, store, ['alpha/lib'], {
    roomInQueue: async () => {
      waits.push(waits.length);
    },
  });
  expect(waits).toHaveLength(jobs.length);
});
