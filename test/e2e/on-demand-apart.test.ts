import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Role } from '../../src/config/service.ts';
import { get } from '../proxy/server.ts';
import { startRedis, type RedisService } from '../services/redis.ts';
import {
  archiveRequests,
  checksumsDirect,
  checksumsThrough,
  library,
  openOffice,
  PREFIX,
  pushTags,
  type Office,
} from './office.ts';
import { startService, type Service } from './service.ts';

/** Two proxies and a worker as processes of their own: what the proxies lack they can only ask for through Redis. */
let office: Office;
let redis: RedisService;
const services: Service[] = [];
let proxies: readonly [Service, Service];
let worker: Service;

beforeAll(async () => {
  [office, redis] = await Promise.all([openOffice(), startRedis({ own: true })]);
  const start = async (role: Role): Promise<Service> => {
    const service = await startService(
      { ...office.settings, ON_DEMAND: 'on', SWEEP_MINUTES: '1000', REDIS_URL: redis.url },
      [role],
    );
    services.push(service);
    return service;
  };
  worker = await start('worker');
  await worker.logged('sweep.finished');
  proxies = [await start('proxy'), await start('proxy')];
});
afterAll(async () => {
  const stopped = await Promise.allSettled(services.map((service) => service.stop()));
  await Promise.all([redis?.close(), office?.[Symbol.asyncDispose]()]);
  for (const result of stopped) if (result.status === 'rejected') throw result.reason;
});

test('what many ask of two proxies is built once by the worker, with the checksum of direct mode', async () => {
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

test('without a worker and without Redis, what is published is still served, and the rest says why not', async () => {
  const project = await office.gitlab.createProject('platform/later');
  const module = `${PREFIX}/${project.path}`;
  await pushTags(project, library(module, 'one'), 'v1.0.0', 'v1.1.0');
  expect((await get(`${proxies[0].url}/${module}/@v/v1.0.0.zip`)).status).toBe(200);
  await redis.stop();
  expect((await get(`${proxies[0].url}/${module}/@v/v1.0.0.zip`)).status).toBe(200);
  expect(await get(`${proxies[0].url}/${module}/@v/main.info`)).toMatchObject({
    status: 503,
    text: expect.stringContaining('cannot be queried for it right now'),
  });
  await redis.start();
  await expect
    .poll(async () => (await get(`${proxies[0].url}/${module}/@v/main.info`)).status, { timeout: 20_000 })
    .toBe(200);
});
