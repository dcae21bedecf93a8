import { expect } from 'vitest';
import { ADMIN_TOKEN } from '../backfill/fixtures.ts';
import { get } from '../proxy/server.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { test as base } from './fixtures.ts';
import { addHook, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';
import { runModpress } from './service.ts';

const test = base
  .extend('cluster', { scope: 'file' }, async ({}, { onCleanup }) => {
    const cluster = await startRedisCluster();
    onCleanup(() => cluster.close());
    return cluster;
  })
  /** A process for each role, on a Redis Cluster. */
  .extend('roles', { scope: 'file' }, async ({ office, cluster, startProcess }) => {
    const settings = { REDIS_URL: cluster.url, ON_DEMAND: 'on', SWEEP_MINUTES: '1000', ADMIN_TOKEN };
    // A worker is not ready while its token sees no project.
    await office.gitlab.createProject('platform/first');
    const worker = await startProcess(settings, 'worker');
    // The sweep must not interfere later.
    await worker.logged('sweep.finished');
    const webhook = await startProcess(settings, 'webhook');
    const proxy = await startProcess(settings, 'proxy');
    await addHook(office.gitlab, '/groups/platform', webhook.url, { token: '/the secret of the hook/' });
    return { worker, webhook, proxy };
  });
// The time limit of the first test does not cover the start.
test.beforeAll(({ roles }) => void roles);

test('on a cluster, tags are published after a push, on demand and by a backfill, in processes for each role', async ({
  office,
  roles: { worker, webhook, proxy },
}) => {
  for (const { url } of [worker, webhook, proxy]) expect(await get(`${url}/-/readyz`)).toMatchObject({ status: 200 });

  const pushed = await office.gitlab.createProject('platform/pushed');
  const pushedModule = `${PREFIX}/${pushed.path}`;
  await pushTags(pushed, library(pushedModule, 'one'), 'v1.0.0');
  await worker.logged('tag.published', { module: pushedModule, version: 'v1.0.0' });

  // There is no webhook for this group.
  const requested = await office.gitlab.createProject('team/requested');
  const requestedModule = `${PREFIX}/${requested.path}`;
  await pushTags(requested, library(requestedModule, 'two'), 'v1.0.0');
  expect((await get(`${proxy.url}/${requestedModule}/@v/v1.0.0.zip`)).status).toBe(200);
  await worker.logged('version.published', { module: requestedModule, version: 'v1.0.0' });

  const missed = await office.gitlab.createProject('team/missed');
  const missedModule = `${PREFIX}/${missed.path}`;
  await pushTags(missed, library(missedModule, 'three'), 'v1.0.0');
  const backfill = await runModpress(['backfill', 'team/missed', '--url', webhook.url], { ADMIN_TOKEN });
  expect(backfill).toMatchObject({ status: 0, stdout: expect.stringMatching(/published +1\n/) });

  const versions = [pushedModule, requestedModule, missedModule].map((module) => `${module}@v1.0.0`);
  expect(await checksumsThrough(proxy.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
}, 90_000);

test.for(['webhook', 'worker', 'proxy'] as const)(
  'the role %s is not ready if REDIS_URL is that of a single server, and it says what to write',
  async (role, { cluster, startProcess }) => {
    const [node] = cluster.nodes;
    const settings = { REDIS_URL: `redis://127.0.0.1:${node?.port}`, ON_DEMAND: 'on', SWEEP_MINUTES: '1000' };
    const service = await startProcess(settings, role);
    const advice = 'this Redis is a node of a cluster: begin REDIS_URL with redis+cluster://';
    expect(await get(`${service.url}/-/readyz`)).toMatchObject({ status: 503, text: expect.stringContaining(advice) });
    expect(await service.logged('redis.misconfigured')).toMatchObject({
      level: 'error',
      reason: expect.stringContaining(advice),
    });
  },
);
