import { expect } from 'vitest';
import { get } from '../proxy/server.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { test as base } from './fixtures.ts';
import { addHook, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';
import { watchVersion } from './version-watch.ts';

const test = base
  .extend('sentinel', { scope: 'file' }, async ({}, { onCleanup }) => {
    const redis = await startRedisSentinel();
    onCleanup(() => redis.close());
    return redis;
  })
  /** A process for each role, behind a Sentinel. */
  .extend('roles', { scope: 'file' }, async ({ office, sentinel, startProcess }) => {
    // GitLab does not repeat a delivery that the webhook rejects. The sweep then finds the tag.
    const settings = { REDIS_URL: sentinel.url, SWEEP_MINUTES: '0.1' };
    // A worker is not ready while its token sees no project.
    await office.gitlab.createProject('platform/first');
    const worker = await startProcess(settings, 'worker');
    const webhook = await startProcess(settings, 'webhook');
    const proxy = await startProcess(settings, 'proxy');
    await addHook(office.gitlab, '/groups/platform', webhook.url, { token: '/the secret of the hook/' });
    return { worker, webhook, proxy };
  });
// The time limit of the first test does not cover the start.
test.beforeAll(({ roles }) => void roles);

test('behind a Sentinel, tags that are pushed before, during and after a failover are published', async ({
  office,
  sentinel,
  roles: { worker, webhook, proxy },
}) => {
  const project = await office.gitlab.createProject('platform/hello');
  const module = `${PREFIX}/${project.path}`;
  const push = async (version: string): Promise<void> => {
    await using watch = watchVersion(proxy.url, module, version);
    await pushTags(project, library(module, version), version);
    await watch.published;
  };
  const readiness = async (): Promise<number[]> =>
    await Promise.all([worker, webhook, proxy].map(async ({ url }) => (await get(`${url}/-/readyz`)).status));

  await push('v1.0.0');
  await sentinel.primary.stop('SIGKILL');
  await push('v1.1.0');
  await expect.poll(readiness, { timeout: 20_000 }).toEqual([200, 200, 200]);
  await push('v1.2.0');

  await worker.logged('redis.restored');
  const versions = ['v1.0.0', 'v1.1.0', 'v1.2.0'].map((version) => `${module}@${version}`);
  expect(await checksumsThrough(proxy.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
}, 90_000);
