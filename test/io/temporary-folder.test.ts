import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Retry } from '../../src/errors.ts';
import { startTemporaryFolderCleanup, withTemporaryFolder } from '../../src/io/temporary-folder.ts';
import { StoreUnavailable } from '../../src/store/store.ts';

const HOUR_MS = 3_600_000;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-temporary-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

/** Creates a folder that a killed process left behind `hours` hours ago. */
async function leaveBehind(name: string, hours: number): Promise<void> {
  await mkdir(join(folder, name));
  await writeFile(join(folder, name, 'module.zip'), 'x');
  const time = Date.now() / 1000 - hours * 3600;
  await utimes(join(folder, name), time, time);
}

test('the cleanup removes old folders of killed processes at once, and every hour until it is stopped', async () => {
  await leaveBehind('publish-old', 7);
  await leaveBehind('publish-young', 5);
  await leaveBehind('of-others', 7);
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const stop = await startTemporaryFolderCleanup(folder, (error) => expect.unreachable(String(error)));
  expect((await readdir(folder)).toSorted()).toEqual(['of-others', 'publish-young']);
  await leaveBehind('publish-later', 7);
  vi.advanceTimersByTime(HOUR_MS);
  await vi.waitUntil(async () => !(await readdir(folder)).includes('publish-later'));
  stop();
  expect(vi.getTimerCount()).toBe(0);
});

test('withTemporaryFolder turns a full disk into a Retry that names the folder, unless the store is full', async () => {
  const diskFull = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  for (const error of [diskFull, new Retry('the archive from GitLab broke off', { cause: diskFull })]) {
    await expect(withTemporaryFolder(folder, () => Promise.reject(error))).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining(folder),
    });
  }
  for (const error of [
    new Retry('the archive from GitLab broke off'),
    new StoreUnavailable('the disk is full', { cause: diskFull }),
  ]) {
    await expect(withTemporaryFolder(folder, () => Promise.reject(error))).rejects.toBe(error);
  }
  expect(await readdir(folder)).toEqual([]);
});
