import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { TagJob } from '../../src/queue/queue.ts';
import { sweep, type SweepParts } from '../../src/publish/sweep.ts';
import { startGitLab, type StandIn } from '../gitlab/stand-in.ts';
import { WorkTree } from '../gitlab/work-tree.ts';
import { startPublishing, type Publishing } from './publishing.ts';

let gitlab: StandIn;
let folder: string;
let publishing: Publishing;

beforeAll(async () => {
  gitlab = await startGitLab({ archiveLimit: 'off' });
  folder = await mkdtemp(join(tmpdir(), 'modpress-sweep-'));
  publishing = await startPublishing(gitlab, folder, { modulePrefix: 'gitlab.example' });
  await project('alpha/lib', 'v1.0.0', 'v1.1.0', 'nightly');
  await project('alpha/deep/er/lib', 'v0.1.0');
  await project('beta/lib', 'v2.0.0');
  await project('gamma/lib', 'v1.0.0', 'weekly');
  await gitlab.createProject('beta/empty');
  await project('beta/many', ...Array.from({ length: 250 }, (_, i) => `t${i}`));
});
afterAll(async () => {
  await gitlab.close();
  await rm(folder, { recursive: true, force: true });
});

test('every tag without an outcome is queued, from all projects, over all pages', async () => {
  const { result, jobs } = await run([]);
  expect(result).toMatchObject({ projects: 6, tags: 257 });
  expect(jobs.filter((job) => job.tag.startsWith('t'))).toHaveLength(250);
  expect(tagsOf(jobs)).toEqual(expect.arrayContaining(['nightly', 'v0.1.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']));
});

test('a scope of groups and projects bounds it; one that does not exist stops nothing', async () => {
  const { jobs } = await run(['nobody/here', 'alpha', 'beta/lib']);
  expect(tagsOf(jobs)).toEqual(['nightly', 'v0.1.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']);
});

test('what has an outcome, published or not, is not queued again', async () => {
  const { jobs } = await run(['gamma']);
  expect(tagsOf(jobs)).toEqual(['v1.0.0', 'weekly']);
  for (const job of jobs) await publishing.publisher.publish(job);
  expect(await run(['gamma'])).toEqual({ result: { projects: 1, tags: 2, queued: 0 }, jobs: [] });
});

test('a GitLab that cannot be read is an error, not an end', async () => {
  gitlab.faults.add({ path: /repository\/tags/, kind: { status: 500 }, times: 10 });
  await expect(run(['beta'])).rejects.toMatchObject({ name: 'Retry' });
  gitlab.faults.clear();
});

async function run(scope: readonly string[]): Promise<{ result: Awaited<ReturnType<typeof sweep>>; jobs: TagJob[] }> {
  const jobs: TagJob[] = [];
  const queue: SweepParts['queue'] = {
    add: async (job) => {
      jobs.push(job);
      return 'queued';
    },
  };
  const token = gitlab.createToken({ scopes: ['read_api'] });
  const client = new GitLabClient({ url: gitlab.url, token, pace: async () => undefined });
  const parts = { gitlab: client, store: publishing.store, queue, log: pino({ level: 'silent' }), scope };
  return { result: await sweep(parts, new AbortController().signal), jobs };
}

function tagsOf(jobs: readonly TagJob[]): string[] {
  return jobs.map((job) => job.tag).toSorted((a, b) => a.localeCompare(b));
}

async function project(path: string, ...tags: string[]): Promise<void> {
  const made = await gitlab.createProject(path);
  await using tree = await WorkTree.create(made);
  tree.write({ 'go.mod': `module gitlab.example/${path}\n` });
  await tree.commit('First');
  await tree.tag(tags);
  await tree.push();
}
