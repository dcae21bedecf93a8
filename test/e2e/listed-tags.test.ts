import { expect } from 'vitest';
import { WorkTree } from '../fake-gitlab/work-tree.ts';
import { get } from '../proxy/server.ts';
import { test as base } from './fixtures.ts';
import { addHook, PREFIX, pushTags } from './office.ts';
import type { Service } from './service.ts';

/** The roles as separate processes: what one of them changes must be visible in the others. */
const test = base.extend('roles', { scope: 'file' }, async ({ office, redis, startProcess }) => {
  const settings = { ON_DEMAND: 'on', SWEEP_MINUTES: '1000', REDIS_URL: redis.url };
  const worker = await startProcess(settings, 'worker');
  await worker.logged('sweep.finished');
  const webhook = await startProcess(settings, 'webhook');
  await office.gitlab.createProject('platform/first');
  await addHook(office.gitlab, '/groups/platform', webhook.url, { token: '/the secret of the hook/' });
  const proxies = [await startProcess(settings, 'proxy'), await startProcess(settings, 'proxy')] as const;
  return { worker, webhook, proxies };
});
// The time limit of the first test does not cover the start.
test.beforeAll(({ roles }) => void roles);

async function list(proxy: Service, module: string): Promise<string[]> {
  const { status, text } = await get(`${proxy.url}/${module}/@v/list`);
  return status === 200 ? text.split('\n').slice(0, -1) : [`status ${status}`];
}

test('a new tag of a repository without go.mod is in the list of every proxy as soon as its webhook was handled', async ({
  office,
  roles: { worker, proxies },
}) => {
  const project = await office.gitlab.createProject('platform/plain');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, { 'plain.go': 'package plain\n' }, 'v1.0.0');
  await worker.logged('tag.skipped', { projectId: project.id, tag: 'v1.0.0' });
  for (const proxy of proxies) expect(await list(proxy, module)).toEqual(['v1.0.0']);
  // Its versions are published on demand. A complete list is then reused for ten minutes.
  expect((await get(`${proxies[0].url}/${module}/@v/v1.0.0.zip`)).status).toBe(200);
  await expect.poll(() => list(proxies[1], module), { timeout: 10_000 }).toEqual(['v1.0.0']);

  await pushTags(project, { 'more.go': 'package plain\n' }, 'v1.1.0', 'v2.1.0');
  await worker.logged('tag.skipped', { projectId: project.id, tag: 'v1.1.0' });
  await worker.logged('tag.skipped', { projectId: project.id, tag: 'v2.1.0' });
  for (const proxy of proxies) expect(await list(proxy, module)).toEqual(['v1.0.0', 'v1.1.0', 'v2.1.0+incompatible']);
});

test('a deleted tag leaves the list as soon as its webhook was handled', async ({
  office,
  roles: { worker, proxies },
}) => {
  const project = await office.gitlab.createProject('platform/shrinking');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, { 'plain.go': 'package plain\n' }, 'v1.0.0', 'v1.1.0');
  await worker.logged('tag.skipped', { projectId: project.id, tag: 'v1.1.0' });
  for (const version of ['v1.0.0'])
    expect((await get(`${proxies[0].url}/${module}/@v/${version}.zip`)).status).toBe(200);
  expect(await list(proxies[1], module)).toEqual(['v1.0.0', 'v1.1.0']);
  await using tree = await WorkTree.create(project);
  await tree.push(':refs/tags/v1.1.0');
  await expect.poll(() => list(proxies[1], module), { timeout: 3_000 }).toEqual(['v1.0.0']);
});

test('a module that did not exist is found as soon as its first tag was handled', async ({
  office,
  roles: { worker, proxies },
}) => {
  const path = 'platform/later';
  const module = `${PREFIX}/${path}`;
  for (const proxy of proxies) expect(await list(proxy, module)).toEqual(['status 404']);
  const project = await office.gitlab.createProject(path);
  await pushTags(project, { 'plain.go': 'package plain\n' }, 'v1.0.0');
  await worker.logged('tag.skipped', { projectId: project.id, tag: 'v1.0.0' });
  // A worker remembers for two seconds that there is no project.
  for (const proxy of proxies) await expect.poll(() => list(proxy, module), { timeout: 5_000 }).toEqual(['v1.0.0']);
});
