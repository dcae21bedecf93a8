import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startGo } from '../proxy/go.ts';
import { test as base } from './fixtures.ts';
import { metric } from './metric.ts';
import { addHook, archiveUnderWay, checksumsDirect, checksumsThrough, library, PREFIX, pushTags } from './office.ts';
import type { Service } from './service.ts';
import { watchVersion } from './version-watch.ts';

/** A process for each role and a second worker, on MinIO and Redis. */
const test = base.extend('scaledOut', { scope: 'file' }, async ({ office, sharedSettings, startProcess }) => {
  const settings = { ...sharedSettings, STORE: `${sharedSettings.STORE}/some/prefix` };
  const first = await startProcess(settings, 'worker');
  // Any worker may run the sweep. It must not interfere later.
  await first.logged('sweep.finished');
  const [webhook, second] = await Promise.all([startProcess(settings, 'webhook'), startProcess(settings, 'worker')]);
  const proxy = await startProcess(settings, 'proxy');
  office.gitlab.createGroup('platform');
  await addHook(office.gitlab, '/groups/platform', webhook.url, { token: '/the secret of the hook/' });
  return { workers: [first, second] as const, proxy };
});

// The time limit of the first test does not cover the start.
test.beforeAll(({ scaledOut }) => void scaledOut);

test('a pushed tag goes from the webhook through Redis, a worker and MinIO to a build; when its worker is killed, another worker publishes it', async ({
  office,
  scaledOut: { workers, proxy },
}) => {
  const hello = await office.gitlab.createProject('platform/hello');
  const module = `${PREFIX}/${hello.path}`;
  await using first = watchVersion(proxy.url, module, 'v1.0.0');
  await pushTags(hello, library(module, 'one'), 'v1.0.0');
  await first.published;
  expect(await run(proxy, module)).toBe('one\n');

  const heavy = await office.gitlab.createProject('platform/heavy');
  const heavyModule = `${PREFIX}/${heavy.path}`;
  await using second = watchVersion(proxy.url, heavyModule, 'v0.1.0');
  const before = await Promise.all(workers.map(callsToGitLab));
  const slow = office.gitlab.faults.add({ path: /\/repository\/archive/, kind: { trickleBytesPerSecond: 1000 } });
  await pushTags(heavy, { ...library(heavyModule, 'heavy'), 'data.bin': randomBytes(100_000) }, 'v0.1.0');
  await archiveUnderWay(office.gitlab, heavy);

  const after = await Promise.all(workers.map(callsToGitLab));
  const busy = workers.filter((_, index) => after[index] !== before[index]);
  const idle = workers.filter((worker) => !busy.includes(worker));
  expect([busy.length, idle.length]).toEqual([1, 1]);
  await busy[0]?.kill();
  expect(second.absences).toBeGreaterThan(0);
  await second.published;

  expect(slow.hits).toBe(1);
  await idle[0]?.logged('tag.published', { module: heavyModule, version: 'v0.1.0' });
  const versions = [`${module}@v1.0.0`, `${heavyModule}@v0.1.0`];
  expect(await checksumsThrough(proxy.url, ...versions)).toEqual(await checksumsDirect(office.gitlab, ...versions));
}, 90_000);

async function run(proxy: Service, module: string): Promise<string> {
  await using go = await startGo(proxy.url, { GOSUMDB: 'off' });
  await writeFile(
    join(go.folder, 'main.go'),
    `package main\n\nimport "${module}"\n\nfunc main() { println(hello.Word()) }\n`,
  );
  expect(await go.run('get', `${module}@latest`)).toMatchObject({ ok: true });
  return (await go.run('run', '.')).stderr;
}

async function callsToGitLab(worker: Service): Promise<number> {
  return await metric(worker.url, 'modpress_gitlab_request_seconds_count');
}
