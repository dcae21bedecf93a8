import { expect } from 'vitest';
import { get } from '../proxy/server.ts';
import { test as base } from './fixtures.ts';
import { archiveRequests, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';

/** Two proxies and a worker as separate processes: the proxies reach the worker through Redis only. */
const test = base.extend('proxies', { scope: 'file' }, async ({ redis, startProcess }) => {
  const settings = { ON_DEMAND: 'on', SWEEP_MINUTES: '1000', REDIS_URL: redis.url };
  const worker = await startProcess(settings, 'worker');
  await worker.logged('sweep.finished');
  return [await startProcess(settings, 'proxy'), await startProcess(settings, 'proxy')] as const;
});
// The time limit of the first test does not cover the start.
test.beforeAll(({ proxies }) => void proxies);

test('the worker builds a version once for many requests to two proxies, with the checksum of direct mode', async ({
  office,
  proxies,
}) => {
  const project = await office.gitlab.createProject('platform/hello');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, library(module, 'one'), 'v1.0.0');
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      get(`${proxies[index % 2 ? 1 : 0].url}/${module}/@v/v1.0.0.${index % 4 > 1 ? 'zip' : 'mod'}`),
    ),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(archiveRequests(office.gitlab, project)).toHaveLength(1);
  expect(await checksumsThrough(proxies[0].url, `${module}@v1.0.0`)).toEqual(
    await checksumsDirect(office.gitlab, `${module}@v1.0.0`),
  );
  expect((await get(`${proxies[1].url}/${module}/@v/main.info`)).text).toContain('"Version":"v1.0.0"');
});

test('without a worker and without Redis, serves published versions, and returns errors with a reason for others', async ({
  office,
  redis,
  proxies,
}) => {
  const project = await office.gitlab.createProject('platform/later');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, library(module, 'one'), 'v1.0.0', 'v1.1.0');
  expect((await get(`${proxies[0].url}/${module}/@v/v1.0.0.zip`)).status).toBe(200);
  await redis.stop();
  expect((await get(`${proxies[0].url}/${module}/@v/v1.0.0.zip`)).status).toBe(200);
  expect(await get(`${proxies[0].url}/${module}/@v/main.info`)).toMatchObject({
    status: 503,
    text: expect.stringContaining('modpress cannot query GitLab right now'),
  });
  await redis.start();
  await expect
    .poll(async () => (await get(`${proxies[0].url}/${module}/@v/main.info`)).status, { timeout: 20_000 })
    .toBe(200);
});
