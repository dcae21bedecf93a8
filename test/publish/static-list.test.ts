import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ModulePath } from '../../src/module/path.ts';
import type { Version } from '../../src/module/version.ts';
import { writeList } from '../../src/publish/static-list.ts';
import { withdrawVersion } from '../../src/publish/withdraw.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { listKey, moduleKey } from '../../src/store/layout.ts';
import { publishedVersions } from '../../src/store/published-versions.ts';
import type { Store } from '../../src/store/store.ts';

const MODULE = 'gitlab.example/Team/lib' as ModulePath;
const VERSIONS = [
  'v1.10.0',
  'v1.9.0',
  'v1.9.0-RC.1',
  'v1.9.0-rc.1',
  'v2.0.0+incompatible',
  'v0.0.1',
  'v1.9.10',
  'v1.9.1',
];

let folder: string;
let disk: DiskStore;
/** The disk, which counts its listings. */
let store: Store;
let listings: number;
/** Runs before each put of the list. */
let beforePut: (() => Promise<void>) | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modpress-list-'));
  disk = await DiskStore.open(folder);
  listings = 0;
  beforePut = undefined;
  store = {
    get: (key) => disk.get(key),
    stat: (key) => disk.stat(key),
    open: (key, range) => disk.open(key, range),
    list: (prefix, options) => {
      listings++;
      return disk.list(prefix, options);
    },
    put: async (key, body) => {
      if (key === listKey(MODULE)) await beforePut?.();
      await disk.put(key, body);
    },
    delete: (key) => disk.delete(key),
    check: () => disk.check(),
  };
});
afterEach(() => rm(folder, { recursive: true }));

async function writeInfo(version: string): Promise<Version> {
  await disk.put(moduleKey(MODULE, version as Version, 'info'), Buffer.from('{}'));
  return version as Version;
}

async function listed(): Promise<string> {
  return String(await disk.get(listKey(MODULE)));
}

/** Returns the list that static serving needs: all versions, in the order of their keys. */
async function current(): Promise<string> {
  let list = '';
  for await (const version of publishedVersions(disk, MODULE)) list += `${version}\n`;
  return list;
}

test('a publish lists the versions once, whatever the order of the versions', async () => {
  for (const version of VERSIONS) {
    listings = 0;
    await writeList(store, MODULE, { added: await writeInfo(version) });
    expect([await listed(), listings]).toEqual([await current(), 1]);
  }
  expect((await listed()).trim().split('\n').toSorted()).toEqual(VERSIONS.toSorted());
});

test('a withdrawal lists the versions once', async () => {
  for (const version of VERSIONS) await writeList(store, MODULE, { added: await writeInfo(version) });
  listings = 0;
  await withdrawVersion({ store }, MODULE, 'v1.9.0' as Version, 'a leak');
  expect([await listed(), listings]).toEqual([await current(), 1]);
  expect(await listed()).not.toContain('v1.9.0\n');
});

test('a list that is missing versions, or that is not a list, is written again', async () => {
  for (const version of VERSIONS) await writeInfo(version);
  await writeList(store, MODULE, { added: VERSIONS[0] as Version });
  expect(await listed()).toBe(await current());
  await disk.put(listKey(MODULE), Buffer.from('<html>'));
  await writeList(store, MODULE, { added: VERSIONS[0] as Version });
  expect(await listed()).toBe(await current());
});

test('a list is current even if another process writes it at the same time', async () => {
  const added = await writeInfo('v1.0.0');
  beforePut = async () => {
    beforePut = undefined;
    await writeList(disk, MODULE, { added: await writeInfo('v1.1.0') });
  };
  await writeList(store, MODULE, { added });
  expect(await listed()).toBe('v1.0.0\nv1.1.0\n');
});

test('a pseudo-version is not in the list', async () => {
  const pseudo = await writeInfo('v0.0.0-20240203040506-0123456789ab');
  await writeList(store, MODULE, { added: pseudo });
  expect([await listed(), listings]).toEqual(['', 1]);
});
