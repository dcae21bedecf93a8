import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StoreUnavailable } from '../../src/store/store.ts';
import { Retry } from '../../src/errors.ts';
import { keepTemporaryRootClear, withTemporaryFolder } from '../../src/io/temporary-folder.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-scratch-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A folder that a killed process left so many hours ago. */
async function left(name: string, hours: number): Promise<void> {
  await mkdir(join(folder, name));
  await writeFile(join(folder, name, 'module.zip'), 'x');
  const time = Date.now() / 1000 - hours * 3600;
  await utimes(join(folder, name), time, time);
}

test('what killed processes left goes when it is old, at once and while the service runs', async () => {
  await left('publish-old', 7);
  await left('publish-young', 5);
  await left('of-others', 7);
  const stop = await keepTemporaryRootClear(folder, () => undefined, 20);
  expect((await readdir(folder)).toSorted()).toEqual(['of-others', 'publish-young']);
  await left('publish-later', 7);
  await expect.poll(() => readdir(folder)).not.toContain('publish-later');
  stop();
  await left('publish-last', 7);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(await readdir(folder)).toContain('publish-last');
});

test('a full disk is a Retry that says where, however it shows', async () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  for (const error of [full, new Retry('the archive from GitLab broke off', { cause: full })]) {
    await expect(withTemporaryFolder(folder, () => Promise.reject(error))).rejects.toMatchObject({
      name: 'Retry',
      message: expect.stringContaining(folder),
    });
  }
  for (const error of [
    new Retry('the archive from GitLab broke off'),
    new StoreUnavailable('the disk is full', { cause: full }),
  ]) {
    await expect(withTemporaryFolder(folder, () => Promise.reject(error))).rejects.toBe(error);
  }
  expect(await readdir(folder)).toEqual([]);
});
